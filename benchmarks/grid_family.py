"""Runs every kind of the grid family over real candles to the end and holds each run's books against every check.

Each bot is backtested under the default fill rules; then every step of the run is committed to a store of its own, as a
run would have done (up to 500 steps without an incident in one transaction), and all of `sql/checks` are asked: a row of any
is a failure. Prints a Markdown table and one JSON
line. `--funding` gives the perpetual its real funding payments; its prices are the spot candles', at zero basis.

    python benchmarks/grid_family.py CANDLES [--funding FILE] [--only NAME ...] [--from D] [--to D]
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from core.engine import Bot, Step, World, advance
from core.facts import BalanceRead
from core.kernel import ArraySeries
from tasks.assemble import instruments_of, limits_of, opening_of, spec_of
from tasks.backtest_funding import read_rates_of
from tasks.backtesting import Options, Run, run_spec
from tasks.candles_read import read_candles
from tasks.settings import check
from tasks.store import open_store
from tasks.yaml_strict import load

JOINED_MAX = 500
CHECKS = Path(__file__).parents[1] / "sql" / "checks"
SPOT, PERP = "venue: spot, symbol: BTC/USDT", 'venue: perp, symbol: "BTC/USDT:USDT"'
HEAD = """\
mode: backtest
venues:
  - {id: spot, exchange: binance, market: spot, instruments: {BTC/USDT: {tick_size: 0.01, lot_step: 0.00001,
     min_qty: 0.00001, min_notional: 5, maker: 0.001, taker: 0.001}}}
  - {id: perp, exchange: binanceusdm, market: swap, instruments: {"BTC/USDT:USDT": {tick_size: 0.01, lot_step: 0.001,
     min_qty: 0.001, min_notional: 5, maker: 0.0002, taker: 0.0005}}}
  - {id: perp2, exchange: bybit, market: swap, instruments: {"BTC/USDT:USDT": {tick_size: 0.01, lot_step: 0.001,
     min_qty: 0.001, min_notional: 5, maker: 0.0002, taker: 0.00055}}}
