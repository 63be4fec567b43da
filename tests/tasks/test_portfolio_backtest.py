"""All bots of a portfolio together: shared money, shared limits, and sums that are the accounts' own."""

import json
import random
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.kernel import ArraySeries
from core.values import total
from tasks.assemble import instruments_of, paper_token, spec_of
from tasks.backtesting import Options, backtest
from tasks.cli import main
from tasks.errors import Refused
from tasks.portfolio_backtest import PortfolioRun, account_change, run_specs
from tasks.settings import check
from tests.tasks.played import START, write_candles
from tests.tasks.test_backtest_funding import payments, write_rates

RULES = "{tick_size: 0.01, lot_step: 0.001, min_qty: 0.001, min_notional: 1, maker: 0.0002, taker: 0.0005}"
GRID = "start_price: 90, end_price: 110, levels: 10, initial_inventory: market"


def portfolio(folder: Path, bots: list[str], more: str = "", balances: str = "") -> Path:
    """Write a portfolio of a spot and a swap account with these bots."""
    file = folder / "many.yaml"
    lines = "\n".join(f"  - {{{bot}}}" for bot in bots)
    file.write_text(
        f"""\
mode: backtest
data_dir: data
venues:
  - {{id: spot, exchange: binance, instruments: {{COIN/USDT: {RULES}, ORE/USDT: {RULES}}}{balances}}}
  - {{id: perp, exchange: binanceusdm, market: swap, instruments: {{"COIN/USDT:USDT": {RULES}}}{balances}}}
{more}
bots:
{lines}
"""
    )
    return file


def spot(name: str, quote: int = 1000, symbol: str = "COIN/USDT") -> str:
    """A spot grid."""
    return f"id: {name}, kind: grid, venue: spot, symbol: {symbol}, total_amount_quote: {quote}, {GRID}"


def perp(name: str, quote: int = 1000) -> str:
    """A grid on the perpetual."""
    return f'id: {name}, kind: grid, venue: perp, symbol: "COIN/USDT:USDT", total_amount_quote: {quote}, {GRID}'


def run_all(file: Path, candles: list[str], **more: object) -> PortfolioRun:
    """Backtest the whole file."""
    made = backtest(file, None, candles, Options(), **more)  # type: ignore[arg-type]
    assert isinstance(made, PortfolioRun)
    return made


def test_a_portfolio_is_counted_in_sum_and_by_bot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command gives the sums at the top, each bot's figures beside them, and keeps a run for each bot."""
    candles = write_candles(tmp_path / "candles.csv", 400)
    ore = write_candles(tmp_path / "ore.csv", 380, seed=3)
    (tmp_path / "data").mkdir()
    file = portfolio(tmp_path, [spot("a"), spot("b", 2000, "ORE/USDT"), perp("c")])
    words = ["backtest", "--portfolio", str(file), "--json", "--out", str(tmp_path / "out")]
    words += [
        "--candles",
        f"spot:COIN/USDT={candles}",
        "--candles",
        f"spot:ORE/USDT={ore}",
        "--candles",
        f"perp={candles}",
    ]
    assert main(words) == 0
    said = json.loads(capsys.readouterr().out)
    assert set(said["bots"]) == {"a", "b", "c"}
    assert said["bars"] == 380
    assert any("20 candles" in text for text in said["warnings"])
    for name in ("net_pnl", "fees", "final_equity", "realized_pnl"):
        assert Decimal(said[name]) == total(Decimal(one[name]) for one in said["bots"].values())
    assert said["fills"] == sum(one["fills"] for one in said["bots"].values()) > 20
    assert len({one["run_id"] for one in said["bots"].values()}) == 3
    assert {"report.html", "equity.parquet", "fills.parquet"} <= {Path(path).name for path in said["files"]}


