"""The entries of the compiled ATR grid, for `tasks.kernel_build`: its indicators, and the run."""

from types import FunctionType, ModuleType
from typing import Any

from numba import carray, types

from core import (
    atr_book_kernel,
    atr_candle_kernel,
    atr_gauge_kernel,
    atr_kernel,
    atr_levels_kernel,
    atr_orders_kernel,
    atr_perp_kernel,
    atr_short_kernel,
    atr_watch_kernel,
    path_kernel,
    search_kernel,
    wide_kernel,
)
from core.atr_gauge_kernel import gauge
from core.atr_kernel import run
from core.atr_table import (
    DUE_COLUMNS,
    GAUGE_ROWS,
    LEG_ROWS,
    LEVEL_ROWS,
    LINES_A_LEVEL,
    LINES_MORE,
    LOT_ROWS,
    NEWS_COLUMNS,
    PARAMETERS,
    QUEUE_ROWS,
    RATE_ROWS,
    RATES,
    SCALARS,
    SLOTS,
)
from core.atr_watch_kernel import watch
from core.grid_table import BLOCK, FILL_COLUMNS

MODULES: tuple[ModuleType, ...] = (
    path_kernel, wide_kernel, search_kernel, atr_gauge_kernel, atr_book_kernel, atr_perp_kernel, atr_orders_kernel,
    atr_levels_kernel, atr_short_kernel, atr_candle_kernel, atr_kernel, atr_watch_kernel,
)  # fmt: skip
_INT = types.int64
_INTS = types.CPointer(_INT)
_FLOAT, _FLOATS = types.float64, types.CPointer(types.float64)


def _gauge(high: Any, low: Any, close: Any, count: int, nanos: int, wilder: int, g: Any) -> int:
    return gauge(
        carray(high, (count,)), carray(low, (count,)), carray(close, (count,)), nanos, wilder == 1,
        carray(g, (GAUGE_ROWS, count)),
    )  # fmt: skip


def _run(
    ts: Any, open_: Any, high: Any, low: Any, close: Any, low_1: Any, high_1: Any,
    open_2: Any, high_2: Any, low_2: Any, close_2: Any, low_1_2: Any, high_1_2: Any, bars: int, told: Any, g: Any, candles: int,
    p: Any, s: Any, lv: Any, places: int, w: Any, lots: Any, lines: Any, queue: Any, due: Any, due_2: Any, news: Any, news_2: Any,
    rates: Any, log: Any, log_rows: int,
) -> int:  # fmt: skip
    blocks, legs, told_rates = (bars + BLOCK - 1) // BLOCK, 2 * SLOTS * places, carray(p, (PARAMETERS,))[RATES]
    return run(
        carray(ts, (bars,)), carray(open_, (bars,)), carray(high, (bars,)), carray(low, (bars,)), carray(close, (bars,)),
        carray(low_1, (blocks,)), carray(high_1, (blocks,)), carray(open_2, (bars,)), carray(high_2, (bars,)),
        carray(low_2, (bars,)), carray(close_2, (bars,)), carray(low_1_2, (blocks,)), carray(high_1_2, (blocks,)),
        carray(told, (candles,)), carray(g, (GAUGE_ROWS, candles)), carray(p, (PARAMETERS,)), carray(s, (SCALARS,)),
        carray(lv, (LEVEL_ROWS, places)), carray(w, (LEG_ROWS, legs)), carray(lots, (LOT_ROWS, places * SLOTS)),
        carray(lines, (LINES_A_LEVEL * places + LINES_MORE,)), carray(queue, (QUEUE_ROWS, legs)),
        carray(due, (2 * legs, DUE_COLUMNS)), carray(due_2, (2 * legs, DUE_COLUMNS)), carray(news, (2 * legs, NEWS_COLUMNS)),
        carray(news_2, (2 * legs, NEWS_COLUMNS)), carray(rates, (RATE_ROWS, told_rates)), carray(log, (log_rows, FILL_COLUMNS)),
    )  # fmt: skip


def _watch(
    open_: Any, high: Any, low: Any, close: Any, open_2: Any, high_2: Any, low_2: Any, close_2: Any, bars: int, path: int,
    at: Any, base: Any, base_2: Any, cash: Any, events: int, keep: float, slack: float,
) -> int:  # fmt: skip
    return watch(
        carray(open_, (bars,)), carray(high, (bars,)), carray(low, (bars,)), carray(close, (bars,)),
        carray(open_2, (bars,)), carray(high_2, (bars,)), carray(low_2, (bars,)), carray(close_2, (bars,)), path,
        carray(at, (events,)), carray(base, (events + 1,)), carray(base_2, (events + 1,)), carray(cash, (events + 1,)),
        keep, slack,
    )  # fmt: skip


ENTRIES: dict[str, tuple[FunctionType, Any]] = {
    "atr_gauge": (_gauge, _INT(_INTS, _INTS, _INTS, _INT, _INT, _INT, _INTS)),
    "atr_run": (_run, _INT(*[_INTS] * 13, _INT, _INTS, _INTS, _INT, *[_INTS] * 3, _INT, *[_INTS] * 10, _INT)),
    "atr_watch": (_watch, _INT(*[_INTS] * 8, _INT, _INT, _INTS, *[_FLOATS] * 3, _INT, _FLOAT, _FLOAT)),
}
