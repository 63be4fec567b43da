"""What the dashboard's pages show, as plain data: rows with exact amounts, times in UTC, and how old they are.

Every answer has `as_of`: when the copy was made, how old that is (`age_s`, seconds), and until when its rows reach.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tasks.dashboard_copy import Copy, Row, now_utc
from tasks.dashboard_history import History, bucket_s
from tasks.part_names import own_part, part_names

# What a page may ask for, in seconds; None is everything there is.
SPANS: Mapping[str, float | None] = {
    "1h": 3_600.0, "6h": 21_600.0, "1d": 86_400.0, "7d": 604_800.0, "30d": 2_592_000.0, "1y": 31_536_000.0, "all": None,
}  # fmt: skip
RAW_MAX_S = 172_800.0
FILLS_MAX, ORDERS_MAX, JOURNAL_MAX, TICKS_MAX, INCIDENTS_MAX = 240, 300, 60, 240, 300
EARLIEST = datetime(1970, 1, 1)
_TODAY = """
SELECT max(ts) AS at, bot_id, max_by(equity, ts)::DOUBLE AS equity,
    min(equity)::DOUBLE AS low, max(equity)::DOUBLE AS high, max_by(price, ts)::DOUBLE AS price,
    min(price)::DOUBLE AS price_low, max(price)::DOUBLE AS price_high, max_by(exposure, ts)::DOUBLE AS exposure,
    max_by(inventory, ts)::DOUBLE AS inventory
