"""Alarms are told once when raised and once when over, through quiet hours, crashes and addresses that refuse."""

import stat
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from core.portfolio import Alerts
from tasks.alerts_hours import digest_day, is_quiet
from tasks.alerts_outbox import LINES_MAX, Manner, Outbox

NOON = datetime(2025, 6, 1, 12)
LOUD = Manner("warning", timedelta(seconds=600), quiet=False)
QUIET = Manner("warning", timedelta(seconds=600), quiet=True)
A = ["here"]


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    """Return an empty outbox."""
    return Outbox(tmp_path)


def bodies(outbox: Outbox, now: datetime) -> list[str]:
    """Take the messages that are due and say that they were sent."""
    mails = outbox.mails(now)
    outbox.sent([mail.number for mail in mails])
    return [mail.body for mail in mails]


def raised(*keys: str, severity: str = "critical") -> dict[str, tuple[str, str]]:
    """Incidents by key, as `take` wants them."""
    return {key: (severity, f"detail of {key}") for key in keys}


def test_an_incident_is_told_once_and_resolved_once(outbox: Outbox) -> None:
    """However often it is looked at, one message says that it stands and one that it is over."""
    for second in range(3):
        outbox.take("tick", raised("no_price/g1/COIN"), (), NOON + timedelta(seconds=second))
        outbox.write_mails("test", A, LOUD, NOON + timedelta(seconds=second))
    assert len(bodies(outbox, NOON + timedelta(seconds=9))) == 1
    for second in range(10, 13):
        outbox.take("tick", {}, ["no_price/g1/COIN"], NOON + timedelta(seconds=second))
        outbox.write_mails("test", A, LOUD, NOON + timedelta(seconds=second))
    assert [body.split()[0] for body in bodies(outbox, NOON + timedelta(seconds=20))] == ["RESOLVED"]


def test_an_incident_that_ends_and_stands_anew_in_one_commit_stands(outbox: Outbox) -> None:
    """What was resolved in a commit was resolved before what it raised."""
    outbox.take("tick", raised("drawdown//account"), (), NOON)
    outbox.take("tick", raised("drawdown//account"), ["drawdown//account"], NOON + timedelta(seconds=5))
    assert [one.key for one in outbox.standing()] == ["drawdown//account"]


def test_an_incident_that_flaps_is_held_and_one_that_stays_is_told(outbox: Outbox) -> None:
    """What comes back within `again_after_s` is told once it stands after that time."""
    for minute in range(8):
        at = NOON + timedelta(minutes=minute)
        outbox.take("tick", raised("venue_unreadable//spot", severity="warning"), (), at)
        outbox.write_mails("test", A, LOUD, at)
        outbox.take("tick", {}, ["venue_unreadable//spot"], at + timedelta(seconds=5))
        outbox.write_mails("test", A, LOUD, at + timedelta(seconds=5))
    assert len(bodies(outbox, NOON + timedelta(hours=1))) == 2
    outbox.take("tick", raised("venue_unreadable//spot", severity="warning"), (), NOON + timedelta(minutes=9))
    assert outbox.write_mails("test", A, LOUD, NOON + timedelta(minutes=9)) == 0
    assert outbox.write_mails("test", A, LOUD, NOON + timedelta(minutes=11)) == 1
    assert "9 times so far" in bodies(outbox, NOON + timedelta(hours=1))[0]


def test_quiet_hours_hold_all_but_what_is_critical(outbox: Outbox) -> None:
    """A warning waits for the morning; one that is over by then is not told at all; a critical one is told at night."""
    outbox.take("tick", raised("one//", "two//", severity="warning") | raised("three//"), (), NOON)
    assert outbox.write_mails("test", A, QUIET, NOON) == 1
    assert "three//" in bodies(outbox, NOON)[0]
    outbox.take("tick", {}, ["one//"], NOON + timedelta(hours=1))
    assert outbox.write_mails("test", A, QUIET, NOON + timedelta(hours=1)) == 0
    assert outbox.write_mails("test", A, LOUD, NOON + timedelta(hours=2)) == 1
    assert "two//" in bodies(outbox, NOON + timedelta(hours=2))[0]


