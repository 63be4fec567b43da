"""Brings the market store up to date with what a portfolio's bots trade: candles, and funding of swaps.

Where the candles come from is the feed's business: files are imported, a real exchange is asked for what is missing,
synthetic prices have no past. Doing it again fetches nothing twice, so that an interrupted run is simply run again.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from core.machines.atr_grid.config import AtrGridConfig
from core.market import TIMEFRAME_S
from core.portfolio import Portfolio, VenueConfig
from core.series import ms_to_ts
from tasks.candles_funding import read_funding
from tasks.candles_indicators import fill_indicators
from tasks.candles_read import CandleRefused, read_candles
from tasks.candles_store import import_candles
from tasks.errors import GridkeeperError
from tasks.quality import SeriesKey
from tasks.settings import feed_path
from tasks.sql_query import QueryRefused, query

FUNDING = "funding"
# Candles that are fetched before they are stored.
WINDOW_ROWS = 20_000
Payments = Sequence[tuple[int, Decimal]]
# (venue, symbol, timeframe or "funding", first, end exclusive) -> a series of candles, or funding payments
Download = Callable[[VenueConfig, str, str, datetime, datetime], Any]


@dataclass(frozen=True, slots=True)
class Filled:
    """What became of one series: how many rows are new, and in words; `ok` is false where it could not be had."""

    key: SeriesKey
    added: int
    says: str
    ok: bool = True
    live: bool = False


def markets_of(portfolio: Portfolio) -> list[tuple[str, str]]:
    """List (venue, symbol) of all that the bots trade or look at, each once, in the file's order."""
    found: list[tuple[str, str]] = []
    for bot in portfolio.bots:
        found += [market for market in bot.markets() if market not in found]
    return found


def backfill(
    con: duckdb.DuckDBPyConnection, portfolio: Portfolio, file: Path, data_dir: Path, *, days: int, timeframe: str,
    now: datetime, download: Download | None = None,
) -> list[Filled]:  # fmt: skip
    """Fetch what is missing of the last `days` days for every market of a portfolio; returns a line for each series.

    `now` is UTC. `download` asks exchanges; None where this installation can't. A series that fails does not stop the
    others.
    """
    made: list[Filled] = []
    offline = "" if portfolio.feed.kind != "synthetic" else "its prices are synthetic: there is no past to fetch"
    if not offline and portfolio.mode == "paper" and portfolio.feed.kind == "auto" and played_synthetic(data_dir):
        offline = "no exchange could be reached at the first start: its prices are synthetic"
    for venue_id, symbol in markets_of(portfolio):
        path = portfolio.feed.paths.get(f"{venue_id}:{symbol}", portfolio.feed.paths.get(venue_id))
        key = SeriesKey(venue_id, symbol, timeframe)
        if portfolio.mode in {"paper", "backtest"} and portfolio.feed.kind == "candles":
            if path is not None:
                made.append(_from_file(con, key, feed_path(path, file), data_dir))
            rates = portfolio.feed.funding.get(f"{venue_id}:{symbol}", portfolio.feed.funding.get(venue_id))
            if rates is not None and portfolio.venue(venue_id).market == "swap":
                made.append(_funding_from_file(con, key, feed_path(rates, file)))
            continue
        if offline or download is None:
            made.append(Filled(key, 0, offline or "this installation has no way to ask an exchange"))
            continue
        venue = portfolio.venue(venue_id)
        made.append(_from_exchange(con, key, venue, days, now, download))
        if venue.market == "swap":
            made.append(_funding(con, key, venue, days, now, download))
    _indicate(con, portfolio, made)
    return made


def _indicate(con: duckdb.DuckDBPyConnection, portfolio: Portfolio, made: Sequence[Filled]) -> None:
    # Candles that an ATR grid trades have its indicators beside them, for SQL.
    for bot in portfolio.bots:
        for one in made if isinstance(bot, AtrGridConfig) else ():
            if (one.key.venue, one.key.symbol) == (bot.venue, bot.symbol) and one.key.timeframe != FUNDING:
                fill_indicators(
                    con, venue=bot.venue, symbol=bot.symbol, timeframe=one.key.timeframe, smoothing=bot.atr_smoothing
                )


def played_synthetic(data_dir: Path) -> bool:
    """Whether the published copy says that the portfolio's prices are made up."""
    try:
        _, rows = query(data_dir, "SELECT value FROM meta WHERE key = 'synthetic'")
    except QueryRefused:
        return False
    return rows == [("true",)]


def keep_funding(con: duckdb.DuckDBPyConnection, venue: str, symbol: str, payments: Payments) -> int:
    """Store funding payments (ms since 1970 UTC, rate as a fraction); returns how many were new.

    One that is stored keeps its rate: a rate that was paid does not change.
    """
    if not payments:
        return 0
    before = con.execute("SELECT count(*) FROM funding_rates").fetchone() or (0,)
    rows = [[venue, symbol, ms_to_ts(ms), rate] for ms, rate in payments]
    con.executemany("INSERT INTO funding_rates VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", rows)
    after = con.execute("SELECT count(*) FROM funding_rates").fetchone() or (0,)
    return int(after[0]) - int(before[0])


