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
    NEWS_COLUMNS,
    PARAMETERS,
    QUEUE_ROWS,
    SCALARS,
    SLOTS,
)
from core.grid_table import BLOCK, FILL_COLUMNS

MODULES: tuple[ModuleType, ...] = (
    wide_kernel, search_kernel, atr_gauge_kernel, atr_book_kernel, atr_orders_kernel, atr_levels_kernel, atr_candle_kernel,
    atr_kernel,
)  # fmt: skip
_INT = types.int64
_INTS = types.CPointer(_INT)


def _gauge(high: Any, low: Any, close: Any, count: int, nanos: int, wilder: int, g: Any) -> int:
    return gauge(
        carray(high, (count,)), carray(low, (count,)), carray(close, (count,)), nanos, wilder == 1,
        carray(g, (GAUGE_ROWS, count)),
    )  # fmt: skip


def _run(
    ts: Any, open_: Any, high: Any, low: Any, close: Any, low_1: Any, high_1: Any, bars: int, told: Any, g: Any, candles: int,
    p: Any, s: Any, lv: Any, levels: int, w: Any, lines: Any, queue: Any, due: Any, news: Any, log: Any, log_rows: int,
) -> int:  # fmt: skip
    blocks, legs = (bars + BLOCK - 1) // BLOCK, 2 * SLOTS * levels
    return run(
        carray(ts, (bars,)), carray(open_, (bars,)), carray(high, (bars,)), carray(low, (bars,)), carray(close, (bars,)),
        carray(low_1, (blocks,)), carray(high_1, (blocks,)), carray(told, (candles,)), carray(g, (GAUGE_ROWS, candles)),
        carray(p, (PARAMETERS,)), carray(s, (SCALARS,)), carray(lv, (LEVEL_ROWS, levels)), carray(w, (LEG_ROWS, legs)),
        carray(lines, (LINES_A_LEVEL * levels + LINES_MORE,)), carray(queue, (QUEUE_ROWS, legs)),
        carray(due, (2 * legs, DUE_COLUMNS)), carray(news, (2 * legs, NEWS_COLUMNS)), carray(log, (log_rows, FILL_COLUMNS)),
    )  # fmt: skip


ENTRIES: dict[str, tuple[FunctionType, Any]] = {
    "atr_gauge": (_gauge, _INT(_INTS, _INTS, _INTS, _INT, _INT, _INT, _INTS)),
    "atr_run": (_run, _INT(*[_INTS] * 7, _INT, _INTS, _INTS, _INT, *[_INTS] * 3, _INT, *[_INTS] * 6, _INT)),
}
