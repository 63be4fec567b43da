"""Tells people of a night that went wrong, on the way that incidents take; once, and once when a later night is well."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from core.portfolio import Alerts
from tasks.alerts import deliver, post
from tasks.alerts_outbox import Outbox

SOURCE = "nightly"
# Keys as those of incidents: kind/bot/subject.
NIGHT_KEY, TWIN_KEY = "night_failed//nightly", "twin_differs//nightly"
SHOWN = 300


def tell(data_dir: Path, name: str, config: Alerts, bad: Sequence[str], now: datetime) -> int:
    """Raise or resolve the night's alarms from the sentences of its bad steps, and send what is due; returns how many
    stand. A twin that differs is an alarm of its own: it means money, not housekeeping.
    """
    twin = [text for text in bad if text.startswith("twin ")]
    rest = [text for text in bad if not text.startswith("twin ")]
    raised: dict[str, tuple[str, str]] = {}
    if twin:
        raised[TWIN_KEY] = ("critical", f"the replay of the day differs from what happened: {'; '.join(twin)[:SHOWN]}")
    if rest:
        raised[NIGHT_KEY] = ("warning", f"{len(rest)} steps of the night did not end well: {'; '.join(rest)[:SHOWN]}")
    outbox = Outbox(data_dir)
    outbox.take(SOURCE, raised, [key for key in (NIGHT_KEY, TWIN_KEY) if key not in raised], now)
    if config.urls:
        post(outbox, data_dir, name, config, now)
        deliver(outbox, config, now)
    return len(raised)
