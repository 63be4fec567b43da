"""Rolling grids for tests: a bot around 100 on spot or a swap, ready to run."""

from typing import Any

from core.engine import BotSpec
from core.machines.rolling_grid import machine
from core.machines.rolling_grid.config import RollingGridConfig, prepare
from core.market import Instrument
from tests.core.worlds import D, instrument


def rolling(**changes: Any) -> RollingGridConfig:
    """A bot of 0.1 with a target of 1 % and a stop loss of 2 %, four places, no cooldown; unless told otherwise."""
    values: dict[str, Any] = {
        "id": "r", "venue": "spot", "symbol": "BTC/USDT", "quantity": "0.1", "take_profit": "0.01", "grid_step": "0.002",
        "max_orders": 4, "wait_time": 0, "max_margin": 1000, "requote_after": 1,
    }  # fmt: skip
    values |= changes
    return RollingGridConfig(**{name: value for name, value in values.items() if value is not None})


def ready(config: RollingGridConfig, rules: Instrument | None = None, hedge: Instrument | None = None) -> BotSpec:
    """Make the bot ready, as the shell does."""
    rules = rules or instrument()
    markets = {one.market: one for one in (rules, hedge) if one is not None}
    made = prepare(config, markets)
    return BotSpec(
        bot_id=config.id, kind="rolling_grid", token="test", machine=machine, plan=made.plan, instrument=rules,
        others=() if hedge is None else (hedge,), capital_quote=made.capital_quote, places=made.places, long=made.long,
        max_position_size=config.max_position_size, max_drawdown=config.max_drawdown,
        slippage=config.max_slippage_bps / D(10_000), max_bound_quote=made.max_bound_quote, warnings=made.warnings,
    )  # fmt: skip
