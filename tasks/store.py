"""The trading store: one process holds it for life, one transaction per step, the world can be built back from it.

Nothing here decides. What a step produced is written before anything is sent (DESIGN 4.1); a commit that failed is
raised, never repeated.
"""

import os
import secrets
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import duckdb

from core.engine.world import BotSpec, Limits, Place, Step, World
from core.facts import BalanceRead, Command, Fact, FundingPaid
from core.orders import Event, Order, apply
from tasks import store_booked as booked
from tasks import store_rows as rows_of
from tasks import store_write as write
from tasks.migrations import migrate
from tasks.store_load import forgotten_bots, load_world, read_orders
from tasks.store_lots import key_of, lot_changes, read_known, realized_by_fill
from tasks.store_open import StampMismatch, StoreBusy, StoreLost, connect

SCHEMA = Path(__file__).parents[1] / "sql" / "schema" / "trading"
EQUITY_EVERY = timedelta(seconds=60)
# Updated rows leave their old versions behind until a checkpoint; this bounds the file as well as the log.
CHECKPOINT_EVERY = 500

_OPEN: set[Path] = set()


@dataclass(frozen=True, kw_only=True)
class TickRow:
    """One row of `ticks`. `now` is what the tick decided with, the other two times are the machine's clock; all UTC."""

    tick_id: int
    started_at: datetime
    ended_at: datetime
    now: datetime
    rounds: int = 1
    quiet: bool = True
    orders_placed: int = 0
    orders_cancelled: int = 0
    fills: int = 0
    note: str = ""


@dataclass
class _Noted:
    """Rows that wait for the next `flush`, with the world and time of the newest."""

    ticks: list[Any] = field(default_factory=list[Any])
    worth: list[Any] = field(default_factory=list[Any])
    world: World | None = None
    now: datetime = datetime(1970, 1, 1)


def open_store(data_dir: Path | str, *, wait_s: float = 10.0) -> "Store":
    """Open (or make) `trading.duckdb` in `data_dir`, bring it to this program's schema and hold it.

    Raises `StoreBusy` after `wait_s` while another holds it, `StoreDamaged` for a file that was lost or torn (put aside
    first), `MigrationRefused` for a store of another program version.
    """
    folder = Path(data_dir).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if folder in _OPEN:
        raise StoreBusy(folder, "this very process", 0)
    with ExitStack() as undo:
        con = connect(folder, wait_s)
        undo.callback(con.close)
        migrate(con, SCHEMA)
        store = Store(con, folder)
        undo.pop_all()
    _OPEN.add(folder)
    return store