def missing_spans(
    first: datetime | None, last: datetime | None, wanted: tuple[datetime, datetime], step: timedelta
) -> list[tuple[datetime, datetime]]:
    """Return the spans (end exclusive) before and after what is stored (`first` to `last`) that are wanted.

    Holes inside are what the exchange had no candles for; they are reported by the quality gate, not asked for again.
    """
    begin, end = wanted
    if first is None or last is None:
        return [(begin, end)] if begin < end else []
    # What is stored stays one stretch: the spans reach up to it, even where the wanted time lies apart from it.
    spans = [(begin, first), (last + step, end)]
    return [(one, other) for one, other in spans if one < other]


def windows(
    spans: Sequence[tuple[datetime, datetime]], first: datetime | None, step: timedelta
) -> list[tuple[datetime, datetime]]:
    """Cut spans into windows that are stored one by one, so that an interruption costs at most one of them.

    Those before what is stored (`first`) come newest first: what is stored never has a hole that nobody asks for again.
    """
    cut: list[tuple[datetime, datetime]] = []
    for begin, end in spans:
        parts: list[tuple[datetime, datetime]] = []
        at = begin
        while at < end:
            parts.append((at, min(at + WINDOW_ROWS * step, end)))
            at += WINDOW_ROWS * step
        cut += reversed(parts) if first is not None and end <= first else parts
    return cut


def _from_file(con: duckdb.DuckDBPyConnection, key: SeriesKey, path: Path, data_dir: Path) -> Filled:
    notes = data_dir / "nightly" / "imported.json"
    known = json.loads(notes.read_text(encoding="utf-8")) if notes.is_file() else {}
    try:
        stat = path.stat()
        mark = [str(path), stat.st_size, stat.st_mtime_ns]
        name = f"{key.venue} {key.symbol}"
        seen = known.get(name)
        if seen is not None and seen["mark"] == mark and _is_stored(con, key, seen["timeframe"]):
            return Filled(SeriesKey(key.venue, key.symbol, seen["timeframe"]), 0, f"{path.name} has not changed")
        series, report = read_candles(path)
    except (OSError, CandleRefused) as fault:
        return Filled(key, 0, str(fault), ok=False)
    theirs = SeriesKey(key.venue, key.symbol, report.timeframe)
    done = import_candles(con, series, venue=key.venue, symbol=key.symbol, timeframe=report.timeframe)
    notes.parent.mkdir(parents=True, exist_ok=True)
    notes.write_text(json.dumps(known | {name: {"mark": mark, "timeframe": report.timeframe}}), encoding="utf-8")
    changed = f", {done.different:,} differ from the stored ones, which stay" if done.different else ""
    return Filled(theirs, done.added, f"{done.added:,} candles of {path.name} are new{changed}")


def _funding_from_file(con: duckdb.DuckDBPyConnection, key: SeriesKey, path: Path) -> Filled:
    theirs = SeriesKey(key.venue, key.symbol, FUNDING)
    try:
        added = keep_funding(con, key.venue, key.symbol, read_funding(path))
    except (OSError, CandleRefused) as fault:
        return Filled(theirs, 0, str(fault), ok=False)
    return Filled(theirs, added, f"{added:,} funding payments of {path.name} are new")


def _is_stored(con: duckdb.DuckDBPyConnection, key: SeriesKey, timeframe: str) -> bool:
    where = "SELECT 1 FROM ohlcv WHERE venue = ? AND symbol = ? AND timeframe = ? LIMIT 1"
    return con.execute(where, [key.venue, key.symbol, timeframe]).fetchone() is not None


def _from_exchange(
    con: duckdb.DuckDBPyConnection, key: SeriesKey, venue: VenueConfig, days: int, now: datetime, download: Download
) -> Filled:
    step = timedelta(seconds=TIMEFRAME_S[key.timeframe])
    stored = con.execute(
        "SELECT min(ts), max(ts) FROM ohlcv WHERE venue = ? AND symbol = ? AND timeframe = ?",
        [key.venue, key.symbol, key.timeframe],
    ).fetchone() or (None, None)
    end = datetime.min + (now - datetime.min) // step * step  # noqa: DTZ901  UTC without zone, as everywhere
    added = 0
    spans = missing_spans(stored[0], stored[1], (end - timedelta(days=days), end), step)
    for first, until in windows(spans, stored[0], step):
        try:
            series = download(venue, key.symbol, key.timeframe, first, until)
            added += import_candles(con, series, venue=key.venue, symbol=key.symbol, timeframe=key.timeframe).added
        except (GridkeeperError, CandleRefused, OSError, ValueError) as fault:
            return Filled(key, added, f"{first:%Y-%m-%d %H:%M} on: {fault}", ok=False, live=True)
    return Filled(key, added, f"{added:,} candles are new", live=True)


def _funding(
    con: duckdb.DuckDBPyConnection, key: SeriesKey, venue: VenueConfig, days: int, now: datetime, download: Download
) -> Filled:
    theirs = SeriesKey(key.venue, key.symbol, FUNDING)
    where = "SELECT max(ts) FROM funding_rates WHERE venue = ? AND symbol = ?"
    last = (con.execute(where, [key.venue, key.symbol]).fetchone() or (None,))[0]
    first = max(last or datetime.min, now - timedelta(days=days))  # noqa: DTZ901
    try:
        added = keep_funding(con, key.venue, key.symbol, download(venue, key.symbol, FUNDING, first, now))
    except (GridkeeperError, OSError, ValueError) as fault:
        return Filled(theirs, 0, str(fault), ok=False, live=True)
    return Filled(theirs, added, f"{added:,} funding payments are new", live=True)
