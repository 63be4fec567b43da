"""The ladder through the whole house: played ticks with real stores, the same as its backtest, rebuilt, and its example."""

import asyncio
import json
import re
import shutil
from pathlib import Path

import pytest

from tasks.backtesting import Options, Run, backtest
from tasks.cli import main
from tasks.rebuild import rebuild_store
from tests.tasks.played import play, stored, write_candles

ROOT = Path(__file__).parents[2]
BARS = 300


def write_portfolio(folder: Path, *, bot: str = "loop: true") -> Path:
    """Write a paper portfolio with one normal ladder around the walk's start."""
    file = folder / "portfolio.yaml"
    write_candles(folder / "coin.csv", BARS)
    file.write_text(
        f"""\
id: ladder
mode: paper
data_dir: data
venues:
  - {{id: spot, exchange: binance, market: spot, fee_asset: base,
     instruments: {{COIN/USDT: {{tick_size: 0.01, lot_step: 0.001, min_qty: 0.001, min_notional: 5,
       maker: 0.001, taker: 0.001}}}}}}
feed: {{kind: candles, paths: {{spot: coin.csv}}, speed: candle}}
bots:
  - {{id: l1, kind: ladder, venue: spot, symbol: COIN/USDT, distribution: normal, min_price: 85, max_price: 112, count: 24,
     qty: 0.5, profit: 0.006, maker_offset_buy: 0.05, {bot}}}
"""
    )
    return file


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A portfolio whose ladder has traded in four processes."""
    made = write_portfolio(tmp_path_factory.mktemp("ladder"))
    for ticks in (40, 71, 23, BARS):
        play(made, ticks)
    return made


def test_a_run_gives_the_fills_of_its_backtest(file: Path) -> None:
    """The same candles, ticked through by four processes or played at once: the same executions, to the digit."""
    tested = backtest(file, None, [f"spot={file.parent / 'coin.csv'}"], Options())
    assert isinstance(tested, Run)
    rows = stored(file, "SELECT leg_id, side, price, qty, fee, ts FROM fills ORDER BY ts, CAST(trade_id AS INTEGER)")
    fills = sorted(tested.fills, key=lambda one: (one.ts, int(one.trade_id)))
    assert rows == [
        (one.client_id.split("-", 2)[2].rpartition("-")[0], one.side.value, one.price, one.qty, one.fee, one.ts)
        for one in fills
    ]
    assert len(rows) > 40
    assert any(leg.endswith("-1") for leg, *_ in rows)


def test_no_check_of_the_store_finds_anything(file: Path) -> None:
    """Every rule of sql/checks holds."""
    for path in sorted((ROOT / "sql" / "checks").glob("*.sql")):
        assert stored(file, path.read_text()) == [], path.stem


def test_completed_trades_stay_in_the_tables(tmp_path: Path) -> None:
    """Without a loop a trade ends as COMPLETED: its row, its fills and its lot are kept, and nothing of it is wanted."""
    made = write_portfolio(tmp_path, bot="loop: false")
    play(made, BARS)
    done = stored(made, "SELECT level FROM levels WHERE state = 'COMPLETED'")
    assert done
    for (level,) in done:
        assert stored(made, f"SELECT count(*) FROM fills WHERE lot_id = '{level}-0'")[0][0] >= 2
        assert stored(made, f"SELECT count(*) FROM lots WHERE lot_id = '{level}-0'")[0][0] == 1
        live = f"SELECT 1 FROM orders WHERE status = 'OPEN' AND leg_id IN ('e{level}-0', 'x{level}-0', 'e{level}-1')"
        assert stored(made, live) == []
    states = {state for (state,) in stored(made, "SELECT state FROM levels")}
    assert states <= {"PENDING_ENTRY", "PLACED_ENTRY", "FILLED_WAIT", "PLACED_EXIT", "COMPLETED"}


def test_a_lost_store_is_rebuilt_from_the_exchange(tmp_path: Path) -> None:
    """The same lots and the same resting orders, and no incident afterwards."""
    made = write_portfolio(tmp_path)
    play(made, 120)
    lots = "SELECT lot_id, side, qty, cost FROM lots WHERE qty > 0 ORDER BY lot_id"
    resting = "SELECT client_id, side, price, qty FROM orders WHERE status = 'OPEN' ORDER BY client_id"
    before = stored(made, lots), stored(made, resting)
    assert before[0]
    asyncio.run(rebuild_store(made))
    assert (stored(made, lots), stored(made, resting)) == before
    assert sum(one.incidents for one in play(made, 20)) == 0


def test_a_wrong_key_is_named_by_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error says bots[0] and the key, without the kind; nothing is written."""
    made = write_portfolio(tmp_path, bot="steps: 3")
    assert main(["run", "--portfolio", str(made), "--ticks", "1", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["key"] == "bots[0].steps"
    assert not (tmp_path / "data").exists()


def test_the_example_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Some ticks on made-up prices: orders are placed, and nothing is amiss."""
    (tmp_path / "examples").mkdir()
    made = shutil.copy(ROOT / "examples/ladder.yaml", tmp_path / "examples/ladder.yaml")
    assert main(["run", "--portfolio", str(made), "--ticks", "3", "--interval", "0", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["data"]
    assert (told["ticks"], told["incidents"]) == (3, 0)
    assert told["orders_placed"] >= 8


def test_features_name_their_tests() -> None:
    """Each row of document 001's section in docs/coverage.md names a test that is there."""
    section = (ROOT / "docs/coverage.md").read_text().split("## Document 001\n")[1].split("\n## ")[0]
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", section)
    assert len(named) >= 20
    for path, test in named:
        assert f"def {test}(" in (ROOT / path).read_text(), test
