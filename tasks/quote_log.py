"""Keeps the prices that a portfolio saw, for the twin that replays its day (RULES 17).

    data_dir/quotes/DATE.VENUE-SYMBOL.csv                           the day under way: a line for each reading, appended
    published/parquet/quotes/date=DATE/VENUE-SYMBOL.parquet         a day that is over, and at a stop the day so far

A line costs microseconds, is on its way to the disk within a second, and is never in a tick's way: what the disk does not
take is lost and counted. A thread turns days that are over into Parquet. Played candles are not kept: their file is there.
"""

import logging
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TextIO

import duckdb

from core.market import Market, Quote
from tasks.feeds import Moment
from tasks.publish import published_folder
from tasks.store_rows import tidy, tidy_or_none

_log = logging.getLogger("gridkeeper.quotes")
_MONEY = "DECIMAL(38, 18)"
_COLUMNS = {
    "tick_id": "BIGINT", "seen_at": "TIMESTAMP", "venue": "VARCHAR", "symbol": "VARCHAR", "last": _MONEY, "bid": _MONEY,
    "ask": _MONEY, "low": _MONEY, "high": _MONEY, "jump": "BOOLEAN", "ts": "TIMESTAMP",
}  # fmt: skip
_FILE = re.compile(r"(\d{4}-\d{2}-\d{2})\.([A-Za-z0-9_-]+)\.csv")


@dataclass(frozen=True, slots=True)
class SeenPrice:
    """One reading: in which tick and when (naive UTC) it was decided on, the prices, and the venue's own stamp.

    Without `bid` and `ask` the paper venue made the touch from the last price. `jump`: no path led there.
    """

    tick_id: int
    at: datetime
    venue: str
    symbol: str
    last: Decimal
    bid: Decimal | None = None
    ask: Decimal | None = None
    low: Decimal | None = None
    high: Decimal | None = None
    jump: bool = False
    ts: datetime | None = None

    @property
    def market(self) -> Market:
        """Venue and symbol."""
        return self.venue, self.symbol


class QuoteLog:
    """The readings of one session. Nothing here raises: `lost` counts lines that the disk did not take."""

    def __init__(self, data_dir: Path) -> None:
        """Begin; days that an earlier session left open are turned into Parquet with the first reading."""
        self._data_dir = data_dir
        self._open: dict[Market, tuple[date, TextIO]] = {}
        self._newest: dict[Market, tuple[Decimal | None, ...]] = {}
        self._thread: threading.Thread | None = None
        self.lost = 0

    def keep_moment(self, moment: Moment, tick_id: int) -> None:
        """Keep the price that a paper venue took."""
        told = moment.quote
        bid, ask = (told.bid, told.ask) if told is not None else (None, None)
        ts = moment.at if told is None else told.ts
        self._keep(
            SeenPrice(tick_id, moment.at, moment.venue, moment.symbol, moment.price, bid, ask, jump=moment.jump, ts=ts)
        )

    def keep_quotes(self, quotes: Iterable[Quote], now: datetime, tick_id: int) -> None:
        """Keep what was read of a real venue; a reading that says what the one before said is left out."""
        for one in quotes:
            said = (one.last, one.bid, one.ask, one.low, one.high)
            if self._newest.get((one.venue, one.symbol)) != said:
                self._newest[one.venue, one.symbol] = said
                self._keep(
                    SeenPrice(
                        tick_id, now, one.venue, one.symbol, one.last, one.bid, one.ask, one.low, one.high, ts=one.ts
                    )
                )

    def flush(self) -> None:
        """Hand what was kept to the system; a kill of the process loses nothing that came before."""
        for _, file in self._open.values():
            try:
                file.flush()
            except OSError as fault:
                self._lose(fault)

    def close(self) -> None:
        """Write the day so far as Parquet and let go of the files."""
        markets, days = list(self._open), {day for day, _ in self._open.values()}
        for market in markets:
            self._shut(market)
        if self._thread is not None:
            self._thread.join(30)
        if markets:
            archive(self._data_dir, except_on=max(days))

    def _keep(self, seen: SeenPrice) -> None:
        try:
            day, file = self._open.get(seen.market, (None, None))
            if file is None or day != seen.at.date():
                file = self._turn(seen)
            file.write(_line(seen))
        except OSError as fault:
            self._lose(fault)

    def _turn(self, seen: SeenPrice) -> TextIO:
        self._shut(seen.market)
        day = seen.at.date()
        path = _folder(self._data_dir) / f"{day.isoformat()}.{_name(seen.market)}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        torn = path.exists() and path.stat().st_size > 0
        file = path.open("a", encoding="ascii")
        # A line that a kill tore apart stays a line of its own, and is left out when read.
        file.write("\n" if torn else "")
        self._open[seen.market] = day, file
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=archive, args=(self._data_dir, day), name="quotes", daemon=True)
            self._thread.start()
        return file

    def _shut(self, market: Market) -> None:
        _, file = self._open.pop(market, (None, None))
        if file is not None:
            try:
                file.close()
            except OSError as fault:
                self._lose(fault)

    def _lose(self, fault: OSError) -> None:
        self.lost += 1
        if self.lost == 1:
            _log.warning("quotes are not kept: %s", fault.strerror)