FROM {rows} WHERE ts >= $since AND ($bot IS NULL OR bot_id = $bot)
GROUP BY time_bucket(to_seconds($step_s), ts), bot_id ORDER BY 1, 2"""


def as_of(copy: Copy) -> Row:
    """Whose copy this is and how old; `prices` says where prices come from."""
    made_at = copy.moment("published_at")
    last = copy.rows(
        "SELECT tick_id, started_at, ended_at, now, quiet, note FROM ticks_today ORDER BY tick_id DESC LIMIT 1"
    )
    return {
        "portfolio": copy.meta.get("portfolio", ""), "mode": copy.meta.get("mode", ""),
        "prices": copy.meta.get("prices", ""), "synthetic": copy.meta.get("synthetic") == "true",
        "played": copy.meta.get("played") == "true", "published_at": made_at, "data_until": copy.moment("data_until"),
        "age_s": None if made_at is None else max(0.0, (now_utc() - made_at).total_seconds()),
        "last_tick": last[0] if last else None,
    }  # fmt: skip


def portfolio(copy: Copy, history: History, span: str) -> Row:
    """All bots together: totals per quote asset, what needs a person, and equity over the span."""
    bots = [_named(row) for row in copy.rows("SELECT * FROM report_bots")]
    return {
        "as_of": as_of(copy), "bots": bots, "totals": _totals(bots), "peak": _peak(copy),
        "incidents": copy.rows("SELECT * FROM report_incidents WHERE standing LIMIT 50"),
        "series": series(copy, history, span, None), "days": days(copy, None, 14),
    }  # fmt: skip


def bot(copy: Copy, history: History, bot_id: str, span: str) -> Row | None:
    """One bot in depth; None where there is none of that name."""
    found = copy.rows("SELECT * FROM report_bots WHERE bot_id = ?", [bot_id])
    if not found:
        return None
    since = _start(copy, span)
    newest = copy.since("fills", max(since, copy.until - timedelta(seconds=RAW_MAX_S)))
    fills = copy.rows(
        "SELECT ts, side, role, leg_id, lot_id, price, qty, quote_qty, fee, fee_asset, fee_quote, realized, maker, "  # noqa: S608
        f"trade_id FROM {newest} WHERE bot_id = ? AND ts >= ? ORDER BY ts DESC, trade_id DESC LIMIT {FILLS_MAX}",
        [bot_id, since],
    )
    return {
        "as_of": as_of(copy), "bot": _named(found[0]),
        "levels": copy.rows("SELECT * FROM report_levels WHERE bot_id = ? ORDER BY level", [bot_id]),
        "lots": _lots(copy, bot_id),
        "orders": _orders(copy, bot_id), "fills": fills, "series": series(copy, history, span, bot_id),
        "days": days(copy, bot_id, 30), "bridge": bridge(copy, history, found[0]),
        "journal": _journal(copy, bot_id),
        "incidents": copy.rows("SELECT * FROM report_incidents WHERE bot_id = ? AND standing", [bot_id]),
    }  # fmt: skip


def series(copy: Copy, history: History, span: str, bot_id: str | None) -> Row:
    """Equity, price, exposure and inventory in pieces of `step_s` seconds: `points` of every bot, oldest first.

    Up to two days come from the minute samples, more from the hours of the days that are over and today's minutes.
    """
    since = _start(copy, span)
    span_s = max(60.0, (copy.until - since).total_seconds())
    step_s = bucket_s(span_s)
    if span_s <= RAW_MAX_S:
        return {"step_s": step_s, "points": _points(copy, copy.since("equity", since), since, bot_id, step_s)}
    step_s = max(step_s, 3_600)
    history.fill(copy.bound, since.date())
    past = history.buckets(since, bot_id, step_s)
    return {"step_s": step_s, "points": past + _points(copy, "equity_today", since, bot_id, step_s)}


def days(copy: Copy, bot_id: str | None, count: int) -> list[Row]:
    """Fills, volume, realized, fees and funding (quote) of the newest days, per bot, newest first."""
    return copy.rows(
        "WITH traded AS (SELECT day, bot_id, sum(fills)::BIGINT AS fills, sum(volume_quote) AS volume_quote, "
        "coalesce(sum(realized), 0) AS realized, coalesce(sum(fee_quote), 0) AS fees FROM fills_daily "
        "WHERE day >= $first AND bot_id <> 'external' AND ($bot IS NULL OR bot_id = $bot) GROUP BY 1, 2), "
        "received AS (SELECT ts::DATE AS day, bot_id, sum(amount) AS funding FROM funding_shares "
        "WHERE ts >= $first AND bot_id <> 'external' AND ($bot IS NULL OR bot_id = $bot) GROUP BY 1, 2) "
        "SELECT coalesce(t.day, r.day) AS day, coalesce(t.bot_id, r.bot_id) AS bot_id, coalesce(t.fills, 0) AS fills, "
        "coalesce(t.volume_quote, 0) AS volume_quote, coalesce(t.realized, 0) AS realized, coalesce(t.fees, 0) AS fees, "
        "coalesce(r.funding, 0) AS funding, coalesce(t.realized, 0) - coalesce(t.fees, 0) + coalesce(r.funding, 0) AS net "
        "FROM traded AS t FULL JOIN received AS r ON r.day = t.day AND r.bot_id = t.bot_id ORDER BY 1 DESC, 2",
        {"first": (copy.until - timedelta(days=count)).date(), "bot": bot_id},
    )


def bridge(copy: Copy, history: History, row: Mapping[str, Any]) -> list[Row]:
    """The way from nothing to a bot's net profit: what lots earned by their own exits, by other ends, and the rest.

    `value` of each step is exact; the last one is their sum, the net profit of `report_bots`. Until the past days were
    read, what hedges realised is part of the other closings.
    """
    floating = row["unrealized"] or 0
    hedged = _hedge(copy, history, row["bot_id"])
    other = row["realized"] - row["grid_profit"] - hedged
    own, beside = part_names(row["kind"])
    steps = [
        ("grid", own, row["grid_profit"]), ("other", "Other closings", other), ("hedge", beside, hedged),
        ("floating", "Floating", floating), ("funding", "Funding", row["funding"]), ("fees", "Fees", -row["fees"]),
        ("net", "Net PnL", row["net_pnl"]),
    ]  # fmt: skip
    return [{"id": name, "name": words, "value": value} for name, words, value in steps]


def incidents(copy: Copy) -> Row:
    """What a person must know, the standing ones first."""
    rows = copy.rows(f"SELECT * FROM report_incidents LIMIT {INCIDENTS_MAX}")  # noqa: S608
    refused = copy.rows(
        "SELECT bot_id, CASE decision WHEN 'REFUSED' THEN 'exchange' ELSE 'limit' END AS refused_by, reason, "
        "count(*) AS times, max(ts) AS last_at FROM journal_today WHERE decision IN ('REFUSED', 'DECLINED') "
        "GROUP BY ALL ORDER BY last_at DESC LIMIT 100"
    )
    return {"as_of": as_of(copy), "incidents": rows, "refused": refused}


def ticks(copy: Copy) -> Row:
    """How long ticks took: by the hour over two days, and the newest one by one."""
    since = copy.until - timedelta(days=2)
    timed = (
        f"(SELECT *, epoch(ended_at - started_at) * 1000 AS took_ms FROM {copy.since('ticks', since)} WHERE now >= ?)"  # noqa: S608
    )
    hours = copy.rows(
        "SELECT date_trunc('hour', started_at) AS hour, count(*) AS ticks, count(*) FILTER (quiet) AS quiet_ticks, "  # noqa: S608
        "quantile_cont(took_ms, 0.5) AS p50_ms, quantile_cont(took_ms, 0.99) AS p99_ms, max(took_ms) AS max_ms, "
        "sum(orders_placed)::BIGINT AS orders_placed, sum(orders_cancelled)::BIGINT AS orders_cancelled, "
        f"sum(fills)::BIGINT AS fills, count(*) FILTER (note <> '') AS with_a_note FROM {timed} GROUP BY 1 ORDER BY 1 DESC",
        [since],
    )
    newest = copy.rows(
        "SELECT tick_id, started_at, now, rounds, quiet, orders_placed, orders_cancelled, fills, note, "  # noqa: S608
        f"epoch(ended_at - started_at) * 1000 AS took_ms FROM ticks_today ORDER BY tick_id DESC LIMIT {TICKS_MAX}"
    )
    return {"as_of": as_of(copy), "hours": hours, "ticks": newest}


def _points(copy: Copy, rows: str, since: datetime, bot_id: str | None, step_s: int) -> list[Row]:
    return copy.rows(_TODAY.format(rows=rows), {"step_s": step_s, "since": since, "bot": bot_id})


def _orders(copy: Copy, bot_id: str) -> list[Row]:
    # What is not over stands in the copy itself, whatever day it is from.
    return copy.rows(
        "SELECT client_id, leg_id, attempt, role, side, type, price, qty, filled_qty, status, reason, created_at, "  # noqa: S608
        "updated_at FROM orders_today WHERE bot_id = ? AND status IN ('PENDING', 'UNKNOWN', 'OPEN', 'CANCELING') "
        f"ORDER BY price DESC NULLS LAST, client_id LIMIT {ORDERS_MAX}",
        [bot_id],
    )


def _lots(copy: Copy, bot_id: str) -> list[Row]:
    # As in report_lots; a lot that is not empty stands in the copy itself, whatever day it is from.
    return copy.rows(
        "SELECT l.lot_id, l.side, l.opened_at, l.qty, l.cost, l.cost::DOUBLE / l.qty::DOUBLE AS average_price, "
        "(m.price::DOUBLE * l.qty::DOUBLE - l.cost::DOUBLE) * CASE l.side WHEN 'buy' THEN 1 ELSE -1 END AS unrealized "
        "FROM lots_today AS l LEFT JOIN marks AS m ON m.bot_id = l.bot_id WHERE l.bot_id = ? AND l.qty > 0 "
        "ORDER BY l.opened_at, l.lot_id",
        [bot_id],
    )


def _journal(copy: Copy, bot_id: str) -> list[Row]:
    return copy.rows(
        "SELECT ts, tick_id, subject, decision, reason FROM journal_today WHERE bot_id = ? "  # noqa: S608
        f"ORDER BY tick_id DESC, n DESC LIMIT {JOURNAL_MAX}",
        [bot_id],
    )


def _hedge(copy: Copy, history: History, bot_id: str) -> Any:
    if not history.ready:
        return Decimal(0)
    history.fill(copy.bound)
    past = sum(row["realized"] for row in history.days(bot_id) if row["role"] == "hedge")
    today = copy.rows(
        "SELECT coalesce(sum(realized), 0) AS realized FROM fills_today "
        "WHERE bot_id = ? AND role = 'hedge' AND recorded_at >= ?",
        [bot_id, copy.bound],
    )[0]["realized"]
    return today if not past else type(today)(repr(past)) + today


def _named(bot: Row) -> Row:
    return bot | {"own_part": own_part([bot["kind"]])}


def _totals(bots: list[Row]) -> list[Row]:
    sums: dict[str, Row] = {}
    own = own_part({row["kind"] for row in bots})
    for row in bots:
        total = sums.setdefault(row["quote_asset"], {"asset": row["quote_asset"], "bots": 0, "own_part": own})
        total["bots"] += 1
        for name in (
            "capital_quote",
            "equity",
            "net_pnl",
            "grid_profit",
            "unrealized",
            "fees",
            "funding",
            "exposure_at_cost",
        ):
            total[name] = total.get(name, 0) + (row[name] or 0)
    return list(sums.values())


def _peak(copy: Copy) -> Any:
    rows = copy.rows("SELECT peak FROM account_state LIMIT 1")
    return rows[0]["peak"] if rows else None


def _start(copy: Copy, span: str) -> datetime:
    length_s = SPANS[span]
    first = copy.until - timedelta(seconds=length_s) if length_s is not None else EARLIEST
    return first if copy.started_at is None else max(first, copy.started_at)
