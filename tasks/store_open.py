"""Opens the trading store, which DuckDB lets one process hold: the fence against a second instance (DESIGN 6).

StoreError
 ├─ StoreBusy          another process (or this one) holds it: exit 4
 ├─ StoreDamaged       the file was lost or torn; it was put aside
 ├─ StoreLost          the file vanished or was replaced while it was open
 ├─ StoreInconsistent  it opened, but what it says does not fit the portfolio or itself
 ├─ AmountRefused      a number that its columns cannot hold exactly
 └─ StampMismatch      it belongs to another mode, exchange, account or portfolio: exit 2
"""

import re
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb

FILE_NAME = "trading.duckdb"
_RETRY_S = 0.2
_HOLDER = re.compile(r"held in (?P<program>\S+) \(PID (?P<pid>\d+)\)")
# What DuckDB says of a file that it cannot read as a database; anything else (rights, space) is not the file's fault.
_TORN = re.compile(
    r"not a valid DuckDB database|could not read|checksum|corrupt|deserializ|serializ|invalid|replay|unexpected",
    re.IGNORECASE,
)
_NEWER = re.compile(r"version number|newer version|different version", re.IGNORECASE)


class StoreError(RuntimeError):
    """Anything that the store could not do; the message says what, where, and what would help."""


class StoreBusy(StoreError):
    """Somebody else holds the store; `holder` names the process as far as it is known."""

    def __init__(self, path: Path, holder: str, waited_s: float) -> None:
        super().__init__(
            f"{path} is held by {holder}; waited {waited_s:.0f} s. Stop that process, or give this one its own data_dir"
        )
        self.holder = holder


class StoreDamaged(StoreError):
    """The store could not be opened; `aside` are the damaged files, renamed and kept."""

    def __init__(self, reason: str, aside: tuple[Path, ...]) -> None:
        kept = ", ".join(path.name for path in aside) or "nothing was left to keep"
        super().__init__(
            f"{reason}. Kept aside: {kept}. Put a backup back, or cancel the bots' orders at the exchange and use a new data_dir"
        )
        self.reason = reason
        self.aside = aside


class StoreLost(StoreError):
    """The file of the open store is not there any more: what would be written now would be lost."""


class StoreInconsistent(StoreError):
    """The store's content contradicts itself or the portfolio."""


class PlanChanged(StoreError):
    """A bot's levels in the portfolio are not those that it has been trading."""

    def __init__(self, bot_id: str, level: int) -> None:
        super().__init__(
            f"bot {bot_id!r}: range, levels or sizes changed since it last ran (level {level} is another one now); put the "
            "old values back, or flatten it and give the changed bot another id"
        )
        self.bot_id = bot_id


class AmountRefused(StoreError):
    """A number that DECIMAL(38, 18) cannot hold without rounding."""


class StampMismatch(StoreError):
    """The store belongs to something else; `key` names what differs."""

    def __init__(self, key: str, stored: str, given: str) -> None:
        super().__init__(
            f"data_dir: its store was made for {key} {stored!r}, this portfolio says {given!r}; "
            "use another data_dir (a store never changes its mode, account or portfolio)"
        )
        self.key = key


def connect(data_dir: Path, wait_s: float) -> duckdb.DuckDBPyConnection:
    """Open `trading.duckdb` for writing, waiting up to `wait_s` for another process to let it go.

    Raises `StoreBusy`, `StoreDamaged` (the damaged files are then renamed, so that the next call starts an empty store)
    and `StoreError` where the file is sound but may not be opened here.
    """
    path = data_dir / FILE_NAME
    _refuse_remains(path)
    started = time.monotonic()
    while True:
        try:
            # One thread: statements of a few rows lose more by handing work over than they win.
            return duckdb.connect(path, config={"threads": 1, "memory_limit": "1GB"})
        except duckdb.Error as error:
            message = str(error).splitlines()[0]
            waited_s = time.monotonic() - started
            if "set lock" in message:
                if waited_s < wait_s:
                    time.sleep(min(_RETRY_S, wait_s))
                    continue
                raise StoreBusy(path, _holder(message), waited_s) from None
            if _NEWER.search(message):
                raise StoreError(f"{path} was written by a newer DuckDB: {message}") from None
            if not _TORN.search(message):
                raise StoreError(f"{path} cannot be opened: {message}") from None
            raise StoreDamaged(f"{path} is no readable store: {message}", set_aside(path)) from None


def set_aside(path: Path) -> tuple[Path, ...]:
    """Rename a store file and its log, with the time in the name; returns the new names."""
    mark = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    kept: list[Path] = []
    for old in (path, _log(path)):
        if old.exists():
            new = old.with_name(f"{old.name}.damaged-{mark}")
            number = 1
            while new.exists():
                number += 1
                new = old.with_name(f"{old.name}.damaged-{mark}-{number}")
            old.rename(new)
            kept.append(new)
    return tuple(kept)


def _refuse_remains(path: Path) -> None:
    # DuckDB would take a log without its file for a new store, and delete the log (measured): look before it does.
    log = _log(path)
    if not path.exists() and log.exists():
        raise StoreDamaged(f"{path} is gone while its log {log.name} is there", set_aside(path))
    if path.exists() and path.stat().st_size == 0:
        raise StoreDamaged(f"{path} is empty (zero bytes)", set_aside(path))


def _log(path: Path) -> Path:
    return path.with_name(path.name + ".wal")


def _holder(message: str) -> str:
    match = _HOLDER.search(message)
    return f"process {match['pid']} ({match['program']})" if match else "another process"
