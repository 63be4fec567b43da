"""Kinds of two venues from the command line: examples that run, backtests over recorded prices, four years of funding."""

import json
import shutil
from bisect import bisect_left
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path

import pytest

from tasks.backtesting import Options, Run, backtest
from tasks.cli import main
from tests.tasks.played import write_candles

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


BOTS = {
    "xemm": "kind: xemm, order_amount: 0.5, min_profitability: 0.0005, target_profitability: 0.001, "
    "max_profitability: 0.002, rounds: 5, hedge_deadline_s: 30, unwind_after_s: 60",
    "arbitrage": "kind: arbitrage, order_amount: 0.5, min_profitability: 0.0005, rounds: 5, timeout_s: 30",
}


@pytest.mark.parametrize("kind", ["xemm", "arbitrage"])
def test_a_backtest_over_two_venues_trades_both_sides(kind: str, tmp_path: Path) -> None:
    """Prices that part and meet: what is bought at one venue is sold at the other, to the last lot."""
    minutes = 300
    first = [100 + (i % 40) * 0.05 if i % 80 < 40 else 102 - (i % 40) * 0.05 for i in range(minutes)]
    second = [price * (1.003 if i % 30 < 10 else 1) for i, price in enumerate(first)]
    paths: list[str] = []
    for name, closes in (("a", first), ("b", second)):
        rounded = [round(one, 2) for one in closes]
        rows = [
            (before, max(before, close), min(before, close), close)
            for before, close in zip([rounded[0], *rounded], rounded, strict=False)
        ]
        paths.append(f"{name}={write_candles(tmp_path / f'{name}.csv', rows)}")
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
        "     liquidation_distance: 0.0001}\n"
    )
    return file


@pytest.mark.skipif(not CANDLES.exists(), reason="recorded rates and candles are not beside this checkout")
def test_four_years_of_funding_are_the_sum_of_their_payments(tmp_path: Path) -> None:
    """The ledger's funding of a pair held from 2020 to 2023 is, to the last digit, a sum made without the engine."""
    import pyarrow.parquet as pq

    paths = [f"{name}={CANDLES}" for name in RATES]
    told = [f"{name}={path}" for name, path in RATES.items()]
    begin, end = datetime(2020, 1, 1), datetime(2024, 1, 1)
    made = backtest(funding_years(tmp_path), None, paths, Options(latency_s=0.0), begin, end, told)
    assert isinstance(made, Run)
    held = {fill.venue: fill.qty * fill.side.sign for fill in made.fills}
    assert len(made.fills) == 2
    assert sum(held.values()) == 0
    entered = made.fills[0].ts

    table = pq.read_table(CANDLES).to_pydict()
    stamps = next(table[name] for name in ("timestamp", "ts", "time") if name in table)
    bars = sorted(zip((_ms(one) for one in stamps), table["close"], strict=True))
    opens = [ms for ms, _ in bars]
    whole = Decimal(0)
    for venue, path in RATES.items():
        rates = pq.read_table(path).to_pydict()
        for stamp, rate in zip(rates["timestamp"], rates["funding_rate"], strict=True):
            paid_at = _ms(stamp) // 60_000 * 60_000
            if paid_at <= _ms(entered):
                continue
            bar = bisect_left(opens, paid_at)
            if opens[bar] >= _ms(end):
                continue
            price = Decimal(str(bars[bar - 1][1]))
            owed = -held[venue] * price * Decimal(str(rate))
            whole += owed.quantize(Decimal("1E-8"), rounding=ROUND_FLOOR)
    assert made.result.world.bots["f"].funding == whole
    assert Decimal(made.figures["funding"]) == whole
    assert abs(whole) > 1


def _ms(stamp: object) -> int:
    if isinstance(stamp, datetime):
        return int(stamp.replace(tzinfo=stamp.tzinfo or UTC).timestamp() * 1000)
    assert isinstance(stamp, int)
    return stamp
