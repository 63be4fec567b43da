"""`gridkeeper status` for people: every number with its unit and age, and plain text where nobody looks at colours."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.cli import main
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
