"""Picks executors out of a list by what they are, how they stand and what they won."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal

from core.executors.life import CloseType, Status
from tasks.orchestrator_info import ExecutorInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorFilter:
    """Conditions under the original's names; what is None is not asked. All must hold, each by any of its values.

    Bounds include their ends. Times are Unix seconds, profits quote or fractions as in `ExecutorInfo`. An executor without a
    time fails a bound on it.
    """

    executor_ids: Collection[str] | None = None
    connector_names: Collection[str] | None = None
    trading_pairs: Collection[str] | None = None
    executor_types: Collection[str] | None = None
    statuses: Collection[Status] | None = None
    sides: Collection[str] | None = None
    close_types: Collection[CloseType] | None = None
    controller_ids: Collection[str] | None = None
    is_active: bool | None = None
    is_trading: bool | None = None
    min_pnl_pct: Decimal | None = None
    max_pnl_pct: Decimal | None = None
    min_pnl_quote: Decimal | None = None
    max_pnl_quote: Decimal | None = None
    min_timestamp: float | None = None
    max_timestamp: float | None = None
    min_close_timestamp: float | None = None
    max_close_timestamp: float | None = None

    def takes(self, info: ExecutorInfo) -> bool:
        """Whether an executor meets every condition."""
        among = (
            (self.executor_ids, info.id), (self.connector_names, info.connector_name), (self.trading_pairs, info.trading_pair),
            (self.executor_types, info.type), (self.statuses, info.status), (self.sides, info.side),
            (self.close_types, info.close_type), (self.controller_ids, info.controller_id),
        )  # fmt: skip
        flags = ((self.is_active, info.is_active), (self.is_trading, info.is_trading))
        profits = (
            (self.min_pnl_pct, info.net_pnl_pct, self.max_pnl_pct),
            (self.min_pnl_quote, info.net_pnl_quote, self.max_pnl_quote),
        )
        times = (
            (self.min_timestamp, info.timestamp, self.max_timestamp),
            (self.min_close_timestamp, info.close_timestamp, self.max_close_timestamp),
        )
        return (
            all(wanted is None or found in wanted for wanted, found in among)
            and all(wanted is None or found is wanted for wanted, found in flags)
            and all(_within(*one) for one in profits)
            and all(_within(*one) for one in times)
        )


def filter_executors(executors: Iterable[ExecutorInfo], wanted: ExecutorFilter) -> list[ExecutorInfo]:
    """Return the executors that meet every condition, in their order."""
    return [info for info in executors if wanted.takes(info)]


def _within(least: Decimal | float | None, found: Decimal | float | None, most: Decimal | float | None) -> bool:
    if found is None:
        return least is None and most is None
    return (least is None or found >= least) and (most is None or found <= most)
