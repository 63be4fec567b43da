"""The paper account's own books: a SQLite file per venue, apart from the bot's store, as an exchange's would be.

They survive a restart of the bot, and the two can disagree: that is what reconciliation is for. A separate technology
keeps one fault from hitting both. Every answer that the bot receives was committed here first; WAL with NORMAL
synchronisation survives any kill of the process (a power cut may lose the last moments, as an exchange's never would).
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from core.facts import Fill, FundingPaid, SeenAs
from core.orders import ClientId, Kind
from core.simbook import Book, SimOrder, Swap
from core.simulation import Account
from core.values import ZERO, Side

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS balances(asset TEXT PRIMARY KEY, amount TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS swaps(symbol TEXT PRIMARY KEY, qty TEXT NOT NULL, cost TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS feeds(
    symbol TEXT PRIMARY KEY, cursor INTEGER NOT NULL, price TEXT NOT NULL, at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS orders(
    client_id TEXT PRIMARY KEY, exchange_id TEXT NOT NULL, symbol TEXT NOT NULL, side TEXT NOT NULL, kind TEXT NOT NULL,
    price TEXT, qty TEXT NOT NULL, filled TEXT NOT NULL, post_only INTEGER NOT NULL, reduce_only INTEGER NOT NULL,
    status TEXT NOT NULL, created_at TEXT NOT NULL, active_at TEXT NOT NULL, locked TEXT NOT NULL, reason TEXT NOT NULL,
    resting INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS orders_open ON orders(status) WHERE status = 'open';
CREATE TABLE IF NOT EXISTS trades(
    trade_id INTEGER PRIMARY KEY, symbol TEXT NOT NULL, client_id TEXT NOT NULL, side TEXT NOT NULL, price TEXT NOT NULL,
    qty TEXT NOT NULL, fee TEXT NOT NULL, fee_asset TEXT NOT NULL, ts TEXT NOT NULL, maker INTEGER NOT NULL,
    settled TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS income(
    ref TEXT PRIMARY KEY, symbol TEXT NOT NULL, amount TEXT NOT NULL, asset TEXT NOT NULL, rate TEXT NOT NULL,
    ts TEXT NOT NULL);
"""
# Reads overlap by minutes; what is older comes from the file.
RECENT_TRADES = 5000


@dataclass(frozen=True, slots=True)
class FeedState:
    """Where a symbol's feed stands: its cursor, and the last price with its time."""

    cursor: int
    price: Decimal
    at: datetime