def test_what_stands_after_a_crash_is_told_and_what_is_gone_is_resolved(outbox: Outbox) -> None:
    """The start holds what stands against what was told; alarms of another source are left alone."""
    outbox.take("tick", raised("old//"), (), NOON)
    outbox.take("heartbeat", raised("no_tick//process"), (), NOON)
    outbox.write_mails("test", A, LOUD, NOON)
    outbox.take("tick", {}, (), NOON + timedelta(hours=1), standing=raised("new//"))
    assert {one.key for one in outbox.standing()} == {"no_tick//process", "new//"}
    assert outbox.write_mails("test", A, LOUD, NOON + timedelta(hours=1)) == 2


def test_many_incidents_make_one_message(outbox: Outbox) -> None:
    """A storm is one message, the gravest first, with the count of those that it does not list."""
    outbox.take("tick", raised(*(f"w{n}//" for n in range(20)), severity="warning") | raised("c//"), (), NOON)
    outbox.write_mails("test", A, LOUD, NOON)
    mails = outbox.mails(NOON)
    assert [mail.title for mail in mails] == ["gridkeeper test: 1 critical, 20 warning"]
    assert mails[0].body.startswith("CRITICAL c//")
    assert mails[0].body.count("\n") == LINES_MAX
    assert "and 11 more" in mails[0].body


def test_each_address_gets_its_message_and_is_tried_less_and_less_often(outbox: Outbox) -> None:
    """One that refuses does not make another get it twice; what is taken by one process is not seen by another."""
    outbox.take("tick", raised("a//"), (), NOON)
    outbox.write_mails("test", ["good", "bad"], LOUD, NOON)
    good, bad = outbox.mails(NOON)
    assert outbox.mails(NOON) == []
    outbox.sent([good.number])
    waits = []
    at = NOON
    for _ in range(4):
        outbox.failed([bad.number], at)
        wait_s = next(s for s in range(0, 4_000, 5) if outbox.mails(at + timedelta(seconds=s)))
        waits.append(wait_s)
        at += timedelta(seconds=wait_s)
    assert waits == [10, 20, 40, 80]
    assert outbox.waiting() == (1, 1)
    assert outbox.mails(at + timedelta(days=2)) == []


def test_the_outbox_is_its_owners_alone_and_holds_no_message_of_a_dropped_address(outbox: Outbox) -> None:
    """Details name bots and sums; an address that left the portfolio file gets nothing any more."""
    outbox.take("tick", raised("a//"), (), NOON)
    outbox.write_mails("test", ["left"], LOUD, NOON)
    assert stat.S_IMODE(outbox.path.stat().st_mode) == 0o600
    assert outbox.mails(NOON, ["other"]) == []
    assert outbox.waiting() == (0, 0)


@pytest.mark.parametrize(
    ("clock", "quiet"), [("19:59", False), ("20:00", True), ("21:59", True), ("04:59", True), ("05:00", False)]
)
def test_quiet_hours_cross_midnight_in_their_own_zone(clock: str, quiet: bool) -> None:
    """22:00 to 07:00 in Berlin is 20:00 to 05:00 UTC in summer."""
    config = Alerts.model_validate({"quiet_hours": {"from": "22:00", "to": "07:00"}, "zone": "Europe/Berlin"})
    assert is_quiet(config, datetime.fromisoformat(f"2025-06-01 {clock}")) is quiet


def test_the_digest_is_due_once_a_day_at_its_hour() -> None:
    """Before 08:00 in Berlin it is still yesterday's that was due."""
    config = Alerts.model_validate({"digest_at": "08:00", "zone": "Europe/Berlin"})
    assert digest_day(config, datetime(2025, 6, 1, 5, 59)) == "2025-05-31"
    assert digest_day(config, datetime(2025, 6, 1, 6, 0)) == "2025-06-01"
    assert digest_day(Alerts(), NOON) is None
