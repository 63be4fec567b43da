"""Sweeps: the runs are those of `backtest`, the same in any process, kept and continued, and never the best row alone."""

import json
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pytest

from tasks import sweep_run
from tasks.backtesting import Options, backtest
from tasks.cli import main
from tasks.errors import Busy, Refused
from tasks.market_store import open_market
from tasks.settings import check
from tasks.sweep import Request, segments_of, sweep
from tasks.sweep_vary import apply
from tasks.yaml_strict import load
from tests.tasks.played import write_candles, write_portfolio

ROOT = Path(__file__).parents[2]
CANDLES = 6000
VARY = ("levels=10:20:3", "triple_barrier.stop_loss=0.02,0.1")


@pytest.fixture
def asked(tmp_path: Path) -> Request:
    """Return a sweep of six configurations over four days of made-up candles."""
    candles = write_candles(tmp_path / "candles.csv", CANDLES)
    file = write_portfolio(tmp_path, candles)
    return Request(
        portfolio=str(file), bot=None, candles=(str(candles),), vary=VARY, options=Options(engine="kernel"), processes=1
    )


def kept(folder: Path, sql: str) -> list[tuple]:
    """Ask the market store, which must not be open."""
    with duckdb.connect(str(folder / "data" / "market.duckdb"), read_only=True) as con:
        return con.execute(sql).fetchall()


def forget(asked: Request) -> None:
    """Remove the market store of a sweep's portfolio."""
    Path(asked.portfolio).with_name("data").joinpath("market.duckdb").unlink()


def test_every_row_is_the_backtest_of_its_configuration(asked: Request, tmp_path: Path) -> None:
    """A row's figures are what `gridkeeper backtest` gives for the same bot over the same stretch."""
    made = sweep(asked)
    row = next(r for r in made.rows if r["segment"] == 1 and r["values"]["levels"] == "15")
    text = Path(asked.portfolio).read_text().replace("levels: 20", "levels: 15, triple_barrier: {stop_loss: 0.02}")
    other = tmp_path / "other.yaml"
    other.write_text(text)
    shared = sweep_run.shared_of(made.job)
    first = shared.series.bar(made.job.segments[1][0]).ts
    alone = backtest(other, None, asked.candles, asked.options, first, None)
    assert row["fills"] > 10
    for name in sweep_run.FIGURES:
        wanted = alone.figures[name]
        assert row[name] == (pytest.approx(wanted, rel=1e-12) if isinstance(wanted, float) else wanted), name


def test_core_and_kernel_give_the_same_rows(asked: Request) -> None:
    """What the kernel does not do may be left to the core without changing the result."""
    fast = sweep(asked)
    slow = sweep(replace(asked, options=Options(engine="core")))
    assert {row["engine"] for row in fast.rows} == {"kernel"}
    assert {row["engine"] for row in slow.rows} == {"core"}
    for one, other in zip(fast.rows, slow.rows, strict=True):
        for name in sweep_run.FIGURES:
            wanted = other[name]
            assert one[name] == (pytest.approx(wanted, rel=1e-9) if isinstance(wanted, float) else wanted), name


def test_what_the_kernel_refuses_runs_on_the_core(asked: Request) -> None:
    """A configuration with a field that only the core knows is run there, and said so."""
    made = sweep(replace(asked, vary=("max_position_size=0.2,200", "levels=5,6")))
    assert [row["engine"] for row in made.rows] == ["core"] * 4 + ["kernel"] * 4
    assert any("needed the core engine" in text for text in made.remarks)


