"""Runs static grids over candles with vectorbt's order function, for `benchmarks.backtest_compare`; a script of its own.

It imports nothing of this project, so that an interpreter which has vectorbt can run it. Arguments: a file of an int64 array
(4, bars) of open, high, low, close in cents, and a JSON list of grids [first line, step, cells] in cents. Path open, high,
low, close; a line fills where it is touched; 0.1 a cell; fee 0.0002; cells at or above the first open are bought there.
Prints one JSON document: CPU seconds (compiled before), fills, opening ones, and net profit of each grid.
"""

import json
import sys
import time
from typing import Any

import numpy as np
import pandas as pd
import vectorbt as vbt
from numba import njit
from vectorbt.portfolio import nb

SIZE, FEE, CASH = 0.1, 0.0002, 1e9
# The state: point of the path, highest cell that waits to buy, purchases at the open still to come.
POINT, BUY, OPENING = range(3)


@njit
def next_fill(c: Any, path: Any, state: Any, first: int, step: int, cells: int) -> Any:
    """Return the next order of a bar, or none: vectorbt asks again until there is none."""
    if state[OPENING] > 0:
        state[OPENING] -= 1
        return c.from_col, nb.order_nb(SIZE, path[0, 0] / 100, fees=FEE)
    while state[POINT] < 4:
        price = path[state[POINT], c.i]
        buy = state[BUY]
        if buy >= 0 and price <= first + step * buy:
            state[BUY] = buy - 1
            return c.from_col, nb.order_nb(SIZE, (first + step * buy) / 100, fees=FEE)
        if buy + 1 < cells and price >= first + step * (buy + 2):
            state[BUY] = buy + 1
            return c.from_col, nb.order_nb(-SIZE, (first + step * (buy + 2)) / 100, fees=FEE)
        state[POINT] += 1
    state[POINT] = 0
    return -1, nb.order_nothing_nb()


def run(path: np.ndarray, first: int, step: int, cells: int) -> tuple[int, int, float]:
    """Run one grid; returns fills, those of the opening, and net profit."""
    held = sum(first + step * i >= int(path[0, 0]) for i in range(cells))
    state = np.array([0, cells - held - 1, held], dtype=np.int64)
    close = pd.Series(path[3] / 100)
    made = vbt.Portfolio.from_order_func(
        close, next_fill, path, state, first, step, cells, flexible=True, init_cash=CASH, max_orders=4 * len(close)
    )
    return len(made.order_records), held, float(made.total_profit())


def main() -> None:
    """Compile on a few bars, then time all grids."""
    path = np.load(sys.argv[1])
    grids = json.loads(sys.argv[2])
    run(np.ascontiguousarray(path[:, :50]), *grids[0])
    began = time.process_time()
    found = [run(path, *one) for one in grids]
    took = time.process_time() - began
    print(json.dumps({"seconds": took, "version": vbt.__version__, "found": found}))


if __name__ == "__main__":
    main()
