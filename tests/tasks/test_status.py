"""`gridkeeper status` for people: every number with its unit and age, and plain text where nobody looks at colours."""

import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from tasks.cli import main
from tasks.publish import FILE_NAME, published_folder
from tests.tasks.dashboard_world import HOSTILE, poison, traded


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published copy of a day."""
    return traded(tmp_path_factory.mktemp("status"), days=1)


def test_numbers_have_units_and_ages(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Prices say their asset and their age, lots theirs, and the copy how old it is."""
    assert main(["status", "--data-dir", str(folder)]) == 0
    page = capsys.readouterr().out
    for words in ("net PnL", "USDT", "open lots", "the oldest", "orders live", " ago"):
        assert words in page, words
    lines = [line.split() for line in page.splitlines()]
    units = lines.index(["entry", "exit", "quantity", "held"]) + 1
    assert lines[units] == ["level", "USDT", "USDT", "BTC", "BTC", "state", "why", "not"]


def test_hostile_words_stay_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Markup of a terminal or a page is shown as it stands in the store."""
    poison(traded(tmp_path, days=1, prices=5))
    assert main(["status", "--data-dir", str(tmp_path)]) == 0
    assert HOSTILE[:20] in capsys.readouterr().out
    with duckdb.connect(published_folder(tmp_path) / FILE_NAME) as con:
        con.execute("UPDATE incidents SET detail = '[/red] ' || chr(27) || '[2J' || chr(8238) || 'x'")
        con.execute("UPDATE bot_state SET mode_reason = chr(27) || ']0;mine' || chr(7)")
    assert main(["status", "--data-dir", str(tmp_path)]) == 0
    page = capsys.readouterr().out
    assert "[/red] \\x1b[2J" in page.replace("\n", " ")
    assert not {"\x1b", "\x07", "\u202e"} & set(page)
    asked = """SELECT detail AS "[/red]" FROM incidents"""
    assert main(["sql", asked, "--data-dir", str(tmp_path)]) == 0
    page = capsys.readouterr().out
    assert page.count("[/red]") >= 2
    assert "\x1b" not in page


@pytest.mark.parametrize("words", [["status"], ["sql", "SELECT 1"]])
def test_before_the_first_tick_it_says_what_to_do(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing published yet is not the question's fault: the refusal names the commands that publish."""
    assert main([*words, "--data-dir", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "nothing was published yet" in said
    assert "gridkeeper up" in said


def test_watching_into_a_pipe_gives_page_after_page_without_colours(folder: Path) -> None:
    """What is piped has no escape codes and comes line by line, again and again."""
    command = [sys.executable, "-m", "tasks.cli", "status", "--data-dir", str(folder), "--watch", "0.2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        text, until = b"", time.monotonic() + 40
        while text.count(b"net PnL") < 3 and time.monotonic() < until:
            text += process.stdout.readline()
        process.kill()
    assert text.count(b"net PnL") == 3
    assert b"\x1b" not in text
