"""The daily digest: what stands, what came and went, and what the bots have earned, on one screen."""

from datetime import datetime, timedelta
from pathlib import Path

from tasks.alerts_outbox import LINES_MAX, Outbox
from tasks.sql_query import QueryRefused, query

_BOTS = (
    "SELECT bot_id, mode, net_pnl, quote_asset, levels_working, levels_wanted FROM report_bots ORDER BY bot_id LIMIT 50"
)


def write_digest(outbox: Outbox, data_dir: Path, name: str, now: datetime) -> tuple[str, str, str]:
    """Write title, body and tone of the digest of the last 24 hours; `now` is naive UTC."""
    standing = outbox.standing()
    since = now - timedelta(days=1)
    recent = outbox.since(since)
    raised = sum(one.raised_at >= since for one in recent)
    over = sum(one.resolved_at is not None and one.resolved_at >= since for one in recent)
    lines = [f"last 24 hours: {raised} incidents raised, {over} resolved, {len(standing)} standing"]
    lines += [
        f"{one.severity.upper()} {one.key} since {one.raised_at:%Y-%m-%d %H:%M} UTC" for one in standing[:LINES_MAX]
    ]
    if len(standing) > LINES_MAX:
        lines.append(f"and {len(standing) - LINES_MAX} more")
    lines += _bots(data_dir)
    return f"gridkeeper {name}: daily digest", "\n".join(lines), "info"


def _bots(data_dir: Path) -> list[str]:
    try:
        _, rows = query(data_dir, _BOTS, timeout_s=5.0)
    except QueryRefused:
        return ["nothing has been published yet"]
    return [
        f"{bot}: {mode}, net PnL {'unknown' if pnl is None else f'{pnl:.2f}'} {asset}, {working} of {wanted} levels working"
        for bot, mode, pnl, asset, working, wanted in rows
    ]
