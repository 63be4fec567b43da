"""The hours of alerts: whether it is quiet now, and whether the daily digest is due. Times come in naive UTC."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from core.portfolio import Alerts


def is_quiet(config: Alerts, now: datetime) -> bool:
    """Whether now lies in the quiet hours, which begin inclusively and end exclusively and may cross midnight."""
    if config.quiet_hours is None:
        return False
    local = local_time(config, now).time()
    begin, end = time.fromisoformat(config.quiet_hours.begin), time.fromisoformat(config.quiet_hours.end)
    if begin <= end:
        return begin <= local < end
    return local >= begin or local < end


def digest_day(config: Alerts, now: datetime) -> str | None:
    """The day (YYYY-MM-DD, local) whose digest is the newest one due; None without `digest_at`."""
    if config.digest_at is None:
        return None
    local = local_time(config, now)
    day = local.date()
    if local.time() < time.fromisoformat(config.digest_at):
        day -= timedelta(days=1)
    return day.isoformat()


def local_time(config: Alerts, now: datetime) -> datetime:
    """Return now in the zone of the alerts."""
    return now.replace(tzinfo=UTC).astimezone(ZoneInfo(config.zone))
