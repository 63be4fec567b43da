"""Kinds of two venues from the command line: examples that run, backtests over recorded prices, four years of funding."""

import json
import shutil
from bisect import bisect_left
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path

import pytest

from core.facts import Fill
from tasks.backtesting import Options, Run, backtest
from tasks.cli import main

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared/data"
RATES = {
    "binance": DATA / "funding/binanceusdm-BTCUSDT-funding-20200101-20231231.parquet",
    "gate": DATA / "funding/gate-BTCUSDT-funding-20200101-20231231.parquet",
}
CANDLES = DATA / "ohlcv/binance-BTCUSDT-1h-20170817-20260716.parquet"
RULES = "{tick_size: 0.01, lot_step: 0.001, min_qty: 0.001, min_notional: 5, maker: 0.0002, taker: 0.0005}"


@pytest.mark.parametrize("kind", ["xemm", "arbitrage", "funding_arb"])
def test_the_examples_run(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Some ticks on made-up prices of two venues: nothing is amiss."""
    (tmp_path / "examples").mkdir()
    file = shutil.copy(ROOT / f"examples/{kind}.yaml", tmp_path / f"examples/{kind}.yaml")
    assert main(["run", "--portfolio", str(file), "--ticks", "4", "--interval", "0", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["data"]
    assert (told["ticks"], told["incidents"]) == (4, 0)
    assert told["orders_placed"] == (1 if kind == "xemm" else told["orders_placed"])


def two_venues(folder: Path, bot: str) -> Path:
    """Write a portfolio of two spot venues that hold money and coins."""
    file = folder / "two.yaml"
    venue = (
        "exchange: binance, market: spot, balances: {USDT: 100000, COIN: 100}, instruments: {COIN/USDT: " + RULES + "}"
    )
    markets = "buying_market: {venue: a, symbol: COIN/USDT}, selling_market: {venue: b, symbol: COIN/USDT}"
    file.write_text(
        f"mode: backtest\nvenues:\n  - {{id: a, {venue}}}\n  - {{id: b, {venue}}}\nbots:\n  - {{id: x, {bot}, {markets}}}\n"
    )
    return file


def candles(path: Path, closes: list[float]) -> Path:
    """Write minutes that each open at the close before."""
    rows = ["Time,Open,High,Low,Close,Volume"]
    before = round(closes[0], 2)
    for index, exact in enumerate(closes):
        close = round(exact, 2)
        at = datetime(2025, 1, 1) + timedelta(minutes=index)
        rows.append(f"{at},{before},{max(before, close)},{min(before, close)},{close},1")
        before = close
    path.write_text("\n".join(rows) + "\n")
    return path


BOTS = {
    "xemm": "kind: xemm, order_amount: 0.5, min_profitability: 0.0005, target_profitability: 0.001, "
    "max_profitability: 0.002, rounds: 5, hedge_deadline_s: 30, unwind_after_s: 60",
    "arbitrage": "kind: arbitrage, order_amount: 0.5, min_profitability: 0.0005, rounds: 5, timeout_s: 30",
}


@pytest.mark.parametrize("kind", ["xemm", "arbitrage"])
def test_a_backtest_over_two_venues_trades_both_sides(kind: str, tmp_path: Path) -> None:
    """Where the first venue falls behind the second, what is bought there is sold at the other, to the last lot."""
    minutes = 300
    second = [100 + (i % 40) * 0.05 if i % 80 < 40 else 102 - (i % 40) * 0.05 for i in range(minutes)]
    first = [price * (0.997 if i % 30 < 10 else 1) for i, price in enumerate(second)]
    paths = [f"{name}={candles(tmp_path / f'{name}.csv', closes)}" for name, closes in (("a", first), ("b", second))]
    made = backtest(two_venues(tmp_path, BOTS[kind]), None, paths, Options(latency_s=0.0))
    assert isinstance(made, Run)
    assert made.fills
    bot = made.result.world.bots["x"]
    assert bot.inventory + bot.beside["b", "COIN/USDT"].inventory == 0
    assert {fill.venue for fill in made.fills} == {"a", "b"}


def funding_years(folder: Path) -> Path:
    """Write a portfolio that enters as soon as two rates are known and stays for years."""
    file = folder / "years.yaml"
    venue = 'market: swap, balances: {USDT: 100000}, instruments: {"BTC/USDT:USDT": ' + RULES + "}"
    legs = '[{venue: binance, symbol: "BTC/USDT:USDT"}, {venue: gate, symbol: "BTC/USDT:USDT"}]'
    patient = (
        "min_profit: 0, horizon_hours: 80000, slippage_buffer: 0, flip_margin: 0.5, erosion_ratio: 0, max_loss: 0.5"
    )
    file.write_text(
        f"mode: backtest\nvenues:\n  - {{id: binance, exchange: binanceusdm, {venue}}}\n"
        f"  - {{id: gate, exchange: gate, {venue}}}\n"
        f"bots:\n  - {{id: f, kind: funding_arb, legs: {legs}, size_quote: 1000, max_age_hours: 80000, {patient},\n"
        "     liquidation_distance: 0.0001, cooldown_hours: 0}\n"
    )
    return file


@pytest.mark.skipif(not CANDLES.exists(), reason="recorded rates and candles are not beside this checkout")
def test_four_years_of_funding_are_the_sum_of_their_payments(tmp_path: Path) -> None:
    """The ledger's funding of a pair held in stays from 2020 to 2023 is, to the last digit, a sum made without the engine."""
    paths = [f"{name}={CANDLES}" for name in RATES]
    told = [f"{name}={path}" for name, path in RATES.items()]
    begin, end = datetime(2020, 1, 1), datetime(2024, 1, 1)
    made = backtest(funding_years(tmp_path), None, paths, Options(latency_s=0.0), begin, end, told)
    assert isinstance(made, Run)
    assert (
        len({fill.ts for fill in made.fills}) > 2
    )  # it left where one leg came near its liquidation, and went in again
    whole = paid_to(made.fills, end)
    assert made.result.world.bots["f"].funding == whole
    assert Decimal(made.figures["funding"]) == whole
    assert abs(whole) > 1


@pytest.mark.skipif(not CANDLES.exists(), reason="recorded rates and candles are not beside this checkout")
def test_funding_of_a_position_held_for_four_years_is_the_sum_of_its_payments(tmp_path: Path) -> None:
    """One purchase on the first day of 2020, never closed: over 4,000 payments, each at the price before it, exactly."""
    file = tmp_path / "held.yaml"
    venue = 'exchange: binanceusdm, market: swap, balances: {USDT: 100000}, instruments: {"BTC/USDT:USDT": ' + RULES
    file.write_text(
        f"mode: backtest\nvenues:\n  - {{id: binance, {venue}}}}}\nbots:\n"
        '  - {id: f, kind: position, venue: binance, symbol: "BTC/USDT:USDT", side: BUY, amount: 0.138,\n'
        "     triple_barrier: {open_order_type: MARKET, time_limit: 200000000}}\n"
    )
    begin, end = datetime(2020, 1, 1), datetime(2024, 1, 1)
    told = [f"binance={RATES['binance']}"]
    made = backtest(file, None, [f"binance={CANDLES}"], Options(latency_s=0.0), begin, end, told)
    assert isinstance(made, Run)
    assert len(made.fills) == 1
    whole = paid_to(made.fills, end)
    assert made.result.world.bots["f"].funding == whole
    assert whole < -1


def paid_to(fills: Sequence[Fill], end: datetime) -> Decimal:
    """Sum what the recorded rates pay on what was held, without the engine: quantity x price before it x rate, each row."""
    import pyarrow.parquet as pq

    table = pq.read_table(CANDLES).to_pydict()
    stamps = next(table[name] for name in ("timestamp", "ts", "time") if name in table)
    bars = sorted(zip((_ms(one) for one in stamps), table["close"], strict=True))
    opens = [ms for ms, _ in bars]
    whole = Decimal(0)
    for venue in {fill.venue for fill in fills}:
        rates = pq.read_table(RATES[venue]).to_pydict()
        for stamp, rate in zip(rates["timestamp"], rates["funding_rate"], strict=True):
            paid_at = _ms(stamp) // 60_000 * 60_000
            bar = bisect_left(opens, paid_at)
            held = sum(one.qty * one.side.sign for one in fills if one.venue == venue and _ms(one.ts) < paid_at)
            if held == 0 or opens[bar] >= _ms(end):
                continue
            owed = -held * Decimal(str(bars[bar - 1][1])) * Decimal(str(rate))
            whole += owed.quantize(Decimal("1E-8"), rounding=ROUND_FLOOR)
    return whole


def _ms(stamp: object) -> int:
    if isinstance(stamp, datetime):
        return int(stamp.replace(tzinfo=stamp.tzinfo or UTC).timestamp() * 1000)
    assert isinstance(stamp, int)
    return stamp
