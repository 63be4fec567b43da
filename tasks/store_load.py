"""Builds the world back from the store: the same bots, works, lots and books that the last commit left (DESIGN 4.6)."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import duckdb

from core.engine.recall import legs_to_recall, recall_works
from core.engine.seen import Seen
from core.engine.world import Bot, BotSpec, Incident, LevelRow, Limits, Mode, Unwind, World, holding_of
from core.ledger import Numbering
from core.lots import Lot
from core.machine import Wake
from core.orders import TERMINAL, ClientId, Kind, Order, Role, Status
from core.values import ZERO, Side
from core.working import Work
from tasks.store_open import PlanChanged, StoreInconsistent
from tasks.store_rows import tidy, tidy_or_none

# Trades are read with an overlap of minutes; this many cover it many times over.
TRADES_KEPT = 10_000
# A deadline long past: the bot is looked at with its first quote.
_AT_ONCE = Wake(deadline=datetime(1970, 1, 1))
_OVER = tuple(status.value for status in TERMINAL)


def load_world(con: duckdb.DuckDBPyConnection, specs: Mapping[str, BotSpec], limits: Limits) -> World | None:
    """Build the world of these bots from the store, or None where nothing was ever stored.

    Every leg is marked to be looked at again in the first advance, and every bot to be woken by its first quote. A bot
    that the store does not know starts from nothing. Raises `StoreInconsistent` where a bot changed its kind, venue or
    symbol, or where a leg has two orders that may both trade.
    """
    if _is_empty(con):
        return None
    lots = read_lots(con)
    bots = {
        bot_id: _load_bot(con, spec, [lot for lot in lots if lot.bot_id == bot_id]) for bot_id, spec in specs.items()
    }
    account = con.execute("SELECT peak, suspects, blocked FROM account_state").fetchone()
    peak, suspects, blocked = account if account is not None else (None, "[]", "{}")
    return World(
        specs=specs,
        bots=bots,
        limits=limits,
        wallet=_sums(con, "wallet"),
        positions=_sums(con, "position"),
        trades=Seen().plus(_newest_trades(con)),
        numbering=_numbering(con),
        incidents=_standing_incidents(con),
        suspects={(venue, asset): Decimal(value) for venue, asset, value in json.loads(suspects)},
        blocked=json.loads(blocked),
        peak=tidy_or_none(peak),
    )


def forgotten_bots(con: duckdb.DuckDBPyConnection, specs: Iterable[str]) -> tuple[str, ...]:
    """Name bots that the portfolio does not have any more, though orders of theirs may live or lots are open."""
    rows = con.execute(
        "SELECT bot_id FROM orders WHERE NOT list_contains(?, status) "
        "UNION SELECT bot_id FROM lots WHERE qty > 0 ORDER BY bot_id",
        [list(_OVER)],
    ).fetchall()
    known = set(specs)
    return tuple(bot_id for (bot_id,) in rows if bot_id not in known)


def read_orders(con: duckdb.DuckDBPyConnection, where: str, values: list[Any]) -> list[tuple[Order, Decimal | None]]:
    """Read orders, oldest attempt first, each with the price that its leg asked for. `where` is SQL of this house."""
    rows = con.execute(
        "SELECT client_id, venue, symbol, bot_id, leg_id, attempt, role, side, type, price, qty, "  # noqa: S608
        "filled_qty, traded_qty, status, exchange_id, reason, created_at, updated_at, post_only, reduce_only, "
        f"stop_price, asked_price FROM orders WHERE {where} ORDER BY leg_id, attempt",
        values,
    ).fetchall()
    return [(_order(row), tidy_or_none(row[21])) for row in rows]


def order_names(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str, str]]:
    """Return (venue, symbol, the exchange's id, our client id) of the newest orders that an exchange has named."""
    return con.execute(
        "SELECT venue, symbol, exchange_id, client_id FROM "
        "(SELECT * FROM orders WHERE exchange_id <> '' ORDER BY created_at DESC LIMIT ?) ORDER BY created_at",
        [TRADES_KEPT],
    ).fetchall()


def read_lots(con: duckdb.DuckDBPyConnection) -> list[Lot]:
    """Read all open lots, in the order in which they were opened."""
    rows = con.execute(
        "SELECT lot_id, bot_id, venue, symbol, side, opened_at, updated_at, opened_qty, qty, cost, realized, "
        "grid_profit, fees, exits FROM lots WHERE qty > 0 ORDER BY opened_at, lot_id"
    ).fetchall()
    return [
        Lot(
            lot_id=row[0], bot_id=row[1], venue=row[2], symbol=row[3], side=Side(row[4]), opened_at=row[5],
            updated_at=row[6], opened_qty=tidy(row[7]), qty=tidy(row[8]), cost=tidy(row[9]), realized=tidy(row[10]),
            grid_profit=tidy(row[11]), fees=tidy(row[12]), exits=row[13],
        )
        for row in rows
    ]  # fmt: skip


def _is_empty(con: duckdb.DuckDBPyConnection) -> bool:
    row = con.execute(
        "SELECT (SELECT count(*) FROM bot_state) + (SELECT count(*) FROM orders) + (SELECT count(*) FROM ledger)"
    ).fetchone()
    return row is None or row[0] == 0


def _load_bot(con: duckdb.DuckDBPyConnection, spec: BotSpec, lots: list[Lot]) -> Bot:
    row = con.execute(
        "SELECT kind, venue, symbol, mode, mode_reason, head, started_at, unwind, episodes, peak, realized, "
        "grid_profit, fees, funding, round_trips FROM bot_state WHERE bot_id = ?",
        [spec.bot_id],
    ).fetchone()
    if row is not None:
        _refuse_another(spec, row[0], row[1], row[2])
    state, shown = _state(con, spec, None if row is None else row[5])
    unwind = _unwind(None if row is None else row[7])
    works = _works(con, spec, state, unwind)
    if row is None:
        row = (None, None, None, Mode.RUN, "", None, None, None, 0, None, ZERO, ZERO, ZERO, ZERO, 0)
    first = holding_of(spec.instrument.market, lots, works)
    return Bot(
        bot_id=spec.bot_id,
        state=state,
        works=works,
        lots={lot.lot_id: lot for lot in lots},
        restless=tuple(sorted(works)),
        mode=Mode(row[3]),
        mode_reason=row[4],
        wake=_AT_ONCE,
        machine_wake=_AT_ONCE,
        started_at=row[6],
        inventory=first.inventory,
        cost=first.cost,
        net_cost=first.net_cost,
        fees_open=first.fees_open,
        realized=tidy(row[10]),
        grid_profit=tidy(row[11]),
        fees=tidy(row[12]),
        funding=tidy(row[13]),
        round_trips=row[14],
        unwind=unwind,
        episodes=row[8],
        peak=tidy_or_none(row[9]),
        live=first.live,
        beside={one.market: holding_of(one.market, lots, works) for one in spec.others},
        shown=shown,
    )


def _refuse_another(spec: BotSpec, kind: str, venue: str, symbol: str) -> None:
    instrument = spec.instrument
    for name, stored, given in (
        ("kind", kind, spec.kind),
        ("venue", venue, instrument.venue),
        ("symbol", symbol, instrument.symbol),
    ):
        if stored != given:
            raise StoreInconsistent(
                f"bot {spec.bot_id!r}: the store knows it with {name} {stored!r}, the portfolio says {given!r}; "
                "give the changed bot another id"
            )


def _state(con: duckdb.DuckDBPyConnection, spec: BotSpec, head: str | None) -> tuple[Any, dict[int, LevelRow]]:
    if head is None:
        return None, {}
    rows = con.execute("SELECT level, state, reason, data FROM levels WHERE bot_id = ?", [spec.bot_id]).fetchall()
    places = {level: json.loads(data) for level, _, _, data in rows}
    _refuse_other_prices(con, spec)
    try:
        state = spec.machine.restore(spec.plan, json.loads(head), places)
    except (KeyError, ValueError) as error:
        raise StoreInconsistent(f"bot {spec.bot_id!r}: its stored state cannot be read: {error!r}") from error
    shown = {
        level: LevelRow(spec.bot_id, spec.machine.place(spec.plan, state, level), name, reason)
        for level, name, reason, _ in rows
        if level < spec.places
    }
    return state, shown


def _refuse_other_prices(con: duckdb.DuckDBPyConnection, spec: BotSpec) -> None:
    # Levels that moved under their lots would sell them at prices nobody chose.
    planned = spec.machine.prices(spec.plan)
    stored = con.execute(
        "SELECT level, data, entry_price, exit_price, qty FROM levels WHERE bot_id = ? ORDER BY level", [spec.bot_id]
    ).fetchall()
    for level, data, *shown in stored:
        # A level that is not at its plan's numbers just now says what those are.
        said = json.loads(data).get("planned")
        numbers = [Decimal(one) for one in said.split()] if said else shown
        if level >= len(planned) or tuple(numbers) != planned[level]:
            raise PlanChanged(spec.bot_id, level)


def _unwind(text: str | None) -> Unwind | None:
    if text is None:
        return None
    said = json.loads(text)
    return Unwind(said["reason"], datetime.fromisoformat(said["since"]), said["episode"], said["lot_id"])


def _works(con: duckdb.DuckDBPyConnection, spec: BotSpec, state: Any, unwind: Unwind | None) -> dict[str, Work]:
    # Orders that may still trade, or whose trades are not all here, and the past of legs that may be worked again.
    legs = legs_to_recall(spec, state, unwind)
    found = read_orders(
        con,
        "bot_id = ? AND (list_contains(?, leg_id) OR NOT list_contains(?, status) OR traded_qty < filled_qty)",
        [spec.bot_id, list(legs), list(_OVER)],
    )
    try:
        return recall_works(legs, [order for order, _ in found], {order.client_id: asked for order, asked in found})
    except ValueError as error:
        raise StoreInconsistent(
            f"bot {spec.bot_id!r}: {error}; look at its orders on the exchange before going on"
        ) from error


def _order(row: tuple[Any, ...]) -> Order:
    return Order(
        client_id=ClientId(row[0]), venue=row[1], symbol=row[2], bot_id=row[3], leg_id=row[4], attempt=row[5],
        role=Role[row[6].upper()], side=Side(row[7]), kind=Kind(row[8]), price=tidy_or_none(row[9]), qty=tidy(row[10]),
        filled_qty=tidy(row[11]), traded_qty=tidy(row[12]), status=Status(row[13]), exchange_id=row[14], reason=row[15],
        created_at=row[16], updated_at=row[17], post_only=row[18], reduce_only=row[19],
        stop_price=tidy_or_none(row[20]),
    )  # fmt: skip


def _sums(con: duckdb.DuckDBPyConnection, account: str) -> dict[tuple[str, str], Decimal]:
    rows = con.execute(
        "SELECT venue, asset, sum(amount) FROM ledger WHERE account = ? GROUP BY venue, asset", [account]
    ).fetchall()
    return {(venue, asset): tidy(amount) for venue, asset, amount in rows}


def _numbering(con: duckdb.DuckDBPyConnection) -> Numbering:
    row = con.execute("SELECT coalesce(max(seq), 0) + 1, coalesce(max(txn_id), 0) + 1 FROM ledger").fetchone()
    return Numbering(row[0], row[1]) if row is not None else Numbering()


def _newest_trades(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str, str]]:
    return con.execute(
        "SELECT venue, symbol, trade_id, side FROM fills ORDER BY recorded_at DESC LIMIT ?", [TRADES_KEPT]
    ).fetchall()


def _standing_incidents(con: duckdb.DuckDBPyConnection) -> dict[str, Incident]:
    rows = con.execute(
        "SELECT kind, bot_id, subject, severity, detail, ts FROM incidents WHERE resolved_at IS NULL ORDER BY id"
    ).fetchall()
    found = [Incident(*row) for row in rows]
    return {one.key: one for one in found}