def test_two_processes_give_the_same_rows(asked: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is spread over processes has the digits of one process."""
    alone = sweep(asked)
    forget(asked)
    monkeypatch.setattr("tasks.sweep_runners.WORTH_IT_S", 0.0)
    spread = sweep(replace(asked, processes=2))
    assert spread.resumed == 0
    assert spread.rows == alone.rows
    assert spread.summary == alone.summary


@pytest.mark.server
@pytest.mark.parametrize("runner", ["dask", "ray"])
def test_a_cluster_gives_the_same_rows(asked: Request, tmp_path: Path, runner: str) -> None:
    """Two workers of a real local cluster, through Prefect's task runner, give the digits of one process."""
    if find_spec(f"prefect_{runner}") is None:
        pytest.skip(f"prefect-{runner} is not installed (extra {runner!r})")
    money = (
        "SELECT number, segment, net_pnl, max_drawdown, sharpe, returns_sums FROM backtests ORDER BY number, segment"
    )
    alone = sweep(asked)
    rows = kept(tmp_path, money)
    forget(asked)
    words = [sys.executable, "-m", "tasks.cli", "sweep", "--portfolio", asked.portfolio, "--candles", asked.candles[0]]
    varied = [word for text in VARY for word in ("--vary", text)]
    # A process of its own: it starts a Prefect server for the time of the sweep.
    done = subprocess.run(
        [*words, *varied, "--runner", runner, "--processes", "2", "--json"],
        cwd=ROOT, capture_output=True, check=False, timeout=240, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout)["data"]
    assert (said["sweep_id"], said["resumed"]) == (alone.name, 0)
    assert said["pareto"] == alone.summary["pareto"]
    assert kept(tmp_path, money) == rows


def test_a_sweep_goes_on_where_it_was(asked: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was kept before a crash is read, only the rest runs, and the result is that of a sweep in one go."""
    whole = sweep(asked)
    with open_market(tmp_path / "data") as con:
        con.execute("DELETE FROM backtests WHERE number >= 4")
    ran: list[int] = []
    real = sweep_run._configuration

    def counted(job: object, shared: object, frame: object, room: object, number: int, values: object) -> list[dict]:
        ran.append(number)
        return real(job, shared, frame, room, number, values)  # type: ignore[arg-type]

    monkeypatch.setattr(sweep_run, "_configuration", counted)
    again = sweep(asked)
    assert ran == [4, 5]
    assert (again.name, again.resumed) == (whole.name, 4)
    assert again.rows == whole.rows
    assert again.summary == whole.summary


def test_another_sweep_has_another_id(asked: Request) -> None:
    """Options, candles, stretches and values all decide the id, so that results never mix."""
    names = [
        sweep(one).name
        for one in (
            asked, replace(asked, options=Options(engine="kernel", fill="touch")), replace(asked, walk_forward=2),
            replace(asked, vary=("levels=10:20:3",)), replace(asked, draws=3),
        )
    ]  # fmt: skip
    assert len(set(names)) == len(names)


def test_the_store_holds_all_runs_and_what_was_refused(asked: Request, tmp_path: Path) -> None:
    """Rows have exact money, refused configurations their reason, and the sweep its summary."""
    made = sweep(replace(asked, vary=("levels=10,20,2000",)))
    rows = kept(tmp_path, "SELECT number, segment, net_pnl, refused, config FROM backtests ORDER BY number, segment")
    assert [row[:2] for row in rows] == [(n, s) for n in range(3) for s in range(2)]
    assert [Decimal(row["net_pnl"]) for row in made.rows if row["refused"] is None] == [row[2] for row in rows[:4]]
    assert all("bots[0].levels" in row[3] or "total_amount_quote" in row[3] for row in rows[4:])
    assert made.summary["refused"] == 1
    ((summary, count),) = kept(tmp_path, "SELECT summary, configurations FROM sweeps")
    assert json.loads(summary)["trials"] == 2
    assert count == 3


def test_a_busy_store_is_refused_before_any_work(
    asked: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep whose store another process keeps does not compute for nothing."""
    monkeypatch.setattr("tasks.sweep_store.BUSY_WAIT_S", 0.3)
    (tmp_path / "data").mkdir()
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    words = [sys.executable, "-c", code, str(tmp_path / "data" / "market.duckdb")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(Busy):
            sweep(asked)
        holder.communicate()


def test_walking_forward_cuts_equal_stretches() -> None:
    """Four tests need five stretches, which hold every bar once."""
    cuts = segments_of(1000, 4)
    assert cuts == tuple((200 * i, 200 * i + 200) for i in range(5))
    assert segments_of(1000, None) == ((0, 700), (700, 1000))
    with pytest.raises(Refused, match="too few"):
        segments_of(6, 5)


def test_a_sweep_without_an_allowed_configuration_is_refused(asked: Request, tmp_path: Path) -> None:
    """The first reason is given and nothing is written."""
    with pytest.raises(Refused, match="no configuration is allowed") as caught:
        sweep(replace(asked, vary=("start_price=200,300",)))
    assert "start_price" in caught.value.key
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "values",
    [
        {"levels": "12", "start_price": "95.5"},
        {"triple_barrier.stop_loss": "0.02"},
        {"levels": "many"},
        {"start_price": "200"},
        {"triple_barrier.stop_loss": "-1"},
        {"leverage": "3"},
        {"total_amount_quote": "${AMOUNT}"},
    ],
)
def test_a_frame_says_what_the_whole_file_would(asked: Request, values: dict[str, str]) -> None:
    """A configuration checked alone is the one of the whole portfolio, or is refused with the same key and words."""
    raw = {**load(Path(asked.portfolio).read_text(), "file"), "mode": "backtest"}
    whole = {**raw, "bots": [apply(raw["bots"][0], values)]}
    said: list[object] = []
    for checked in (lambda: sweep_run.Frame(raw).prepare(values)[0], lambda: check(whole, {})):
        try:
            said.append(checked())
        except Refused as refused:
            said.append((refused.key, refused.reason, refused.accepted))
    assert said[0] == said[1]


def test_the_command_prints_and_writes(asked: Request, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON document with walk-forward, Pareto and luck beside the winner; the files lie in --out."""
    words = ["sweep", "--portfolio", asked.portfolio, "--candles", asked.candles[0], "--out", str(tmp_path / "out")]
    assert main([*words, "--vary", VARY[0], "--vary", VARY[1], "--walk-forward", "3", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert {"deflated_sharpe", "walk_forward", "pareto", "rank_correlation", "net_pnl_out_of_sample"} <= data.keys()
    assert len(data["walk_forward"]) == 3
    assert [Path(file).stat().st_size > 0 for file in data["files"]] == [True] * 3
    assert main([*words[:-2], "--vary", VARY[0]]) == 0
    assert "out of sample" in capsys.readouterr().out
