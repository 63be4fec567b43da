"""Runs static grids over candles with hftbacktest, for `benchmarks.backtest_compare`; a script of its own.

It imports nothing of this project, so that an interpreter which has hftbacktest can run it. Arguments: a file of an int64
array (4, bars) of open, high, low, close in cents, and a JSON list of grids [first line, step, cells] in cents. The feed is
one trade at every point of the path open, high, low, close where the price moves, and a resting order fills once a trade
reaches its price; no latency. 0.1 a cell; fee 0.0002; cells at or above the first open are bought there, by orders that rest
at that price when the first trade comes. The strategy wakes when an order fills, never for prices.
Prints one JSON document: CPU seconds (compiled and fed before), fills, opening ones, and net profit of each grid.
"""

import json
import sys
import time
from typing import Any

import hftbacktest as hft
import numpy as np
from numba import njit

SIZE, FEE, TICK = 0.1, 0.0002, 0.01
BAR_NS, POINT_NS = 60_000_000_000, 15_000_000_000
# What `wait_next_feed` returns at the end of the data.
END = 1
FOREVER = 2**62


def feed_of(path: np.ndarray) -> np.ndarray:
    """Return the path as trades: one far away that starts the clock, one at the first open, one wherever the price moves."""
    points = path.T.ravel()
    moved = np.flatnonzero(np.diff(points)) + 1
    feed = np.zeros(len(moved) + 2, dtype=hft.types.event_dtype)
    at = np.concatenate(([0], moved))
    stamps = BAR_NS + (at // 4) * BAR_NS + (at % 4) * POINT_NS
    feed["exch_ts"][1:] = feed["local_ts"][1:] = stamps
    feed["exch_ts"][0] = feed["local_ts"][0] = 1
    feed["px"][1:] = points[at] / 100
    feed["px"][0] = points[0] / 100
    feed["qty"] = 1e9
    falls = np.concatenate(([True], points[moved] < points[moved - 1]))
    side = np.where(falls, hft.SELL_EVENT, hft.BUY_EVENT)
    feed["ev"][1:] = hft.TRADE_EVENT | hft.EXCH_EVENT | side
    # A purchase by another at the first price fills none of our purchases.
    feed["ev"][0] = hft.TRADE_EVENT | hft.EXCH_EVENT | hft.LOCAL_EVENT | hft.BUY_EVENT
    return feed


@njit
def play(hbt: Any, first: int, step: int, cells: int, opening: int) -> int:
    """Keep every cell's order resting: its purchase at its line, or its sale one line above; returns the fills."""
    hbt.wait_next_feed(False, FOREVER)
    for cell in range(cells):
        price = min(first + step * cell, opening)
        hbt.submit_buy_order(0, cell, price / 100, SIZE, hft.GTC, hft.LIMIT, False)
    held = np.zeros(cells, np.bool_)
    done = np.empty(cells, np.int64)
    fills = 0
    while hbt.wait_next_feed(True, FOREVER) != END:
        count = 0
        values = hbt.orders(0).values()
        while values.has_next():
            order = values.get()
            if order.status == hft.FILLED:
                done[count] = order.order_id
                count += 1
        if not count:
            continue
        hbt.clear_inactive_orders(0)
        fills += count
        for index in range(count):
            cell = done[index]
            held[cell] = not held[cell]
            if held[cell]:
                hbt.submit_sell_order(0, cell, (first + step * (cell + 1)) / 100, SIZE, hft.GTC, hft.LIMIT, False)
            else:
                hbt.submit_buy_order(0, cell, (first + step * cell) / 100, SIZE, hft.GTC, hft.LIMIT, False)
    return fills


def run(feed: np.ndarray, path: np.ndarray, first: int, step: int, cells: int) -> tuple[int, int, float]:
    """Run one grid; returns fills, those of the opening, and net profit."""
    asset = (
        hft.BacktestAsset()
        .data(feed)
        .linear_asset(1.0)
        .constant_order_latency(0, 0)
        .risk_adverse_queue_model()
        .no_partial_fill_exchange()
        .trading_value_fee_model(FEE, FEE)
        .tick_size(TICK)
        .lot_size(1e-5)
    )
    hbt = hft.HashMapMarketDepthBacktest([asset])
    opening = int(path[0, 0])
    fills = play(hbt, first, step, cells, opening)
    values = hbt.state_values(0)
    profit = values.balance + values.position * path[3, -1] / 100 - values.fee
    hbt.close()
    return int(fills), sum(first + step * cell >= opening for cell in range(cells)), float(profit)


def main() -> None:
    """Compile on a few bars, then time all grids."""
    path = np.load(sys.argv[1])
    grids = json.loads(sys.argv[2])
    start = np.ascontiguousarray(path[:, :50])
    run(feed_of(start), start, *grids[0])
    feed = feed_of(path)
    began = time.process_time()
    found = [run(feed, path, *one) for one in grids]
    took = time.process_time() - began
    print(json.dumps({"seconds": took, "version": hft.__version__, "found": found}))


if __name__ == "__main__":
    main()
