"""Measures the request weight that a portfolio of many symbols needs per minute, as the loopback exchange counts it.

Grids on 14 spot symbols tick every 5 s in demo mode through the real ccxt client while every price walks and orders
fill; each minute's weight is held against Binance's 6,000 per minute. Weights per route are Binance's own
(`tests/wire/exchange_server.py`). The first minute holds the start: markets, fees and the first walk of all trades.

    python benchmarks/request_weight.py [--minutes 6] [--symbols 14] [--interval 5]
"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from tasks.opening import open_session
from tasks.ticking import tick
from tests.wire.exchange_server import ExchangeServer
from tests.wire.trading import keys

WEIGHT_PER_MINUTE = 6000
SHARE_MAX = 0.8


def prepare(folder: Path, server: ExchangeServer, count: int) -> Path:
    """Give the exchange so many markets and write a portfolio with a grid on each."""
    model = server.spot.markets["BTCUSDT"]
    bots: list[str] = []
    for number in range(count):
        base = "BTC" if number == 0 else f"C{number:02}"
        server.spot.markets[f"{base}USDT"] = replace(model, id=f"{base}USDT", base=base)
        server.spot.free[base] = Decimal(1)
        bots.append(
            f"  - {{id: g{number}, kind: grid, venue: spot, symbol: {base}/USDT, start_price: 57000, end_price: 63000,"
            " levels: 10, total_amount_quote: 2000}"
        )
    server.spot.free["USDT"] = Decimal(100_000)
    file = folder / "portfolio.yaml"
    file.write_text(
        f"""\
id: weight
mode: demo
data_dir: data
venues:
  - {{id: spot, exchange: binance, market: spot, api_url: "{server.url}", api_key: "${{WIRE_KEY}}", secret: "${{WIRE_SECRET}}"}}
risk: {{max_exposure_quote: 100000, max_drawdown: 0.5}}
bots:
"""
        + "\n".join(bots)
        + "\n",
        encoding="utf-8",
    )
    return file


async def measure(file: Path, server: ExchangeServer, minutes: int, interval_s: float) -> tuple[list[int], int]:
    """Tick for so many minutes; returns the weight of each minute and the number of fills."""
    dice, fills = random.Random(1), 0
    spent: list[int] = []
    session = await open_session(file)
    try:
        for _ in range(minutes):
            end = time.monotonic() + 60
            while (began := time.monotonic()) < end:
                with server.lock:
                    for name, market in server.spot.markets.items():
                        step = 1 + dice.randint(-40, 40) * Decimal("0.0001")
                        server.spot.move(name, (market.last * step).quantize(market.tick))
                fills += (await tick(session)).fills
                await asyncio.sleep(max(began + interval_s - time.monotonic(), 0))
            spent.append(server.weight)
            server.weight = 0
    finally:
        await session.close()
    return spent, fills


def main() -> int:
    """Measure, print; exit code 1 where a minute took more than 80 % of the limit."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=int, default=6)
    parser.add_argument("--symbols", type=int, default=14)
    parser.add_argument("--interval", type=float, default=5.0)
    args = parser.parse_args()
    os.environ.update(keys())
    with tempfile.TemporaryDirectory(prefix="gridkeeper-weight-") as name, ExchangeServer() as server:
        file = prepare(Path(name), server, args.symbols)
        spent, fills = asyncio.run(measure(file, server, args.minutes, args.interval))
    for minute, weight in enumerate(spent, 1):
        print(f"minute {minute:>2} {weight:>6,} of {WEIGHT_PER_MINUTE:,} ({weight / WEIGHT_PER_MINUTE:.0%})")
    worst = max(spent) / WEIGHT_PER_MINUTE
    figures = {"symbols": args.symbols, "interval_s": args.interval, "fills": fills, "weight_per_minute": spent}
    print(json.dumps({"benchmark": "request_weight", **figures, "share_max": round(worst, 3)}))
    return 1 if worst > SHARE_MAX else 0


if __name__ == "__main__":
    sys.exit(main())