class PaperBooks:
    """Reads and writes one paper account. All values are kept as text: exact, and readable with any SQLite tool."""

    def __init__(self, path: Path) -> None:
        """Open or create the books at `path` (mode 0600)."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None)
        path.chmod(0o600)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def get(self, key: str) -> str | None:
        """Read one remembered word."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def put(self, key: str, value: str) -> None:
        """Remember one word."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def load(self, account: Account) -> dict[str, FeedState]:
        """Fill an account from the books; returns where its feeds stand. A new file leaves the account as it is."""
        if self.get("opened") is None:
            return {}
        account.balances = {a: Decimal(v) for a, v in self._db.execute("SELECT asset, amount FROM balances")}
        for symbol, qty, cost in self._db.execute("SELECT symbol, qty, cost FROM swaps"):
            account.swaps[symbol] = Swap(Decimal(qty), Decimal(cost))
        account.next_id = int(self.get("next_id") or 1)
        account.due = [
            (datetime.fromisoformat(at), number, kind, ClientId(cid))
            for at, number, kind, cid in json.loads(self.get("due") or "[]")
        ]
        for row in self._db.execute("SELECT * FROM orders WHERE status = 'open' ORDER BY CAST(exchange_id AS INTEGER)"):
            _restore(account, row)
        states: dict[str, FeedState] = {}
        for symbol, cursor, price, at in self._db.execute("SELECT symbol, cursor, price, at FROM feeds"):
            states[symbol] = FeedState(cursor, Decimal(price), datetime.fromisoformat(at))
            account.jump(symbol, Decimal(price), datetime.fromisoformat(at))
        return states

    def save(self, account: Account, feeds: dict[str, FeedState], paid: Sequence[FundingPaid] = ()) -> list[Fill]:
        """Write what changed since the last call, in one transaction, and hand its trades over."""
        orders, trades = account.drain()
        with self._db:
            self._db.execute("BEGIN")
            stands = [(symbol, s.cursor, str(s.price), s.at.isoformat()) for symbol, s in feeds.items()]
            self._db.executemany("INSERT OR REPLACE INTO feeds VALUES (?,?,?,?)", stands)
            if orders or trades or paid:
                self._save_changes(account, orders, trades)
            self._db.executemany(
                "INSERT INTO income VALUES (?,?,?,?,?,?)",
                [(p.ref, p.symbol, str(p.amount), p.asset, str(p.rate), p.ts.isoformat()) for p in paid],
            )
        return trades

    def open_account(self, account: Account) -> None:
        """Write a new account's opening balances."""
        with self._db:
            self._db.execute("BEGIN")
            self._save_changes(account, {}, [])
            self.put("opened", "1")

    def order(self, client_id: ClientId) -> tuple[str, SeenAs, Decimal] | None:
        """Look an order up, over or not: exchange id, status, filled quantity."""
        row = self._db.execute(
            "SELECT exchange_id, status, filled FROM orders WHERE client_id = ?", (client_id,)
        ).fetchone()
        return (row[0], SeenAs(row[1]), Decimal(row[2])) if row else None

    def all_orders(self) -> list[SimOrder]:
        """Read every order that the account ever took, oldest first."""
        rows = self._db.execute("SELECT * FROM orders ORDER BY CAST(exchange_id AS INTEGER)")
        return [_order(row) for row in rows]

    def trades_since(self, venue: str, symbol: str, since: datetime) -> list[Fill]:
        """Read own trades from `since` on, oldest first."""
        rows = self._db.execute(
            "SELECT * FROM trades WHERE symbol = ? AND ts >= ? ORDER BY trade_id", (symbol, since.isoformat())
        )
        return [_trade(venue, row) for row in rows]

    def income_since(self, venue: str, since: datetime) -> list[FundingPaid]:
        """Read funding payments from `since` on, oldest first."""
        rows = self._db.execute("SELECT * FROM income WHERE ts >= ? ORDER BY ts, ref", (since.isoformat(),))
        return [
            FundingPaid(venue, symbol, Decimal(amount), asset, Decimal(rate), ref, datetime.fromisoformat(ts))
            for ref, symbol, amount, asset, rate, ts in rows
        ]

    def recent_trades(self, venue: str) -> list[Fill]:
        """Read the newest trades, oldest first."""
        rows = self._db.execute("SELECT * FROM trades ORDER BY trade_id DESC LIMIT ?", (RECENT_TRADES,)).fetchall()
        return [_trade(venue, row) for row in reversed(rows)]

    def _save_changes(self, account: Account, orders: dict[ClientId, SimOrder], trades: list[Fill]) -> None:
        write = self._db.executemany
        write("INSERT OR REPLACE INTO balances VALUES (?,?)", [(a, str(v)) for a, v in account.balances.items()])
        write(
            "INSERT OR REPLACE INTO swaps VALUES (?,?,?)",
            [(s, str(w.qty), str(w.cost)) for s, w in account.swaps.items()],
        )
        self.put("next_id", str(account.next_id))
        self.put("due", json.dumps([[at.isoformat(), number, kind, cid] for at, number, kind, cid in account.due]))
        resting: set[str] = set()
        if orders:
            resting = {entry[2] for book in account.books.values() for entry in (*book.bids, *book.asks)}
            resting |= {one.client_id for waiting in account.stops.waiting.values() for one in waiting}
        write("INSERT OR REPLACE INTO orders VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", [
            (o.client_id, o.exchange_id, o.symbol, o.side.value, o.kind.value, _price_text(o),
             str(o.qty), str(o.filled), int(o.post_only), int(o.reduce_only), o.status.value, o.created_at.isoformat(),
             o.active_at.isoformat(), str(o.locked), o.reason, int(o.client_id in resting))
            for o in orders.values()
        ])  # fmt: skip
        write("INSERT INTO trades VALUES (?,?,?,?,?,?,?,?,?,?,?)", [
            (int(t.trade_id), t.symbol, t.client_id, t.side.value, str(t.price), str(t.qty), str(t.fee), t.fee_asset,
             t.ts.isoformat(), int(t.maker), str(t.settled))
            for t in trades
        ])  # fmt: skip


def _price_text(order: SimOrder) -> str | None:
    # A stop-market order has no price but its trigger, which stands in the same column.
    price = order.stop_price if order.kind is Kind.STOP_MARKET else order.price
    return None if price is None else str(price)


def _order(row: tuple) -> SimOrder:
    (client_id, exchange_id, symbol, side, kind, price, qty, filled, post_only, reduce_only, status, created_at,
     active_at, locked, reason, _resting) = row  # fmt: skip
    stops = kind == Kind.STOP_MARKET.value
    return SimOrder(
        client_id=ClientId(client_id), exchange_id=exchange_id, symbol=symbol, side=Side(side), kind=Kind(kind),
        price=None if price is None or stops else Decimal(price), qty=Decimal(qty), filled=Decimal(filled),
        post_only=bool(post_only), reduce_only=bool(reduce_only), status=SeenAs(status),
        created_at=datetime.fromisoformat(created_at), active_at=datetime.fromisoformat(active_at),
        locked=Decimal(locked), reason=reason, stop_price=Decimal(price) if stops else None,
    )  # fmt: skip


def _restore(account: Account, row: tuple) -> None:
    order = _order(row)
    account.orders[order.client_id] = order
    instrument = account.instruments[order.symbol]
    asset = instrument.quote if instrument.swap or order.side is Side.BUY else instrument.base
    account.locked[asset] = account.locked.get(asset, ZERO) + order.locked
    if row[-1] and order.kind is Kind.STOP_MARKET:
        account.stops.waiting.setdefault(order.symbol, []).append(order)
    elif row[-1]:
        account.books.setdefault(order.symbol, Book()).add(order)


def _trade(venue: str, row: tuple) -> Fill:
    trade_id, symbol, client_id, side, price, qty, fee, fee_asset, ts, maker, settled = row
    return Fill(
        venue=venue, symbol=symbol, trade_id=str(trade_id), client_id=ClientId(client_id), side=Side(side),
        price=Decimal(price), qty=Decimal(qty), fee=Decimal(fee), fee_asset=fee_asset, ts=datetime.fromisoformat(ts),
        maker=bool(maker), settled=Decimal(settled),
    )  # fmt: skip
