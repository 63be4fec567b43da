"""A night: candles, the quality gate, the books, targets, a backtest of each bot, the twin, the report, backups and upkeep.

Plain Python: the flow `nightly` gives each step a task of its own. A step that fails does not stop the others, only
what depends on it: a bot whose candles did not pass the gate is not backtested. Every step can be repeated.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from core.portfolio import Portfolio
from tasks import nightly_alarm
from tasks.backfill import FUNDING, Download, backfill, markets_of
from tasks.backup import back_up
from tasks.backup_restore import RestoreError
from tasks.errors import GridkeeperError
from tasks.market_store import open_market, publish_candles
from tasks.migrations import MigrationRefused
from tasks.nightly_books import check_books
from tasks.nightly_bots import TIMEFRAMES, backtest_bot
from tasks.nightly_steps import DONE, FAILED, SKIPPED, STOPPED, Did, Record, Step, utc_now
from tasks.nightly_targets import measure_targets
from tasks.nightly_twin import replay_yesterday
from tasks.quality import Gate, SeriesKey
from tasks.quality_rules import Limits
from tasks.quality_store import check_stored, publish_results, save, stored_series, table_of
from tasks.report import write_report
from tasks.runs_publish import publish_runs
from tasks.settings import data_dir as folder_of
from tasks.settings import load_portfolio
from tasks.sql_query import QueryRefused
from tasks.upkeep_files import tidy_up

# Candles that an exchange is asked for have to be this fresh after the backfill.
FRESH_S = 3_600.0
# What a step may end with; anything else is a bug and shows as one.
FAULTS = (GridkeeperError, RestoreError, MigrationRefused, QueryRefused, duckdb.Error, OSError)


@dataclass(slots=True)
class Night:
    """One night of one portfolio. `now` is UTC and the same for every step; `days` is how far backtests look back."""

    portfolio: Portfolio
    file: Path
    data_dir: Path
    now: datetime
    days: int
    timeframe: str
    record: Record
    download: Download | None = None

    @property
    def run_id(self) -> str:
        """Name of the night in `quality_results`."""
        return self.record.day.isoformat()


def begin(
    portfolio: str | Path, *, days: int = 30, timeframe: str = "1m", day: date | None = None, again: bool = False,
    now: datetime | None = None,
) -> Night:  # fmt: skip
    """Open the night of a day (UTC; today's by default); `again` forgets what is done already. Raises `Refused`."""
    file = Path(portfolio)
    loaded = load_portfolio(file)
    home = folder_of(loaded, file)
    at = now or utc_now()
    record = Record(home, day or at.date())
    if again:
        record.forget()
    return Night(loaded, file, home, at, days, timeframe, record, downloader())


def downloader() -> Download:
    """Return what asks exchanges for candles and funding; ccxt takes a while to import."""
    from tasks.candles_download import download

    return download


def steps(night: Night) -> list[Step]:
    """List the steps of a night, in order."""
    return [
        Step("backfill", lambda: _backfill(night)),
        Step("quality", lambda: _quality(night)),
        Step("books", lambda: check_books(night.data_dir)),
        Step("targets", lambda: measure_targets(night.data_dir, night.portfolio.bots, night.now)),
        *(Step(f"backtest {bot.id}", lambda bot=bot: _backtest(night, bot)) for bot in night.portfolio.bots),
        Step("twin", lambda: replay_yesterday(night.data_dir, night.record.day)),
        Step("report", lambda: _report(night)),
        Step("publish", lambda: _publish(night)),
        Step("backup", lambda: _backup(night)),
        Step("upkeep", lambda: _upkeep(night)),
    ]


def run_step(night: Night, step: Step) -> Did:
    """Do one step, unless it is done, and write down how it ended. Returns how."""
    if night.record.is_over(step.name):
        known = night.record.steps[step.name]
        return Did(known["status"], known["says"], known["data"])
    began = utc_now()
    try:
        did = step.work()
    except FAULTS as fault:
        did = Did(FAILED, str(fault) or type(fault).__name__)
    night.record.keep(step.name, did, began)
    return did


def run(night: Night, shown: Callable[[Step, Did], None] = lambda _step, _did: None) -> list[str]:
    """Do every step that is not done; returns the sentences of those that failed or were stopped."""
    for step in steps(night):
        shown(step, run_step(night, step))
    return end(night)


def end(night: Night) -> list[str]:
    """Raise or resolve the night's alarms; returns the sentences of the steps that failed or were stopped."""
    bad = night.record.bad()
    nightly_alarm.tell(night.data_dir, night.portfolio.id, night.portfolio.alerts, bad, utc_now())
    return bad


def _backfill(night: Night) -> Did:
    with open_market(night.data_dir) as con:
        filled = backfill(
            con, night.portfolio, night.file, night.data_dir, days=night.days, timeframe=night.timeframe, now=night.now,
            download=night.download,
        )  # fmt: skip
    # What was checked, left out or stored before these candles came is due again.
    known = night.record.steps
    for name in ("quality", "publish", "backup", *(f"backtest {bot.id}" for bot in night.portfolio.bots)):
        if name in known and not (name.startswith("backtest") and known[name]["status"] == DONE):
            del known[name]
    says = "; ".join(f"{one.key}: {one.says}" for one in filled) or "no bot trades anything"
    data = {"live": [f"{one.key.venue} {one.key.symbol}" for one in filled if one.live]}
    failed = [one for one in filled if not one.ok]
    if failed:
        return Did(FAILED, "; ".join(f"{one.key}: {one.says}" for one in failed), data)
    return Did(DONE, says, data)


def _quality(night: Night) -> Did:
    wanted = set(markets_of(night.portfolio))
    live = set(night.record.steps.get("backfill", {}).get("data", {}).get("live", ()))
    gate = Gate(night.data_dir / "quality" / "docs")
    with open_market(night.data_dir) as con:
        there = [key for key in stored_series(con) if (key.venue, key.symbol) in wanted and key.timeframe != FUNDING]
        if not there:
            return Did(SKIPPED, "there are no candles of what the bots trade")
        found: dict[SeriesKey, Any] = {}
        for key in there:
            # History may be history: only what comes from an exchange has to be fresh.
            limits = Limits(max_age_s=FRESH_S, stale_is_error=f"{key.venue} {key.symbol}" in live)
            last = con.execute(
                "SELECT max(ts) FROM ohlcv WHERE venue = ? AND symbol = ? AND timeframe = ?",
                [key.venue, key.symbol, key.timeframe],
            ).fetchone() or (None,)
            first = (last[0] or night.now) - timedelta(days=night.days)
            found |= check_stored(con, gate, [key], limits, now=night.now, from_=first)
        save(con, night.run_id, found, night.now)
    page = gate.write_docs()
    stopped = {str(key): [one.sentence() for one in findings if one.stops] for key, findings in found.items()}
    stopped = {key: sentences for key, sentences in stopped.items() if sentences}
    data = {"stopped": stopped, "checked": [str(key) for key in found], "table": table_of(found), "page": str(page)}
    if stopped:
        return Did(FAILED, "; ".join(f"{key}: {'; '.join(said)}" for key, said in stopped.items()), data)
    warned = sum(1 for row in data["table"] if row["severity"] == "warning")
    return Did(DONE, f"{len(found)} series checked, {warned} warnings; pages: {page}", data)


def _backtest(night: Night, bot: Any) -> Did:
    known = night.record.steps.get("quality", {}).get("data", {})
    checked, stopped = known.get("checked", ()), known.get("stopped", {})
    candles: dict[str, SeriesKey] = {}
    for venue, symbol in bot.markets():
        keys = [SeriesKey(venue, symbol, timeframe) for timeframe in TIMEFRAMES]
        finest = next((key for key in keys if str(key) in checked), None)
        if finest is None:
            return Did(SKIPPED, f"there are no checked candles of {venue} {symbol}")
        if str(finest) in stopped:
            return Did(STOPPED, f"its candles did not pass: {finest}: {'; '.join(stopped[str(finest)])}")
        candles[f"{venue}:{symbol}"] = finest
    return backtest_bot(
        night.file, night.data_dir, bot, list(candles.values()), night.days, night.run_id, night.portfolio.id
    )


def _report(night: Night) -> Did:
    out = night.data_dir / "reports" / night.run_id
    try:
        files = write_report(night.data_dir, out)
    except QueryRefused as refused:
        return Did(SKIPPED, str(refused))
    return Did(DONE, f"{len(files)} files in {out}", {"files": [str(path) for path in files]})


def _publish(night: Night) -> Did:
    with open_market(night.data_dir) as con:
        keys = stored_series(con)
        for key in keys:
            publish_candles(con, night.data_dir, key.venue, key.symbol, key.timeframe)
        publish_results(con, night.data_dir)
        publish_runs(con, night.data_dir)
    return Did(
        DONE,
        f"{len(keys)} series, the quality results and the backtests; the tick process shows them with its next copy",
    )


def _backup(night: Night) -> Did:
    made = back_up(night.data_dir, night.now)
    says = f"{made.rows:,} rows, {made.size_bytes / 1e6:.1f} MB in {made.folder}, restored on trial"
    gone = f"; deleted {', '.join(made.deleted)}" if made.deleted else ""
    without = f"; without {'; '.join(made.left_out)}" if made.left_out else ""
    return Did(DONE, says + gone + without, {"rows": made.rows, "bytes": made.size_bytes, "folder": str(made.folder)})


def _upkeep(night: Night) -> Did:
    tidied = tidy_up(night.data_dir, night.now)
    return Did(FAILED if tidied.alarm else DONE, tidied.says(), {"alarm": tidied.alarm})