def test_bots_that_share_nothing_trade_as_they_do_alone(tmp_path: Path) -> None:
    """With ample money, two bots together have exactly the fills that each has alone, but for the trades' numbers."""
    candles = str(write_candles(tmp_path / "candles.csv", 400))
    bots = [spot("a"), perp("b")]
    together = run_all(portfolio(tmp_path, bots), [candles])
    for name in ("a", "b"):
        alone = backtest(portfolio(tmp_path, bots), name, [candles], Options())
        told = [(f.ts, f.client_id, f.price, f.qty, f.fee) for f in alone.fills]  # type: ignore[union-attr]
        assert [(f.ts, f.client_id, f.price, f.qty, f.fee) for f in together.runs[name].fills] == told
        assert together.figures["bots"][name]["net_pnl"] == alone.figures["net_pnl"]


def series_of(prices: list[int]) -> ArraySeries:
    """Candles of a minute between neighbouring prices (in cents), without wicks."""
    opens, closes = np.array(prices[:-1], dtype=np.int64), np.array(prices[1:], dtype=np.int64)
    first = int((START - datetime(1970, 1, 1)).total_seconds() * 1000)
    ts = first + 60_000 * np.arange(len(opens), dtype=np.int64)
    high, low = np.maximum(opens, closes), np.minimum(opens, closes)
    return ArraySeries(ts, opens, high, low, closes, np.ones_like(ts), scale=2, volume_scale=0)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    prices=st.lists(st.integers(8_800, 11_200), min_size=4, max_size=25),
    quotes=st.tuples(st.integers(200, 3_000), st.integers(200, 3_000), st.integers(200, 3_000)),
    balance=st.sampled_from([500, 1_500, 100_000]),
    seed=st.integers(0, 99),
)
def test_what_bots_earn_is_what_the_accounts_gained(
    prices: list[int], quotes: tuple[int, int, int], balance: int, seed: int
) -> None:
    """Over any small series, with money for all or not: the sum of the bots' net profit is the accounts' change, exactly."""
    rule = {"tick_size": "0.01", "lot_step": "0.001", "min_qty": "0.001", "min_notional": "1", "maker": "0.0002"}
    grid = {"kind": "grid", "start_price": "90", "end_price": "110", "levels": 7, "initial_inventory": "market"}
    money = {"USDT": balance}
    places = [("spot", "COIN/USDT"), ("perp", "COIN/USDT:USDT"), ("perp", "COIN/USDT:USDT")]
    loaded = check(
        {
            "mode": "backtest",
            "venues": [
                {"id": "spot", "exchange": "binance", "instruments": {"COIN/USDT": rule}, "balances": money},
                {
                    "id": "perp", "exchange": "binanceusdm", "market": "swap", "balances": money,
                    "instruments": {"COIN/USDT:USDT": rule},
                },
            ],
            "bots": [
                {"id": f"b{i}", "venue": venue, "symbol": symbol, "total_amount_quote": quote, **grid}
                for i, ((venue, symbol), quote) in enumerate(zip(places, quotes, strict=True))
            ],
        },
        {},
    )  # fmt: skip
    rules = instruments_of(loaded, {}, {})
    specs = {b.id: spec_of(b, rules, paper_token(loaded.id), key="bots") for b in loaded.bots}
    series = series_of(prices)
    dice = random.Random(seed)
    rates = [(int(series.ts[i]), Decimal(dice.randint(-300, 300)).scaleb(-5), 60.0) for i in range(1, len(series), 2)]
    markets = dict.fromkeys(places, series)
    made = run_specs(loaded, specs, markets, "1m", Options(latency_s=0.0), {places[1]: rates})
    assert total(Decimal(one.figures["net_pnl"]) for one in made.runs.values()) == account_change(made)
    assert Decimal(made.figures["net_pnl"]) == account_change(made)


def test_two_bots_on_one_perpetual_share_its_funding(tmp_path: Path) -> None:
    """What the account is paid is what both bots book, each by what it holds."""
    candles = str(write_candles(tmp_path / "candles.csv", 3000))
    rates = write_rates(tmp_path / "rates.csv", payments())
    bots = [perp("a", 1000), perp("b", 3000)]
    made = run_all(portfolio(tmp_path, bots), [candles], funding=[f"perp={rates}"])
    funding = {name: Decimal(one["funding"]) for name, one in made.figures["bots"].items()}
    assert all(funding.values())
    assert abs(funding["b"] / funding["a"] - 3) < Decimal("0.1")
    assert Decimal(made.figures["net_pnl"]) == account_change(made)