class Store:
    """The open store. Not for several threads at once; `reader` gives a second connection for publishing."""

    def __init__(self, con: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self.folder = folder
        self._con = con
        self._path = folder / "trading.duckdb"
        self._inode = self._path.stat().st_ino
        self._commits = 0
        self._noted = _Noted()
        self._read_back()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Write a checkpoint and let the file go."""
        if self.folder in _OPEN:
            self.flush()
            _OPEN.discard(self.folder)
            self._con.close()

    def reader(self) -> duckdb.DuckDBPyConnection:
        """A second connection to the same store, for reads beside the writer; the caller closes it."""
        return self._con.cursor()

    def stamp(
        self, *, mode: str, exchanges: Iterable[str], account: str, portfolio: str, token: str | None = None
    ) -> str:
        """Mark a new store as belonging to this, or check that it does; returns its four-character token (RULES 2, 3).

        `account` is a hash of the keys, never a key. Raises `StampMismatch` naming what differs, with
        nothing written.
        """
        names = ",".join(sorted(set(exchanges)))
        row = self._con.execute("SELECT mode, exchanges, account, portfolio, token FROM store_stamp").fetchone()
        if row is None:
            mark = token or "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(4))
            with self._transaction():
                self._con.execute(
                    "INSERT INTO store_stamp VALUES (1, ?, ?, ?, ?, ?, ?)",
                    [mode, names, account, portfolio, mark, _clock()],
                )
            return mark
        given = {"mode": mode, "exchanges": names, "account": account, "portfolio": portfolio}
        for (key, value), stored in zip(given.items(), row, strict=False):
            if value != stored:
                raise StampMismatch(key, stored, value)
        if token is not None and token != row[4]:
            raise StampMismatch("token", row[4], token)
        return row[4]

    def remember(self, words: Mapping[str, str]) -> None:
        """Keep words that go with every published copy (mode, prices, configuration); no secret may be among them."""
        with self._transaction():
            self._con.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", [list(pair) for pair in words.items()])

    def next_tick_id(self) -> int:
        """The number for the next tick: one more than any tick or decision that was stored."""
        return _one(
            self._con,
            "SELECT coalesce(max(tick_id), 0) + 1 "
            "FROM (SELECT max(tick_id) AS tick_id FROM ticks UNION ALL SELECT max(tick_id) FROM journal)",
        )

    def load_world(self, specs: Mapping[str, BotSpec], limits: Limits) -> World | None:
        """As `store_load.load_world`."""
        return load_world(self._con, specs, limits)

    def forgotten_bots(self, specs: Iterable[str]) -> tuple[str, ...]:
        """As `store_load.forgotten_bots`."""
        return forgotten_bots(self._con, specs)

    def commands_applied(self, numbers: Iterable[int]) -> frozenset[int]:
        """As `store_booked.commands_applied`."""
        return booked.commands_applied(self._con, numbers)

    def incomes_booked(self, venue: str, refs: Iterable[str]) -> frozenset[str]:
        """As `store_booked.incomes_booked`."""
        return booked.incomes_booked(self._con, venue, refs)

    def traded_since(self, venue: str, symbol: str, at: datetime) -> tuple[tuple[str, Decimal], ...]:
        """As `store_booked.traded_since`."""
        return booked.traded_since(self._con, venue, symbol, at)

    def income_since(self, venue: str) -> tuple[datetime | None, datetime | None]:
        """As `store_booked.income_since`."""
        return booked.income_since(self._con, venue)

    def commit_step(
        self, step: Step, *, tick_id: int, now: datetime, facts: Iterable[Fact] = (), found: bool = False
    ) -> None:
        """Store all that a step produced, in one transaction, before anything of it is sent; else raise and store nothing.

        Of `facts` (what the step was given) balances, funding payments and words of control are kept too. `found`: its
        orders are new here, though nobody sends them. Raises `duckdb.Error`, `AmountRefused`, `StoreLost`.
        """
        at, known = self._recording_time(now), self._known
        changes = lot_changes(step, known.lots, known.bots)
        count = step.world.numbering.txn_id
        lots = [
            (
                rows_of.lot_row(one.after, known.opened[key_of(one.after)] if one.before else count, at),
                one.before is None,
            )
            for one in changes
        ]
        bots = [rows_of.bot_row(bot, step.world.specs[bot.bot_id], now) for bot in step.bots]
        first = self._decisions_of(tick_id)
        with self._transaction():
            self._begin_day(at)
            self._write_orders(step, at, found=found)
            write.insert(self._con, write.FILLS, rows_of.fill_rows(step, realized_by_fill(step, changes), at))
            write.insert(self._con, write.LEDGER, [rows_of.entry_row(entry, at) for entry in step.entries])
            write.update(self._con, write.LOTS, [row for row, new in lots if not new])
            write.insert(self._con, write.LOTS, [row for row, new in lots if new])
            self._change(write.LEVELS, [(r, r[:2] not in known.levels) for r in rows_of.level_rows(step.levels, now)])
            write.upsert(self._con, write.RECOVERY, rows_of.recovery_rows(step.levels, now))
            self._change(write.BOT_STATE, [(row, row[0] not in known.bots) for row in bots])
            write.insert(self._con, write.JOURNAL, rows_of.journal_rows(step.journal, tick_id, first, now, at))
            self._write_incidents(step, now)
            self._write_facts(facts, step, now, at)
            account = self._write_account(step.world, now)
        known.take_in(step, changes, count)
        # What is stored now of the account is newer than what the ticks that wait had seen.
        self._noted.world = None
        self._decided = (tick_id, first + len(step.journal))
        self._incident_id += len(step.raised)
        self._stored(at, account)

    def commit_tick(self, row: TickRow, world: World | None = None) -> None:
        """Store one row of `ticks`; with `world` also the account's latches where they moved, and equity every 60 s."""
        self.note_tick(row, world)
        self.flush()

    def note_tick(self, row: TickRow, world: World | None, *, equity_every: timedelta = EQUITY_EVERY) -> None:
        """Take a tick's row, to be stored with the next `flush`: nobody trades on it, so it may wait a moment."""
        at = self._recording_time(row.now)
        self._recorded_at = at
        self._noted.ticks.append((
            row.tick_id, row.started_at, row.ended_at, row.now, row.rounds, row.quiet, row.orders_placed,
            row.orders_cancelled, row.fills, row.note, at,
        ))  # fmt: skip
        self._noted.world, self._noted.now = world, row.now
        if world is not None and (self._sampled_at is None or row.now - self._sampled_at >= equity_every):
            self._noted.worth += rows_of.valuations(world, row.now, at)
            self._sampled_at = row.now

    def flush(self) -> None:
        """Store what `note_tick` took, in one transaction."""
        noted, self._noted = self._noted, _Noted()
        if not noted.ticks:
            return
        account = self._account
        with self._transaction():
            for day in sorted({row[-1].date() for row in noted.ticks} - {self._day}):
                self._con.execute("INSERT INTO days VALUES (?) ON CONFLICT DO NOTHING", [day])
            write.insert(self._con, write.TICKS, noted.ticks)
            write.insert(self._con, write.EQUITY, noted.worth)
            newest = {mark[0]: mark for mark in map(rows_of.mark_of, noted.worth)}
            write.upsert(self._con, write.MARKS, list(newest.values()))
            if noted.world is not None:
                account = self._write_account(noted.world, noted.now)
        self._stored(noted.ticks[-1][-1], account)
        if self._commits >= CHECKPOINT_EVERY:
            # Here, not after a step: a full disk must not make a step look unstored that was stored. While a publication
            # reads, it cannot be done; the next time will do.
            with suppress(duckdb.TransactionException):
                self._con.execute("CHECKPOINT")
                self._commits = 0

    def mark(self, world: World, now: datetime) -> None:
        """Value every bot at its last price, for the reports; equity is not sampled by this."""
        worth = rows_of.valuations(world, now, now)
        with self._transaction():
            write.upsert(self._con, write.MARKS, [rows_of.mark_of(one) for one in worth])

    @property
    def recorded_at(self) -> datetime | None:
        """When the newest row was recorded (the ticks' `now`, UTC); None while there is none."""
        return self._recorded_at

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        # After a failed statement DuckDB's commit returns as if all were well (measured): an error always leaves here.
        self._refuse_if_lost()
        self._con.begin()
        finished = False
        try:
            yield
            finished = True
        finally:
            if not finished:
                self._con.rollback()
        self._con.commit()

    def _refuse_if_lost(self) -> None:
        # DuckDB goes on writing into a deleted file without a word (measured).
        try:
            there = os.stat(self._path).st_ino == self._inode  # noqa: PTH116  twice as fast, and it is asked every tick
        except FileNotFoundError:
            there = False
        if not there:
            raise StoreLost(
                f"{self._path} was deleted or replaced while it was open; stop, and put it back from a backup"
            )

    def _recording_time(self, now: datetime) -> datetime:
        return now if self._recorded_at is None else max(now, self._recorded_at)

    def _begin_day(self, at: datetime) -> None:
        if at.date() != self._day:
            self._con.execute("INSERT INTO days VALUES (?) ON CONFLICT DO NOTHING", [at.date()])

    def _stored(self, at: datetime, account: tuple[object, ...]) -> None:
        self._recorded_at, self._day, self._account = at, at.date(), account
        self._commits += 1

    def _change(self, table: write.Table, rows: Sequence[tuple[rows_of.Row, bool]]) -> None:
        write.upsert(self._con, table, [row for row, new in rows if new])
        write.update(self._con, table, [row for row, new in rows if not new])

    def _write_orders(self, step: Step, at: datetime, *, found: bool) -> None:
        # A client id that was sent before is refused by the primary key: it would be a second order under one name.
        placed = {one.client_id for one in step.orders if found}
        placed |= {intent.order.client_id for intent in step.intents if isinstance(intent, Place)}
        late = self._late_orders(step)
        new = [rows_of.order_row(order, step.world, at) for order in step.orders if order.client_id in placed]
        old = [
            rows_of.order_row(order, step.world, at) for order in (*step.orders, *late) if order.client_id not in placed
        ]
        write.insert(self._con, write.ORDERS, new)
        write.update(self._con, write.ORDERS, old)

    def _late_orders(self, step: Step) -> list[Order]:
        # Trades of attempts that the engine has put away: their rows must still add up with the fills.
        here = {order.client_id for order in step.orders}
        trades = [fill for bot_id, fill in step.fills if bot_id in step.world.specs and fill.client_id not in here]
        late: dict[str, Order] = {}
        for fill in trades:
            order = late.get(fill.client_id)
            if order is None:
                found = read_orders(self._con, "client_id = ?", [fill.client_id])
                if not found:
                    continue
                order = found[0][0]
            late[fill.client_id] = apply(order, Event.ACKED, fill.ts, traded=fill.qty)
        return list(late.values())

    def _write_incidents(self, step: Step, now: datetime) -> None:
        for key in step.resolved:
            self._con.execute(
                "UPDATE incidents SET resolved_at = ? "
                "WHERE resolved_at IS NULL AND kind || '/' || bot_id || '/' || subject = ?",
                [now, key],
            )
        numbered = [rows_of.incident_row(self._incident_id + i, one) for i, one in enumerate(step.raised)]
        write.insert(self._con, write.INCIDENTS, numbered)

    def _write_facts(self, facts: Iterable[Fact], step: Step, now: datetime, at: datetime) -> None:
        given = tuple(facts)
        balances = {(one.venue, one.asset): one for one in given if isinstance(one, BalanceRead)}
        paid = [rows_of.funding_row(one, step.entries, at) for one in given if isinstance(one, FundingPaid)]
        commands = [rows_of.command_row(one, now) for one in given if isinstance(one, Command)]
        write.upsert(self._con, write.ACCOUNT_BALANCE, [rows_of.balance_row(one) for one in balances.values()])
        write.insert(self._con, write.FUNDING_PAYMENTS, paid)
        write.insert(self._con, write.FUNDING_SHARES, rows_of.share_rows(given, step, at))
        write.insert(self._con, write.COMMANDS, commands)

    def _write_account(self, world: World, now: datetime) -> tuple[object, ...]:
        row = rows_of.account_row(world, now)
        if row[:-1] != self._account:
            write.upsert(self._con, write.ACCOUNT_STATE, [row])
        return row[:-1]

    def _decisions_of(self, tick_id: int) -> int:
        newest, count = self._decided
        if tick_id == newest:
            return count
        if tick_id > newest:
            return 0
        return _one(self._con, "SELECT coalesce(max(n) + 1, 0) FROM journal WHERE tick_id = ?", [tick_id])

    def _read_back(self) -> None:
        con = self._con
        self._known = read_known(con)
        self._recorded_at: datetime | None = None
        for table in ("ticks", "journal", "orders", "fills", "ledger"):
            newest = _one(con, f"SELECT max(recorded_at) FROM {table}")  # noqa: S608  names from the line above
            if newest is not None:
                self._recorded_at = max(newest, self._recorded_at or newest)
        self._day: date | None = _one(con, "SELECT max(day) FROM days")
        self._sampled_at: datetime | None = _one(con, "SELECT max(ts) FROM equity")
        self._incident_id: int = _one(con, "SELECT coalesce(max(id), 0) + 1 FROM incidents")
        tick = _one(con, "SELECT coalesce(max(tick_id), 0) FROM journal")
        self._decided = (tick, _one(con, "SELECT coalesce(max(n) + 1, 0) FROM journal WHERE tick_id = ?", [tick]))
        account = con.execute("SELECT id, peak, suspects, blocked FROM account_state").fetchone()
        if account is None:
            self._account: tuple[object, ...] = (1, None, "[]", "{}")
        else:
            self._account = (1, rows_of.amount(rows_of.tidy_or_none(account[1])), account[2], account[3])


def _one(con: duckdb.DuckDBPyConnection, statement: str, values: Sequence[Any] = ()) -> Any:
    row = con.execute(statement, values).fetchone()
    return row[0] if row is not None else None


def _clock() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
