"""Executors are picked by any condition that their snapshots can answer."""

from decimal import Decimal
from typing import Any

import pytest

from core.executors.life import CloseType, Status
from tasks.orchestrator_filter import ExecutorFilter, filter_executors
from tasks.orchestrator_info import ExecutorInfo

D = Decimal


def info(name: str, **changes: Any) -> ExecutorInfo:
    """A snapshot of a running purchase on spot."""
    values: dict[str, Any] = {
        "id": name, "timestamp": 100.0, "type": "position", "status": Status.RUNNING,
        "config": {"venue": "spot", "symbol": "BTC/USDT", "side": "BUY"}, "net_pnl_pct": D("0.01"),
        "net_pnl_pct_of_capital": D("0.01"), "net_pnl_quote": D(1), "cum_fees_quote": D(0), "filled_amount_quote": D(100),
        "is_active": True, "is_trading": True, "custom_info": {}, "close_timestamp": None, "close_type": None,
        "controller_id": "main",
    }  # fmt: skip
    return ExecutorInfo(**(values | changes))


OVER = {
    "status": Status.TERMINATED, "close_type": CloseType.STOP_LOSS, "close_timestamp": 300.0, "is_active": False,
    "is_trading": False, "net_pnl_pct": D("-0.02"), "net_pnl_quote": D(-2),
}  # fmt: skip
THREE = [
    info("a"),
    info("b", **OVER, controller_id="mm"),
    info("c", type="dca", config={"venue": "perp", "symbol": "ETH/USDT:USDT", "side": "SELL"}, timestamp=200.0),
]


@pytest.mark.parametrize(
    ("conditions", "names"),
    [
        ({}, "abc"),
        ({"executor_ids": ["a", "c"]}, "ac"),
        ({"connector_names": {"perp"}}, "c"),
        ({"trading_pairs": ["BTC/USDT"]}, "ab"),
        ({"executor_types": ["dca", "twap"]}, "c"),
        ({"statuses": [Status.RUNNING]}, "ac"),
        ({"sides": ["SELL"]}, "c"),
        ({"close_types": [CloseType.STOP_LOSS, CloseType.TIME_LIMIT]}, "b"),
        ({"controller_ids": ["main"]}, "ac"),
        ({"is_active": False}, "b"),
        ({"is_trading": True}, "ac"),
        ({"min_pnl_pct": D("0.01")}, "ac"),
        ({"max_pnl_quote": D(-2)}, "b"),
        ({"min_timestamp": 150.0}, "c"),
        ({"max_close_timestamp": 1000.0}, "b"),
        ({"min_close_timestamp": 301.0}, ""),
        ({"statuses": [Status.RUNNING], "sides": ["BUY"]}, "a"),
        ({"executor_ids": []}, ""),
    ],
)
def test_all_conditions_hold_each_by_any_of_its_values(conditions: dict[str, Any], names: str) -> None:
    """What is not asked excludes nobody; a bound on a time that is not there excludes."""
    assert "".join(one.id for one in filter_executors(THREE, ExecutorFilter(**conditions))) == names
