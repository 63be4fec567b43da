"""The fill model against recorded trades and best quotes: it never fills more than an order that waits in its queue."""

from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

import pytest

from core.kernel import series_of
from tasks.assemble import instruments_of, paper_token, spec_of
from tasks.backtesting import Options, Run, run_spec
from tasks.settings import check
from tasks.yaml_strict import load
from tests.tasks.queue_replay import Best, Trade, candles_of, read_best, read_trades, replay

TRADES = Path(__file__).parents[3] / "shared" / "data" / "trades"
MARKETS = {
    "BTC/USDT:USDT": ("binanceusdm", "swap", "binanceusdm-BTCUSDT", "0.1"),
    "BTC/USDT": ("binance", "spot", "binance-BTCUSDT", "0.01"),
}
NOW = datetime(2024, 1, 1)
D = Decimal


@lru_cache
def recorded(name: str) -> tuple[list[Trade], list[Best]]:
    """Read a market's recording, or skip by name."""
    files = [TRADES / f"{name}-{kind}-20240808.parquet" for kind in ("trades", "bbo")]
    if not all(file.is_file() for file in files):
        pytest.skip(f"no recorded trades in {TRADES}")
    return read_trades(files[0]), read_best(files[1])


def modelled(symbol: str, step: int, trades: list[Trade], options: Options) -> Run:
    """Backtest a grid around the recorded prices over candles of one second."""
    exchange, market, _, tick = MARKETS[symbol]
    low = min(t.price for t in trades) // step * step - step
    count = int((max(t.price for t in trades) - low) // step) + 2
    text = f"""\
mode: backtest
venues:
  - id: here
    exchange: {exchange}
    market: {market}
    instruments:
      "{symbol}": {{tick_size: {tick}, lot_step: 0.001, min_qty: 0.001, min_notional: 5, maker: 0, taker: 0}}
bots:
  - {{id: g1, kind: grid, venue: here, symbol: "{symbol}", start_price: {low}, end_price: {low + step * count},
     levels: {count}, amount_base: 0.002, initial_inventory: none}}
"""
    portfolio = check(load(text, "recorded"), {})
    bot = portfolio.bots[0]
    spec = spec_of(bot, instruments_of(portfolio, {}, {}), paper_token(portfolio.id), key="bots[0]")
    return run_spec(portfolio, bot, spec, [series_of(candles_of(trades))], "1s", options)


@pytest.mark.parametrize("symbol", list(MARKETS))
@pytest.mark.parametrize("step", [20, 40])
def test_the_model_never_fills_more_than_the_queue(symbol: str, step: int) -> None:
    """Under the default rules a grid has no more fills over candles than over the recorded trades, in all and by side."""
    trades, best = recorded(MARKETS[symbol][2])
    options = Options()
    run = modelled(symbol, step, trades, options)
    lines = [(line.entry_price, line.exit_price, line.qty) for line in run.spec.plan.lines]
    real = replay(lines, trades, best, options.latency_s, run.spec.instrument.tick_size)
    bought = sum(fill.side.sign > 0 for fill in run.fills)
    assert len(real) > 3
    assert len(run.fills) > 0
    assert bought <= sum(buys for _, _, buys in real)
    assert len(run.fills) - bought <= sum(not buys for _, _, buys in real)


def at(second: float) -> datetime:
    """Return a time of the made-up recordings."""
    return NOW + timedelta(seconds=second)


def test_an_order_waits_for_what_stands_before_it() -> None:
    """Five are shown at its price: trades of three and two take the queue, the next ones the order, piece by piece."""
    lines = [(D(100), D(110), D(2))]
    book = [Best(at(0), D(100), D(5), D(101), D(9))]
    sold = [Trade(at(s), D(100), D(q), True) for s, q in ((1, 3), (2, 2), (3, 1), (4, 1), (5, 9))]
    assert replay(lines, sold, book, 0, D(1)) == [(at(4), 0, True)]


def test_a_shrinking_book_shortens_the_queue() -> None:
    """What others take away before the order brings it forward; what joins later stands behind it."""
    lines = [(D(100), D(110), D(1))]
    book = [Best(at(s), D(100), D(q), D(101), D(9)) for s, q in ((0, 5), (1, 2), (2, 50))]
    assert replay(lines, [Trade(at(3), D(100), D(2), True), Trade(at(4), D(100), D(1), True)], book, 0, D(1)) == [
        (at(4), 0, True)
    ]


def test_a_trade_beyond_the_price_fills_and_the_exit_follows() -> None:
    """The queue was swept; the sale waits at its own price, and does not fill while it is on its way."""
    lines = [(D(100), D(102), D(1))]
    book = [Best(at(0), D(100), D(50), D(101), D(9)), Best(at(2), D(99), D(5), D(101), D(9))]
    trades = [Trade(at(1), D(99), D(1), True), Trade(at(1.5), D(103), D(1), False), Trade(at(9), D(103), D(1), False)]
    assert replay(lines, trades, book, 1, D(1)) == [(at(1), 0, True), (at(9), 0, False)]
    assert replay(lines, [Trade(at(1), D(100), D(1), False)], book, 0, D(1)) == []