def test_a_shared_margin_declines_the_second_bots_entries(tmp_path: Path) -> None:
    """Money that does for one bot does not do for two: the venue refuses, and the bot that came second trades less."""
    candles = str(write_candles(tmp_path / "candles.csv", 400))
    file = portfolio(tmp_path, [perp("a"), perp("b")], balances=", balances: {USDT: 1200}")
    alone = backtest(file, "b", [candles], Options())
    together = run_all(file, [candles])
    words = [row.reason for _, step in together.runs["b"].steps for row in step.journal]
    assert any("not enough free balance" in text for text in words)
    assert together.figures["bots"]["a"]["fills"] > together.figures["bots"]["b"]["fills"]
    assert together.figures["bots"]["b"]["fills"] < alone.figures["fills"]
    assert Decimal(together.figures["net_pnl"]) == account_change(together)


def test_a_limit_of_the_account_counts_all_bots(tmp_path: Path) -> None:
    """`max_exposure_quote` is over both bots together, at every moment."""
    candles = str(write_candles(tmp_path / "candles.csv", 400))
    file = portfolio(tmp_path, [spot("a"), perp("b")], more="risk: {max_exposure_quote: 1100}")
    made = run_all(file, [candles])
    assert made.figures["exposure_max"] != "0"
    assert Decimal(made.figures["exposure_max"]) < Decimal(1250)
    words = [row.reason for _, step in made.runs["b"].steps for row in step.journal]
    assert any("max_exposure_quote" in text for text in words)


def test_jumping_changes_nothing(tmp_path: Path) -> None:
    """Skipping quiet bars gives the same fills for all bots as looking at each."""
    candles = str(write_candles(tmp_path / "candles.csv", 300))
    file = portfolio(tmp_path, [spot("a"), perp("b")], more="risk: {max_exposure_quote: 1500, max_drawdown: 0.2}")
    fast, slow = run_all(file, [candles]), backtest(file, None, [candles], Options(jump=False))
    assert isinstance(slow, PortfolioRun)
    for name, one in fast.runs.items():
        assert one.fills == slow.runs[name].fills
    assert fast.result.visited < slow.result.visited


@pytest.mark.parametrize(
    ("candles", "word"),
    [
        (["spot:COIN/USDT=FILE"], "no candles for ORE/USDT at spot"),
        (["FILE"], "no candles for COIN/USDT at spot"),
        (["spot=FILE"], "no candles for COIN/USDT at spot"),
        ([], "no candles for COIN/USDT at spot"),
    ],
)
def test_a_market_without_candles_is_named(tmp_path: Path, candles: list[str], word: str) -> None:
    """Where files do not say which market they are of, the first that lacks one is named, with all that are wanted."""
    path = str(write_candles(tmp_path / "candles.csv", 20))
    file = portfolio(tmp_path, [spot("a"), spot("b", symbol="ORE/USDT")])
    with pytest.raises(Refused, match=word) as refused:
        run_all(file, [text.replace("FILE", path) for text in candles])
    assert "spot:ORE/USDT=FILE" in str(refused.value.accepted)


def test_the_kernel_runs_one_bot(tmp_path: Path) -> None:
    """Compiled code knows no shared account, and says so."""
    path = str(write_candles(tmp_path / "candles.csv", 20))
    with pytest.raises(Refused, match="one bot"):
        backtest(portfolio(tmp_path, [spot("a"), perp("b")]), None, [path], Options(engine="kernel"))


def test_files_that_do_not_overlap_are_refused(tmp_path: Path) -> None:
    """Two markets without a common candle cannot be played together."""
    first, second = write_candles(tmp_path / "a.csv", 20), write_candles(tmp_path / "b.csv", 20)
    moved = (START + timedelta(days=3)).strftime("%Y-%m-%d")
    second.write_text(second.read_text().replace("2025-01-01", moved))
    file = portfolio(tmp_path, [spot("a"), spot("b", symbol="ORE/USDT")])
    with pytest.raises(Refused, match="share no candle"):
        run_all(file, [f"spot:COIN/USDT={first}", f"spot:ORE/USDT={second}"])
