"""Made-up candles and a portfolio over them, for tests that run the whole tick."""

import asyncio
import csv
import math
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from tasks.opening import open_session
from tasks.session import Session
from tasks.ticking import TickSummary, tick

START = datetime(2025, 1, 1)


def write_candles(path: Path, count: int, *, seed: int = 7, price: float = 100.0) -> Path:
    """Write a seeded walk as the CSV of the ATR bot's document: Time,Open,High,Low,Close,Volume."""
    dice = random.Random(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Time", "Open", "High", "Low", "Close", "Volume"])
        for index in range(count):
            closed = price * math.exp(dice.gauss(0, 0.004))
            high = max(price, closed) * (1 + abs(dice.gauss(0, 0.001)))
            low = min(price, closed) * (1 - abs(dice.gauss(0, 0.001)))
            row = [round(one, 2) for one in (price, high, low, closed)]
            writer.writerow([(START + timedelta(minutes=index)).isoformat(sep=" "), *row, 1])
            price = row[3]
    return path


def write_portfolio(folder: Path, candles: Path, *, bot: str = "", feed: str = "", more: str = "") -> Path:
    """Write a paper portfolio with one grid of 20 levels between 90 and 110 over the candles."""
    file = folder / "portfolio.yaml"
    file.write_text(
        f"""\
id: test
mode: paper
data_dir: data
venues:
  - id: spot
    exchange: binance
    market: spot
    instruments:
      COIN/USDT: {{tick_size: 0.01, lot_step: 0.001, min_qty: 0.001, min_notional: 1, maker: 0.001, taker: 0.001}}
feed: {{kind: candles, paths: {{spot: {candles}}}, speed: candle{feed}}}
{more}
bots:
  - {{id: g1, kind: grid, venue: spot, symbol: COIN/USDT, start_price: 90, end_price: 110, levels: 20,
     total_amount_quote: 2000, initial_inventory: market{bot}}}
"""
    )
    return file


def play(file: Path, ticks: int, between: Callable[[int, Session], None] | None = None) -> list[TickSummary]:
    """Open the portfolio, tick, and close it; `between` is called before each tick."""

    async def loop() -> list[TickSummary]:
        session = await open_session(file)
        done: list[TickSummary] = []
        try:
            for number in range(ticks):
                if session.ended:
                    break
                if between is not None:
                    between(number, session)
                done.append(await tick(session))
        finally:
            await session.close()
        return done

    return asyncio.run(loop())


def stored(file: Path, sql: str) -> list[tuple[Any, ...]]:
    """Ask the store itself, which must not be open."""
    con = duckdb.connect(str(file.parent / "data" / "trading.duckdb"), read_only=True)
    try:
        return con.execute(sql).fetchall()
    finally:
        con.close()