bots:
  - """
BOTS = {
    "grid, geometric": f"{{id: b, kind: grid, {SPOT}, start_price: 4000, end_price: 70000, total_amount_quote: 10000, "
    "levels: 80, spacing: geometric, initial_inventory: market}",
    "grid, stop and take profit": f"{{id: b, kind: grid, {SPOT}, start_price: 5000, end_price: 12000, "
    "total_amount_quote: 10000, levels: 60, initial_inventory: market, on_range_exit: hold, "
    "triple_barrier: {stop_loss: 0.2, trailing_stop: {activation: 0.15, delta: 0.05}}}",
    "grid, short": f"{{id: b, kind: grid, {PERP}, side: SELL, start_price: 30000, end_price: 70000, "
    "total_amount_quote: 10000, levels: 60, spacing: geometric}",
    "grid, neutral, closed at its ends": f"{{id: b, kind: grid, {PERP}, side: NEUTRAL, start_price: 5000, end_price: 11000, "
    "total_amount_quote: 3000, levels: 40, spacing: geometric, on_range_exit: close}",
    "grid, neutral": f"{{id: b, kind: grid, {PERP}, side: NEUTRAL, start_price: 4000, end_price: 70000, "
    "total_amount_quote: 3000, levels: 40, spacing: geometric}",
    "grid, neutral, more than its margin holds": f"{{id: b, kind: grid, {PERP}, side: NEUTRAL, start_price: 4000, "
    "end_price: 70000, total_amount_quote: 10000, levels: 80, spacing: geometric}",
    "grid, infinite": f"{{id: b, kind: grid, {SPOT}, infinite: true, start_price: 3000, min_spread_between_orders: 0.01, "
    "total_amount_quote: 10000}",
    "grid, trailing": f"{{id: b, kind: grid, {SPOT}, start_price: 6000, end_price: 9000, total_amount_quote: 10000, "
    "levels: 40, spacing: geometric, initial_inventory: market, trailing_up: 70000, trailing_down: 3000}",
    "grid, reset": f"{{id: b, kind: grid, {SPOT}, start_price: 6000, end_price: 9000, total_amount_quote: 10000, "
    "levels: 40, spacing: geometric, initial_inventory: market, on_range_exit: reset, max_resets: 2, "
    "trailing_up: 80000, trailing_down: 3000}",
    "ladder, linear": f"{{id: b, kind: ladder, {SPOT}, min_price: 4000, max_price: 64000, count: 61, qty: 0.005, "
    "profit: 0.02, loop: true}",
    "ladder, normal": f"{{id: b, kind: ladder, {SPOT}, distribution: normal, min_price: 4000, max_price: 64000, "
    "mean: 30000, count: 60, qty: 0.005, profit: 0.02, loop: true, maker_offset_buy: 1, maker_offset_sell: 1}",
}
# One rolling grid, long and short, once with each way out for lots that are stuck; the hedge stands at a second venue.
ROLLING = (
    "{{id: b, kind: rolling_grid, {market}, direction: {direction}, quantity: 0.01, take_profit: 0.01, grid_step: 0.005, "
    "max_orders: 10, wait_time: 600, max_margin: 10000, leverage: 1, stop_loss: 0.08, position_timeout_minutes: 240, "
    "stuck_distance: 0.03, recovery_mode: {mode}{more}}}"
)
MODES = {
    "none": "", "aggressive": "", "ladder": ", recovery_escalation: market",
    "hedge": ', hedge_venue: perp2, hedge_symbol: "BTC/USDT:USDT"',
}  # fmt: skip
BOTS |= {
    f"rolling_grid, {word}, {mode}": ROLLING.format(market=PERP, direction=direction, mode=mode, more=more)
    for word, direction in (("long", "buy"), ("short", "sell"))
    for mode, more in MODES.items()
}


def run_bot(text: str, candles: ArraySeries, rates: Mapping[Any, Any]) -> tuple[Run, list[str], float]:
    """Backtest one bot; returns the run, the checks that found something, and the seconds of CPU that the run took."""
    portfolio = check(load(HEAD + text, "the grid family"), {})
    bot = portfolio.bots[0]
    spec = spec_of(bot, instruments_of(portfolio, {}, {}), "gfam", key="bots[0]")
    mine = {market: rows for market, rows in rates.items() if market == spec.instrument.market}
    began = time.process_time()
    # A hedge's second market is given the same candles: its prices are the first one's, so a hedge costs what it costs.
    made = run_spec(portfolio, bot, spec, [candles] * len(spec.instruments), "1m", Options(), mine)
    took = time.process_time() - began
    now = datetime.fromtimestamp(candles.ts_ms(0) / 1000, UTC).replace(tzinfo=None)
    world = World(specs={spec.bot_id: spec}, bots={spec.bot_id: Bot(bot_id=spec.bot_id)}, limits=limits_of(portfolio))
    opening = [
        BalanceRead(venue, asset, held, now)
        for venue in {one.venue for one in spec.instruments}
        for asset, held in opening_of(portfolio.venue(venue), {spec.bot_id: spec}).items()
    ]
    with tempfile.TemporaryDirectory() as folder:
        with open_store(Path(folder)) as store:
            store.commit_step(advance(world, opening, now), tick_id=1, now=now, facts=opening)
            for number, (at, step) in enumerate(joined(made.steps), start=2):
                store.commit_step(step, tick_id=number, now=at)
        return made, failed_checks(Path(folder) / "trading.duckdb"), took


def joined(steps: Iterable[tuple[datetime, Step]]) -> Iterator[tuple[datetime, Step]]:
    """Join steps that follow each other to what one step would have produced: of each row the newest is kept.

    Incidents are stored one by one, and a lot that was closed opens anew in a later step only, as in a store that a run
    fills.
    """
    waiting: list[tuple[datetime, Step]] = []
    closed: set[tuple[str, str]] = set()
    for at, step in steps:
        alone = bool(step.raised or step.resolved)
        again = any((lot.bot_id, lot.lot_id) in closed for lot in step.lots)
        if waiting and (alone or again or len(waiting) >= JOINED_MAX):
            yield _as_one(waiting)
            waiting, closed = [], set()
        if alone:
            yield at, step
        else:
            waiting.append((at, step))
            closed |= {(lot.bot_id, lot.lot_id) for lot in step.lots if not lot.open}
    if waiting:
        yield _as_one(waiting)


def _as_one(group: list[tuple[datetime, Step]]) -> tuple[datetime, Step]:
    at, last = group[-1]
    steps = [step for _, step in group]
    return at, replace(
        last,
        intents=tuple(one for step in steps for one in step.intents),
        journal=tuple(row for step in steps for row in step.journal),
        orders=tuple({order.client_id: order for step in steps for order in step.orders}.values()),
        fills=tuple(fill for step in steps for fill in step.fills),
        entries=tuple(entry for step in steps for entry in step.entries),
        lots=tuple({(lot.bot_id, lot.lot_id): lot for step in steps for lot in step.lots}.values()),
        levels=tuple({(row.bot_id, row.view.place): row for step in steps for row in step.levels}.values()),
        bots=tuple({bot.bot_id: bot for step in steps for bot in step.bots}.values()),
    )


def failed_checks(file: Path) -> list[str]:
    """Name every check of `sql/checks` that returns a row."""
    with duckdb.connect(str(file), read_only=True) as con:
        return [path.stem for path in sorted(CHECKS.glob("*.sql")) if con.execute(path.read_text()).fetchall()]


def main() -> None:
    """Run and print; ends with an error where a check found something."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("candles")
    parser.add_argument("--funding")
    parser.add_argument("--only", nargs="*", default=list(BOTS))
    parser.add_argument("--from", dest="from_", type=datetime.fromisoformat)
    parser.add_argument("--to", type=datetime.fromisoformat)
    args = parser.parse_args()
    candles, _ = read_candles(args.candles, timeframe="1m", price_scale=2, from_=args.from_, to=args.to)
    perps = [("perp", "BTC/USDT:USDT")]
    rates = read_rates_of([f"perp={args.funding}"], perps, "the grid family") if args.funding else {}
    money = ("net PnL", "realised", "unrealised", "fees", "funding")
    print("|", " | ".join(["bot", "fills", "round trips", *money, "max drawdown", "win rate", "checks", "CPU s"]), "|")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|--:|")
    rows: dict[str, Any] = {}
    for name in args.only:
        made, failed, took = run_bot(BOTS[name], candles, rates)
        told = made.figures
        paid = (f"{float(told[key]):,.2f}" for key in ("net_pnl", "realized_pnl", "unrealized_pnl", "fees", "funding"))
        won = "–" if told["win_rate"] is None else f"{told['win_rate']:.1%}"
        cells = [name, f"{told['fills']:,}", f"{told['round_trips']:,}", *paid, f"{told['max_drawdown']:.1%}", won]
        print("|", " | ".join([*cells, ", ".join(failed) or "clean", f"{took:.0f}"]), "|", flush=True)
        rows[name] = {"net_pnl": told["net_pnl"], "fills": told["fills"], "failed": failed}
    print(json.dumps({"benchmark": "grid_family", "candles": Path(args.candles).name, "rows": rows}))
    if any(row["failed"] for row in rows.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
