"""The twin at night: the day that is over, replayed and held against its fills; older prices are forgotten."""

from datetime import date, timedelta
from pathlib import Path

from tasks.nightly_steps import DONE, FAILED, SKIPPED, Did
from tasks.quote_log import archive, forget_before
from tasks.sql_query import QueryRefused
from tasks.twin import replay_day, write_twin

# A market's day is some hundred kilobytes.
QUOTES_KEPT_DAYS = 90


def replay_yesterday(data_dir: Path, night: date) -> Did:
    """Replay the day before the night's; failed where a gate does not hold, skipped where there is nothing to compare."""
    day = night - timedelta(days=1)
    archive(data_dir, except_on=night)
    forget_before(data_dir, night - timedelta(days=QUOTES_KEPT_DAYS))
    try:
        made = replay_day(data_dir, day)
    except QueryRefused as refused:
        return Did(SKIPPED, str(refused))
    if not made.stretches:
        return Did(SKIPPED, made.says())
    files = [str(path) for path in write_twin(made, data_dir)]
    figures = made.figures() | {"files": files}
    return Did(FAILED if made.ok is False else DONE, f"{day}: {made.says()}", figures)
