"""Upkeep of a data folder: logs stay short, old results go, the market store is compacted, the disk is watched."""

import shutil
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb

from tasks.market_store import FILE_NAME, open_market
from tasks.quality_store import forget_old

# A log keeps its last part; who writes appends, so that a shortened file simply goes on.
LOG_BYTES_MAX, LOG_BYTES_KEPT = 10_000_000, 2_000_000
KEEP_DAYS = 30
KEEP_RESULTS_DAYS = 365
FREE_BYTES_MIN, FREE_SHARE_MIN = 1_000_000_000, 0.05
# Compacting copies the file: worth it where a quarter and 32 MB of it are free.
UNUSED_BYTES_MIN, UNUSED_SHARE_MIN = 32_000_000, 0.25


@dataclass(slots=True)
class Tidied:
    """What upkeep did, in words; `alarm` is what a person has to see to, empty where nothing is."""

    did: list[str] = field(default_factory=list[str])
    alarm: str = ""

    def says(self) -> str:
        """Say it in one line."""
        return "; ".join([*([self.alarm] if self.alarm else []), *self.did]) or "nothing had to be done"


def tidy_up(data_dir: Path, now: datetime) -> Tidied:
    """Do all of it for one data folder; `now` is UTC. Raises `Busy` where another process has the market store."""
    made = Tidied(alarm=disk_alarm(data_dir))
    cut = [path.name for path in logs_of(data_dir) if shorten(path)]
    if cut:
        made.did.append(f"logs shortened: {', '.join(cut)}")
    gone = delete_old_nights(data_dir, now.date())
    if gone:
        made.did.append(f"{len(gone)} old results deleted")
    if (data_dir / FILE_NAME).is_file():
        with open_market(data_dir) as con:
            forgotten = forget_old(con, now - timedelta(days=KEEP_RESULTS_DAYS))
        freed = compact_market(data_dir)
        made.did += [f"{forgotten} old quality results forgotten"] if forgotten else []
        made.did += [f"{freed / 1e6:.1f} MB of the market store given back"] if freed else []
    return made


def keep_short(data_dir: Path) -> list[str]:
    """Shorten long logs and look at the disk, every hour; returns what a person should read."""
    said = [f"{path.name} was long and is cut" for path in logs_of(data_dir) if shorten(path)]
    alarm = disk_alarm(data_dir)
    return [*said, alarm] if alarm else said


def disk_alarm(data_dir: Path) -> str:
    """Say how little the disk has left, where that is below 1 GB or a twentieth; else nothing."""
    usage = shutil.disk_usage(data_dir)
    if usage.free >= max(FREE_BYTES_MIN, FREE_SHARE_MIN * usage.total):
        return ""
    return f"{usage.free / 1e9:.2f} of {usage.total / 1e9:.1f} GB of the disk are free: make room, or ticks will fail"


def logs_of(data_dir: Path) -> list[Path]:
    """The log files below a data folder."""
    return sorted({*data_dir.glob("*.log"), *(data_dir / "prefect").glob("*.log")})


def shorten(path: Path, at_most: int = LOG_BYTES_MAX, kept: int = LOG_BYTES_KEPT) -> bool:
    """Keep the last `kept` bytes of a log, from a whole line on, in `NAME.old.log`, and empty it; whether it was long.

    The file stays the one that its writer appends to. What is written in the moment between is lost.
    """
    if path.name.endswith(".old.log") or path.stat().st_size <= at_most:
        return False
    with path.open("r+b") as file:
        file.seek(-kept, 2)
        tail = file.read().partition(b"\n")[2]
        path.with_suffix(".old.log").write_bytes(tail)
        file.truncate(0)
    return True


def delete_old_nights(data_dir: Path, today: date, keep_days: int = KEEP_DAYS) -> list[str]:
    """Delete the results and reports of nights that are older than `keep_days`; returns their paths' ends."""
    oldest = today - timedelta(days=keep_days)
    gone: list[str] = []
    for folder in (data_dir / "nightly", data_dir / "reports"):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            try:
                day = date.fromisoformat(path.name.removesuffix(".json"))
            except ValueError:
                continue
            if day < oldest:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                gone.append(f"{folder.name}/{path.name}")
    return gone


def compact_market(data_dir: Path) -> int:
    """Write the market store anew where much of it is unused; returns the bytes given back.

    The copy is complete and checked for its rows before it takes the place of the old file. Raises `Busy`.
    """
    path = data_dir / FILE_NAME
    fresh = data_dir / f".{FILE_NAME}.compact"
    fresh.unlink(missing_ok=True)
    with open_market(data_dir) as con:
        con.execute("CHECKPOINT")
        size = con.execute("SELECT block_size, total_blocks, free_blocks FROM pragma_database_size()").fetchone()
        if size is None or size[0] * size[2] < UNUSED_BYTES_MIN or size[2] < UNUSED_SHARE_MIN * size[1]:
            return 0
        before = path.stat().st_size
        _copy(con, fresh)
        # Still inside: nobody else can have opened the old file and written to it.
        fresh.replace(path)
    return max(0, before - path.stat().st_size)


def _copy(con: duckdb.DuckDBPyConnection, fresh: Path) -> None:
    home = con.execute("SELECT current_database()").fetchone() or ("",)
    # A path can't be bound in ATTACH.
    con.execute("ATTACH '" + str(fresh).replace("'", "''") + "' AS compact")
    try:
        con.execute(f"COPY FROM DATABASE {home[0]} TO compact")
        tables = con.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'compact'").fetchall()
        for (name,) in tables:
            counted = con.execute(
                f"SELECT (SELECT count(*) FROM {home[0]}.{name}), (SELECT count(*) FROM compact.{name})"  # noqa: S608
            ).fetchone() or (0, 1)
            if counted[0] != counted[1]:
                raise duckdb.DataError(f"{name}: {counted[1]} of {counted[0]} rows were copied; the old file stays")
    finally:
        con.execute("DETACH compact")