def archive(data_dir: Path, except_on: date) -> list[Path]:
    """Turn days into Parquet; the CSV of `except_on` and of later days stays, since more may come. Returns the files."""
    written: list[Path] = []
    for path in sorted(_folder(data_dir).glob("*.csv")):
        named = _FILE.fullmatch(path.name)
        if named is None:
            continue
        target = published_folder(data_dir) / "parquet" / "quotes" / f"date={named[1]}" / f"{named[2]}.parquet"
        fresh = target.with_name(f".{target.name}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with duckdb.connect(config={"threads": 1}) as con:
                con.execute(f"COPY ({_csv(path)}) TO '{_escaped(fresh)}' (FORMAT parquet, COMPRESSION zstd)")
            fresh.replace(target)
            written.append(target)
            if date.fromisoformat(named[1]) < except_on:
                path.unlink(missing_ok=True)
        except (OSError, duckdb.Error) as fault:
            _log.warning("quotes of %s stay as they are: %s", named[1], str(fault).splitlines()[0])
    return written


def read_day(data_dir: Path, day: date) -> list[SeenPrice]:
    """Read what was kept of a day (UTC), in the order in which it was seen."""
    sources = {path.name[11:-4]: _csv(path) for path in _folder(data_dir).glob(f"{day.isoformat()}.*.csv")}
    folder = published_folder(data_dir) / "parquet" / "quotes" / f"date={day.isoformat()}"
    for path in folder.glob("[!.]*.parquet"):
        names = ", ".join(_COLUMNS)
        sources.setdefault(path.stem, f"SELECT {names} FROM read_parquet('{_escaped(path)}')")  # noqa: S608  our own names
    if not sources:
        return []
    with duckdb.connect(config={"threads": 1}) as con:
        rows = con.execute(
            f"{' UNION ALL '.join(sources.values())} ORDER BY tick_id, seen_at, venue, symbol"
        ).fetchall()
    return [
        SeenPrice(
            row[0], row[1], row[2], row[3], tidy(row[4]), *(tidy_or_none(value) for value in row[5:9]), row[9], row[10]
        )
        for row in rows
    ]


def forget_before(data_dir: Path, day: date) -> int:
    """Delete the Parquet files of days before `day`; returns how many days."""
    gone = 0
    for folder in (published_folder(data_dir) / "parquet" / "quotes").glob("date=*"):
        if folder.name[5:] < day.isoformat():
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()
            gone += 1
    return gone


def _line(seen: SeenPrice) -> str:
    money = ",".join("" if one is None else f"{one:f}" for one in (seen.last, seen.bid, seen.ask, seen.low, seen.high))
    at, ts = seen.at.isoformat(), "" if seen.ts is None else seen.ts.isoformat()
    return f"{seen.tick_id},{at},{seen.venue},{seen.symbol},{money},{int(seen.jump)},{ts}\n"


def _csv(path: Path) -> str:
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in _COLUMNS.items())
    return (
        f"SELECT * FROM read_csv('{_escaped(path)}', header = false, delim = ',', columns = {{{columns}}}, "  # noqa: S608
        "auto_detect = false, ignore_errors = true)"
    )


def _folder(data_dir: Path) -> Path:
    return data_dir / "quotes"


def _name(market: Market) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "-", f"{market[0]}-{market[1]}")


def _escaped(path: Path) -> str:
    return str(path).replace("'", "''")
