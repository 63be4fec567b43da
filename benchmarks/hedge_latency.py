"""Measures how long after a maker fill its hedge reaches the other exchange, over the wire, with streams or without.

An `xemm` bot buys as a maker at the spot books of the loopback exchange of tests/wire and sells at its futures books,
through the real ccxt client, the real store and the real tick, at the interval given. A second thread fills the maker
order, whole or in half, at random moments that have nothing to do with the ticks. The latency runs from the exchange's own
time of the fill to its own time of the hedge's arrival, so waiting for the next tick is in it. With
`--streams` both venues have `streams: true`, and a tick comes as soon as a socket tells of a fill, whatever the interval.

    nice .venv/bin/python -m benchmarks.hedge_latency --fills 300 --interval 1
    nice .venv/bin/python -m benchmarks.hedge_latency --fills 300 --interval 5 --streams
"""

import argparse
import asyncio
import json
import os
import tempfile
import threading
import time
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from random import Random

from tasks.opening import open_session
from tasks.stream_news import rest
from tasks.ticking import tick
from tests.wire.exchange_server import ExchangeServer
from tests.wire.trading import keys

HOME, AWAY = Decimal(60_000), Decimal(60_000)


def write_portfolio(folder: Path, url: str, *, streams: bool) -> Path:
    """Write a portfolio of spot and futures at the loopback exchange with one XEMM bot."""
    venue = f'streams: {str(streams).lower()}, api_key: "${{WIRE_KEY}}", secret: "${{WIRE_SECRET}}"'
    # As two exchanges have: an address and with it a request budget each.
    away = url.replace("127.0.0.1", "localhost")
    file = folder / "portfolio.yaml"
    file.write_text(
        f"""\
id: wire
mode: demo
data_dir: data
venues:
  - {{id: spot, exchange: binance, market: spot, {venue}, api_url: "{url}"}}
  - {{id: perp, exchange: binanceusdm, market: swap, {venue}, api_url: "{away}"}}
risk: {{max_exposure_quote: 100000000, max_drawdown: 0.5}}
bots:
  - {{id: x, kind: xemm, buying_market: {{venue: spot, symbol: BTC/USDT}}, rounds: 1000, order_amount: 0.02,
     selling_market: {{venue: perp, symbol: "BTC/USDT:USDT"}}, min_profitability: 0.0005, target_profitability: 0.001,
     max_profitability: 0.002, capital_quote: 10000000}}
"""
    )
    return file


def fill_at_random(server: ExchangeServer, rng: Random, fills: int, over: threading.Event) -> None:
    """Let the spot price dip through the maker order at random moments, until so many fills were made."""
    while len(server.spot.trades) < fills and not over.is_set():
        time.sleep(rng.uniform(0.3, 1.7))
        with server.lock:
            for order in server.spot.open("BTCUSDT"):
                server.spot.move("BTCUSDT", order.price - 1, rng.choice(["1", "0.5"]))
            server.spot.move("BTCUSDT", HOME)
            # The other market lives as well: a price that never moves would be read anew for every tick.
            away = AWAY if server.swap.markets["BTCUSDT"].last != AWAY else AWAY + Decimal("0.1")
            server.swap.move("BTCUSDT", away)
    over.set()


def latencies_s(server: ExchangeServer) -> list[float]:
    """Return for each maker fill that left something to hedge the seconds until hedges had covered it, matched in order.

    What is less than the futures exchange takes (its minimum notional, in lots) can't be hedged yet and waits for the next
    fill. Raises `RuntimeError` where a fill was never hedged.
    """
    hedges = [(order.time_ms, order.executed) for order in server.swap.orders if order.executed > 0]
    market = server.swap.markets["BTCUSDT"]
    least = (market.min_notional / AWAY).quantize(market.step, ROUND_CEILING)
    found: list[float] = []
    bought, covered, index = Decimal(0), Decimal(0), -1
    for trade in server.spot.trades:
        bought += trade.qty - (trade.fee if trade.fee_asset == "BTC" else 0)
        due = covered + least <= bought
        while covered + least <= bought:
            index += 1
            if index == len(hedges):
                raise RuntimeError(f"{bought - covered} of {bought} bought were never hedged")
            covered += hedges[index][1]
        if due:
            found.append((hedges[index][0] - trade.time_ms) / 1000)
    return found


async def ticking(file: Path, interval_s: float, over: threading.Event) -> None:
    """Tick as `gridkeeper run` does until all fills were made, and five ticks more."""
    session, never = await open_session(file), asyncio.Event()
    try:
        after = 0
        while after < 5:
            began = time.perf_counter()
            await tick(session)
            after += over.is_set()
            await rest(session, never, max(interval_s - (time.perf_counter() - began), 0))
    finally:
        await session.close()


def measure(fills: int, interval_s: float, seed: int = 1, *, streams: bool = False) -> list[float]:
    """Play so many fills; returns their latencies in seconds, sorted. Raises `RuntimeError` where one was never hedged."""
    os.environ.update(keys())
    over = threading.Event()
    with ExchangeServer() as server, tempfile.TemporaryDirectory() as folder:
        server.spot.free["USDT"] = server.swap.free["USDT"] = Decimal(100_000_000)
        server.swap.move("BTCUSDT", AWAY)
        server.spot.move("BTCUSDT", HOME)
        file = write_portfolio(Path(folder), server.url, streams=streams)
        mover = threading.Thread(target=fill_at_random, args=(server, Random(seed), fills, over), daemon=True)
        mover.start()
        try:
            asyncio.run(ticking(file, interval_s, over))
        finally:
            over.set()
            mover.join(10)
        return sorted(latencies_s(server))


def main() -> None:
    """Print the figures; exit 1 where p99 is above a second with streams, above the interval and a second without."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--fills", type=int, default=300)
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between two ticks")
    parser.add_argument("--streams", action="store_true", help="let both venues tell of orders over web sockets")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    found = measure(given.fills, given.interval, given.seed, streams=given.streams)
    at = {name: found[min(int(share * len(found)), len(found) - 1)] for name, share in (("p50", 0.5), ("p99", 0.99))}
    limit_s = 1 if given.streams else given.interval + 1
    how = " with streams" if given.streams else ""
    print(
        f"{len(found)} fills at {given.interval:g} s{how}: "
        f"p50 {at['p50']:.2f} s, p99 {at['p99']:.2f} s, most {found[-1]:.2f} s"
    )
    print(json.dumps({
        "benchmark": "hedge_latency", "fills": len(found), "interval_s": given.interval, "streams": given.streams,
        "p50_s": at["p50"], "p99_s": at["p99"], "max_s": found[-1], "limit_s": limit_s,
    }))  # fmt: skip
    raise SystemExit(1 if at["p99"] > limit_s else 0)


if __name__ == "__main__":
    main()
