"""Words of control beyond the inbox: what they would do, an incident acknowledged, and a bot closed here and now."""

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks import heartbeat, inbox
from tasks.cli import main
from tests.tasks.played import play, stored, write_candles, write_portfolio


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a portfolio that has traded for 150 of 400 candles."""
    folder = tmp_path_factory.mktemp("traded")
    play(write_portfolio(folder, write_candles(folder / "candles.csv", 400)), 150)
    return folder


@pytest.fixture
def portfolio(traded: Path, tmp_path: Path) -> Path:
    """Return a copy of that portfolio."""
    shutil.copytree(traded, tmp_path, dirs_exist_ok=True)
    return tmp_path / "portfolio.yaml"


def told(capsys: pytest.CaptureFixture[str], file: Path, *words: str) -> tuple[int, dict]:
    """Run `control` with --json; returns its exit code and its document."""
    capsys.readouterr()
    code = main(["control", *words, "--portfolio", str(file), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_dry_run_of_flatten_shows_what_then_happens(portfolio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every order that it says it would cancel is cancelled by the real word, and it sells what is held; nothing is stored."""
    code, document = told(capsys, portfolio, "g1", "flatten", "--dry-run")
    shown = document["data"]["orders"]
    held = stored(portfolio, "SELECT inventory FROM bot_state")[0][0]
    before = {leg for (leg,) in stored(portfolio, "SELECT leg_id FROM orders WHERE status = 'OPEN'")}
    assert code == 0
    assert {one["leg"] for one in shown if one["do"] == "cancel"} == before
    sales = [one for one in shown if one["do"] == "place"]
    assert [one["side"] for one in sales] == ["sell"]
    assert float(sales[0]["qty"]) == pytest.approx(float(held), abs=0.001)
    assert not (portfolio.parent / "data" / "inbox.sqlite").exists()
    inbox.submit(portfolio.parent / "data", "g1", "flatten", "anna", "")
    play(portfolio, 1)
    assert stored(portfolio, "SELECT leg_id FROM orders WHERE status = 'OPEN' AND role <> 'unwind'") == []


@pytest.mark.parametrize(
    ("word", "mode", "cancels"), [("pause", "paused", False), ("halt", "halted", True), ("cancel", "run", True)]
)
def test_a_dry_run_names_the_mode_that_follows(
    word: str, mode: str, cancels: bool, portfolio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pause leaves orders alone; halt and cancel take the entries off."""
    _, document = told(capsys, portfolio, "g1", word, "--dry-run")
    assert document["data"]["mode"] == mode
    assert {one["role"] for one in document["data"]["orders"] if one["do"] == "cancel"} == (
        {"entry"} if cancels else set()
    )


def test_an_incident_is_acknowledged_by_its_number(portfolio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is resolved by the next tick, and the journal says who did it and why; another number is refused."""
    data = portfolio.parent / "data"
    inbox.submit(data, "ghost", "pause", "anna", "")
    play(portfolio, 1)
    number = stored(portfolio, "SELECT id FROM incidents WHERE resolved_at IS NULL")[0][0]
    words = ["account", "acknowledge", "--incident"]
    assert told(capsys, portfolio, *words, "999")[0] == 2
    assert told(capsys, portfolio, *words, str(number), "--note", "seen")[0] == 0
    play(portfolio, 1)
    assert stored(portfolio, "SELECT id FROM incidents WHERE resolved_at IS NULL") == []
    reasons = stored(portfolio, "SELECT reason FROM journal WHERE decision = 'acknowledge'")
    assert "unknown_bot/ghost/pause resolved by hand" in reasons[0][0]
    assert "seen" in reasons[0][0]


def test_an_incident_that_does_not_stand_cannot_be_acknowledged(portfolio: Path) -> None:
    """The journal says so, and names those that stand."""
    inbox.submit(portfolio.parent / "data", "account", "acknowledge", "anna", "", "a/b/c")
    play(portfolio, 1)
    assert (
        "no incident 'a/b/c' stands"
        in stored(portfolio, "SELECT reason FROM journal WHERE decision = 'acknowledge'")[0][0]
    )


def test_flatten_now_acts_where_nobody_else_does(portfolio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It takes the store, closes the position at the market, halts the bot, and places no entry of anybody."""
    last = stored(portfolio, "SELECT max(created_at) FROM orders")[0][0]
    code, document = told(capsys, portfolio, "g1", "flatten", "--now", "--note", "leaving")
    assert code == 0
    assert document["data"]["acted"]
    assert stored(portfolio, "SELECT mode, inventory FROM bot_state") == [("halted", 0)]
    assert stored(portfolio, "SELECT count(*) FROM orders WHERE status IN ('OPEN', 'PENDING')") == [(0,)]
    assert stored(portfolio, f"SELECT DISTINCT role FROM orders WHERE created_at > '{last}'") == [("unwind",)]
    assert "leaving" in stored(portfolio, "SELECT reason FROM journal WHERE decision = 'flatten'")[0][0]


HOLD = """
import sys, time
from tasks.store import open_store
store = open_store(sys.argv[1])
print("held", flush=True)
time.sleep(120)
"""


def test_flatten_now_leaves_it_to_a_process_that_ticks_and_names_one_that_does_not(
    portfolio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The holder of the store obeys while it ticks; once it is silent, exit code 3 says which process to end."""
    data = portfolio.parent / "data"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(data)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        now = datetime.now(UTC).replace(tzinfo=None)
        beat = {"tick_id": 151, "at": now.isoformat(), "pid": holder.pid}
        (data / heartbeat.FILE_NAME).write_text(json.dumps(beat))
        code, document = told(capsys, portfolio, "g1", "flatten", "--now")
        assert (code, document["data"]["acted"]) == (0, False)
        heartbeat.beat(data, 151, now - timedelta(seconds=61))
        code, document = told(capsys, portfolio, "g1", "flatten", "--now")
        assert code == 3
        assert str(holder.pid) in document["error"]["reason"]
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    assert len(inbox.pending(data)) == 2


def test_now_is_for_flatten_alone(portfolio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Any other word waits for its tick."""
    code, document = told(capsys, portfolio, "g1", "pause", "--now")
    assert (code, document["error"]["key"]) == (2, "--now")
