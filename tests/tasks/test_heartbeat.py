"""A missing tick is noticed from outside the tick's process: alarm once, all clear once, exit code 3 for cron."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.portfolio import Alerts
from tasks import heartbeat
from tasks.cli import main
from tests.tasks.mailbox import mailbox
from tests.tasks.played import play, write_candles, write_portfolio

NOON = datetime(2025, 6, 1, 12)


def test_silence_is_told_once_and_life_once(tmp_path: Path) -> None:
    """However often cron looks: one alarm, one all clear."""
    with mailbox() as box:
        config = Alerts.model_validate([box.url])
        heartbeat.beat(tmp_path, 7, NOON)
        ages = [30, 61, 70, 600]
        looks = [heartbeat.look(tmp_path, "test", config, NOON + timedelta(seconds=age)) for age in ages]
        assert [look.alive for look in looks] == [True, False, False, False]
        assert [look.sent for look in looks] == [0, 1, 0, 0]
        assert "orders rest unwatched" in box.mails[0]["message"]
        heartbeat.beat(tmp_path, 8, NOON + timedelta(seconds=700))
        assert heartbeat.look(tmp_path, "test", config, NOON + timedelta(seconds=701)).alive
    assert [title.split(": ")[1] for title in box.titles] == ["1 critical", "1 resolved"]


@pytest.mark.parametrize("text", ["", "{}", '{"tick_id": 1, "at": "yesterday", "pid": 1}', "[]"])
def test_a_broken_sign_of_life_is_none(text: str, tmp_path: Path) -> None:
    """What cannot be read is no beat, and no error either."""
    (tmp_path / heartbeat.FILE_NAME).write_text(text)
    assert heartbeat.last_beat(tmp_path) is None


def test_a_beat_from_the_future_is_no_life(tmp_path: Path) -> None:
    """A clock that was set back by an hour must not hide a dead process for an hour."""
    heartbeat.beat(tmp_path, 1, NOON + timedelta(hours=1))
    assert not heartbeat.look(tmp_path, "test", Alerts(), NOON).alive


def test_cron_gets_exit_code_3_and_one_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command tells a program all it needs, before the first tick, after one, and when it is long ago."""
    file = write_portfolio(tmp_path, write_candles(tmp_path / "candles.csv", 20))
    words = ["doctor", "--heartbeat", "--portfolio", str(file), "--json"]
    assert main(words) == 3
    play(file, 3)
    assert main(words) == 0
    heartbeat.beat(tmp_path / "data", 3, datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=61))
    assert main(words) == 3
    assert main([*words, "--max-age", "3600"]) == 0
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["data"]["alive"] for one in documents] == [False, True, False, True]
    assert documents[2]["data"]["age_s"] > 60
