"""Alerts on their whole way: from a tick through thread, outbox and process to a web server on this machine."""

import logging
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.engine.world import Incident
from core.portfolio import Alerts
from tasks import alerts, inbox
from tasks.alerts_outbox import Outbox
from tasks.errors import Refused
from tests.tasks.dashboard_world import HOSTILE
from tests.tasks.mailbox import mailbox
from tests.tasks.played import play, write_candles, write_portfolio

NOW = datetime(2025, 6, 1, 12)


def incident(kind: str) -> Incident:
    """An incident of a kind."""
    return Incident(kind, "g1", "COIN/USDT", "critical", f"what happened to {kind}", NOW)


def test_an_incident_reaches_the_address_and_its_end_too(tmp_path: Path) -> None:
    """Raised and resolved in a running process: two messages, with what and when."""
    with mailbox() as box:
        teller = alerts.Teller(tmp_path, "test", Alerts.model_validate([box.url]), {})
        one = incident("no_price")
        teller.tell([one], (), {one.key: one})
        first = box.wait_for(1)[0]
        assert first["title"] == "gridkeeper test: 1 critical"
        assert "what happened to no_price" in first["message"]
        assert first["type"] == "failure"
        teller.tell((), [one.key], {})
        assert box.wait_for(2)[1]["type"] == "success"
        teller.close()


def test_markup_in_an_incident_stays_words(tmp_path: Path) -> None:
    """A service that shows HTML gets what an exchange or a name brought along as text, on its own line."""
    with mailbox() as box:
        teller = alerts.Teller(tmp_path, "test", Alerts.model_validate([f"{box.url}?format=html"]), {})
        told = [Incident(kind, "g1", HOSTILE, "critical", f"{HOSTILE} {kind}", NOW) for kind in ("no_price", "halted")]
        teller.tell(told, (), {one.key: one for one in told})
        message = box.wait_for(1)[0]["message"]
        assert "<script" not in message
        assert "<img" not in message
        assert "&lt;script&gt;" in message
        assert "<br/>" in message
        teller.close()


def test_a_dead_address_delays_neither_the_tick_nor_the_stop(tmp_path: Path) -> None:
    """Where the address never answers, telling takes no time, and stopping a moment; the next start sends it."""
    with mailbox() as box:
        box.wait_s = 20.0
        config = Alerts.model_validate([box.url])
        teller = alerts.Teller(tmp_path, "test", config, {})
        one = incident("drawdown")
        began = time.perf_counter()
        for _ in range(2_000):  # more than the queue holds
            teller.tell([one], (), {one.key: one})
        assert time.perf_counter() - began < 0.5
        time.sleep(1.0)
        began = time.perf_counter()
        teller.close()
        assert time.perf_counter() - began < 4.0
        box.wait_s = 0.0
        later = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=61)
        assert alerts.deliver(Outbox(tmp_path), config, later) == (1, 0)
        assert box.titles == ["gridkeeper test: 1 critical"]


def test_an_address_that_refuses_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A refusal keeps the message; nothing of the address stands in the log or in the outbox, whatever the log level."""
    with caplog.at_level(logging.DEBUG), mailbox() as box:
        box.status = 500
        config = Alerts.model_validate([box.url])
        outbox = Outbox(tmp_path)
        now = datetime.now(UTC).replace(tzinfo=None)
        outbox.take("tick", {"a/b/c": ("critical", "text")}, (), now)
        alerts.post(outbox, tmp_path, "test", config, now)
        assert alerts.deliver(outbox, config, now) == (0, 1)
        box.status = 200
        later = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=15)
        assert alerts.deliver(outbox, config, later) == (1, 0)
    assert "could not be sent" in caplog.text
    assert "canary7391" not in caplog.text
    assert all(b"canary7391" not in path.read_bytes() for path in tmp_path.iterdir())


def test_the_digest_says_what_stands_and_what_the_bots_earned(tmp_path: Path) -> None:
    """Once a day: counts, standing incidents, and a line for each bot from the published copy."""
    file = write_portfolio(tmp_path, write_candles(tmp_path / "candles.csv", 60))
    play(file, 50)
    folder = tmp_path / "data"
    with mailbox() as box:
        config = Alerts.model_validate({"urls": [box.url], "digest_at": "08:00"})
        outbox = Outbox(folder)
        outbox.take("tick", {"a/b/c": ("critical", "text")}, (), NOW)
        for hours in (0, 24, 25):
            at = NOW + timedelta(hours=hours)
            alerts.post(outbox, folder, "test", config, at)
            alerts.deliver(outbox, config, at)
    assert box.titles == ["gridkeeper test: 1 critical", "gridkeeper test: daily digest"]
    digest = box.mails[1]["message"]
    assert "1 standing" in digest
    assert "g1: run, net PnL" in digest


def test_a_tick_that_raises_an_incident_tells_of_it(tmp_path: Path) -> None:
    """The whole way: a word for a bot that is not there becomes an incident and arrives."""
    with mailbox() as box:
        file = write_portfolio(tmp_path, write_candles(tmp_path / "candles.csv", 60), more=f"alerts: ['{box.url}']")
        inbox.submit(tmp_path / "data", "ghost", "pause", "anna", "")
        play(file, 5)
        assert "unknown_bot/ghost/pause" in box.wait_for(1)[0]["message"]


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"urls": ["nowhere://canary7391"]}, r"alerts\.urls\[0\]"),
        ({"zone": "Mars/Olympus"}, r"alerts\.zone"),
    ],
)
def test_what_cannot_be_used_is_refused_without_showing_it(config: dict, key: str) -> None:
    """An address that apprise does not know, or a zone that nobody knows, ends the start with the key's name."""
    with pytest.raises(Refused, match=key) as refused:
        alerts.check(Alerts.model_validate(config))
    assert "canary7391" not in str(refused.value)
