"""Turns values of the core into rows of the trading store. Rule: an amount is stored exactly or not at all.

Amounts are bound as text: DuckDB binds a long `Decimal` as a double, and unifies the decimals of several rows to what
may be too narrow (both measured on 1.5); a cast from text is exact.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Context, Decimal
from typing import Any

from core.engine.payments import INEXACT
from core.engine.world import Bot, BotSpec, Incident, JournalRow, LevelRow, Step, World, value_of
from core.facts import BalanceRead, Command, Fact, Fill, FundingPaid
from core.ledger import Entry
from core.lots import Lot, fee_in_quote
from core.orders import Order, Role, decode
from core.values import exact_product
from tasks.store_open import AmountRefused

Row = tuple[Any, ...]

_PLACES = 18
_WHOLE_DIGITS = 20
_WIDE = Context(prec=76)


def amount(value: Decimal | None) -> str | None:
    """Write an amount for a DECIMAL(38, 18) column.

    Raises `AmountRefused` for what is no number, has more than 18 places or is 10^20 and above.
    """
    if value is None:
        return None
    if not value.is_finite():
        raise AmountRefused(f"{value} is no amount: it is not a finite number")
    if value.as_tuple().exponent < -_PLACES:  # type: ignore[operator]  # finite, so the exponent is a number
        value = _WIDE.normalize(value)
        if value.as_tuple().exponent < -_PLACES:  # type: ignore[operator]
            raise AmountRefused(f"{value} has more than {_PLACES} decimal places; it would be rounded")
    if value and value.adjusted() >= _WHOLE_DIGITS:
        raise AmountRefused(f"{value} is too large: an amount has at most {_WHOLE_DIGITS} digits before the point")
    return f"{value:f}"


def tidy(value: Decimal) -> Decimal:
    """Return a stored amount without the zeros that its column added, so that it prints as it did before."""
    plain = _WIDE.normalize(value)
    return plain.quantize(Decimal(1), context=_WIDE) if plain.as_tuple().exponent > 0 else plain  # type: ignore[operator]


def tidy_or_none(value: Decimal | None) -> Decimal | None:
    """As `tidy`, for a column that may be NULL."""
    return None if value is None else tidy(value)


def order_row(order: Order, world: World, at: datetime) -> Row:
    """One row of `orders`, with what its leg asked for and was planned to be, where the leg is still worked."""
    bot = world.bots.get(order.bot_id)
    work = bot.works.get(order.leg_id) if bot is not None else None
    asked = leg_qty = None
    if work is not None:
        asked = work.asked_price if work.order is not None and work.order.client_id == order.client_id else None
        leg_qty = work.leg.qty if work.leg is not None else None
    return (
        order.client_id, order.venue, order.symbol, order.bot_id, order.leg_id, order.attempt, order.role.name.lower(),
        order.side.value, order.kind.value, amount(order.price), amount(order.qty), amount(order.filled_qty),
        order.status.value, order.exchange_id, order.reason, order.created_at, order.updated_at,
        amount(order.traded_qty), order.post_only, order.reduce_only, amount(order.stop_price), amount(asked),
        amount(leg_qty), at,
    )  # fmt: skip


def fill_rows(step: Step, realized: Mapping[int, Decimal], at: datetime) -> list[Row]:
    """Rows of `fills`; `realized` gives, by position in the step, what an execution realised."""
    return [_fill_row(bot_id, fill, step.world, realized.get(i), at) for i, (bot_id, fill) in enumerate(step.fills)]


def _fill_row(bot_id: str, fill: Fill, world: World, realized: Decimal | None, at: datetime) -> Row:
    who = decode(fill.client_id) if bot_id in world.specs else None
    closes = who is not None and who.role not in {Role.ENTRY, Role.EXIT}
    return (
        fill.venue, fill.symbol, fill.trade_id, fill.client_id, bot_id, fill.side.value, amount(fill.price),
        amount(fill.qty), amount(fill.fee), fill.fee_asset, fill.ts, who.leg_id if who else "",
        who.role.name.lower() if who else "external", who.leg_id[1:] if who and not closes else "", fill.maker,
        amount(fill.settled), amount(exact_product(fill.price, fill.qty)), amount(fee_quote(bot_id, fill, world)),
        amount(realized), at,
    )  # fmt: skip


def fee_quote(bot_id: str, fill: Fill, world: World) -> Decimal | None:
    """Value a fee in quote as the engine does: at the fill's price, or at the mid of its asset; None without a rate."""
    spec = world.specs.get(bot_id)
    if spec is None:
        return None
    instrument = spec.rule((fill.venue, fill.symbol))
    fee = fee_in_quote(fill, instrument)
    if fee is not None:
        return fee
    quote = world.quotes.get((fill.venue, f"{fill.fee_asset}/{instrument.quote}"))
    return exact_product(fill.fee, quote.mid) if quote is not None else None


def entry_row(entry: Entry, at: datetime) -> Row:
    """One row of `ledger`."""
    return (
        entry.seq, entry.txn_id, entry.ts, entry.bot_id, entry.venue, entry.account, entry.asset, amount(entry.amount),
        entry.kind, entry.ref, at,
    )  # fmt: skip


def lot_row(lot: Lot, opened_txn: int, at: datetime) -> Row:
    """One row of `lots`."""
    return (
        lot.bot_id, lot.lot_id, opened_txn, lot.venue, lot.symbol, lot.side.value, lot.opened_at, lot.updated_at,
        amount(lot.opened_qty), amount(lot.qty), amount(lot.cost), amount(lot.realized), amount(lot.grid_profit),
        amount(lot.fees), lot.exits, at,
    )  # fmt: skip


def level_row(row: LevelRow, now: datetime) -> Row:
    """One row of `levels`."""
    view = row.view
    return (
        row.bot_id, view.place, int(view.entry.rpartition("-")[2]), row.state, view.phase, amount(view.entry_price),
        amount(view.exit_price), amount(view.qty), amount(view.held), row.reason, view.entry, view.exit,
        json.dumps(dict(view.data)), now,
    )  # fmt: skip


def level_rows(levels: Sequence[LevelRow], now: datetime) -> list[Row]:
    """The rows of `levels`."""
    return [level_row(row, now) for row in levels]


def recovery_rows(levels: Sequence[LevelRow], now: datetime) -> list[Row]:
    """The rows of `recovery` for places that tell of an episode (`core.stuck.Episode`) in their data."""
    rows: list[Row] = []
    for row in levels:
        text = row.view.data.get("recovery")
        if text is None:
            continue
        told = json.loads(text)
        ended = told["ended_at"]
        rows.append((
            row.bot_id, told["lot_id"], datetime.fromisoformat(told["began_at"]), row.view.place, told["mode"],
            amount(Decimal(told["price"])), amount(Decimal(told["entry"])), amount(Decimal(told["left"])),
            json.dumps(told["rungs"]), told["fills"], amount(Decimal(told["closed"])), amount(Decimal(told["cost"])),
            told["escalated"], told["outcome"], None if ended is None else datetime.fromisoformat(ended), now,
        ))  # fmt: skip
    return rows


def bot_row(bot: Bot, spec: BotSpec, now: datetime) -> Row:
    """One row of `bot_state`."""
    head = None if bot.state is None else json.dumps(spec.machine.head(bot.state))
    unwind = bot.unwind
    closing = None
    if unwind is not None:
        closing = json.dumps(
            {
                "reason": unwind.reason,
                "since": unwind.since.isoformat(),
                "episode": unwind.episode,
                "lot_id": unwind.lot_id,
            }
        )
    return (
        bot.bot_id, spec.kind, spec.instrument.venue, spec.instrument.symbol, spec.instrument.quote,
        amount(spec.capital_quote), bot.mode.value, bot.mode_reason, head, bot.started_at, closing, bot.episodes,
        amount(bot.peak), amount(bot.realized), amount(bot.grid_profit), amount(bot.fees), amount(bot.funding),
        bot.round_trips, amount(bot.inventory), amount(bot.cost), now,
    )  # fmt: skip


def journal_rows(rows: Iterable[JournalRow], tick_id: int, first: int, now: datetime, at: datetime) -> list[Row]:
    """Rows of `journal`, numbered from `first` within their tick."""
    return [
        (tick_id, first + i, row.bot_id, row.subject, row.decision, row.reason, now, at) for i, row in enumerate(rows)
    ]


def incident_row(number: int, incident: Incident) -> Row:
    """One row of `incidents`, unresolved."""
    return (
        number, incident.ts, incident.severity, incident.bot_id, incident.kind, incident.subject, incident.detail, None,
    )  # fmt: skip


def account_row(world: World, now: datetime) -> Row:
    """The row of `account_state`."""
    suspects = [[venue, asset, str(value)] for (venue, asset), value in sorted(world.suspects.items())]
    return (1, amount(world.peak), json.dumps(suspects), json.dumps(dict(sorted(world.blocked.items()))), now)


def balance_row(read: BalanceRead) -> Row:
    """One row of `account_balance`."""
    return (read.venue, read.asset, amount(read.total), read.ts)


def funding_row(paid: FundingPaid, entries: Iterable[Entry], at: datetime) -> Row:
    """One row of `funding_payments`; the bot is the one whose ledger took all of it, empty where several share it."""
    owners = sorted({one.bot_id for one in _shares(paid, entries)})
    return (
        paid.venue, paid.symbol, paid.ref, owners[0] if len(owners) == 1 else "", paid.ts, amount(paid.amount), paid.asset,
        amount(paid.rate), at,
    )  # fmt: skip


def share_rows(facts: Iterable[Fact], step: Step, at: datetime) -> list[Row]:
    """Rows of `funding_shares`: what each owner's ledger took of the payments among a step's facts."""
    notes = {row.subject: row.reason for row in step.journal if row.decision == INEXACT}
    return [
        (paid.venue, paid.symbol, paid.ref, one.bot_id, paid.ts, amount(one.amount), notes.get(paid.ref, ""), at)
        for paid in facts
        if isinstance(paid, FundingPaid)
        for one in _shares(paid, step.entries)
    ]


def _shares(paid: FundingPaid, entries: Iterable[Entry]) -> list[Entry]:
    # What the ledger's wallets took of a payment, an entry for each owner.
    mine = (paid.venue, paid.ref, "funding", "wallet")
    return [one for one in entries if (one.venue, one.ref, one.kind, one.account) == mine]


def command_row(command: Command, now: datetime) -> Row:
    """One row of `commands`."""
    return (
        command.command_id, command.bot_id, command.action.value, command.argument, command.who, command.note,
        command.ts, now,
    )  # fmt: skip


def valuations(world: World, now: datetime, at: datetime) -> list[Row]:
    """Rows of `equity`: every bot at the last price of its symbol; a bot without a price has none."""
    rows: list[Row] = []
    for bot_id, bot in sorted(world.bots.items()):
        spec = world.specs[bot_id]
        quote = world.quotes.get((spec.instrument.venue, spec.instrument.symbol))
        if quote is None:
            continue
        valued = value_of(bot, spec, world.quotes)
        if valued is None:
            continue
        floating = valued[0] - bot.realized + bot.fees - bot.funding
        equity = spec.capital_quote + valued[0]
        rows.append((
            now, bot_id, amount(equity), amount(quote.last), quote.ts, amount(bot.inventory), amount(bot.cost),
            amount(bot.exposure), amount(bot.realized), amount(floating), amount(bot.grid_profit), amount(bot.fees),
            amount(bot.funding), at,
        ))  # fmt: skip
    return rows


def mark_of(valuation: Row) -> Row:
    """The row of `marks` that goes with a row of `equity`."""
    now, bot_id, equity, price, price_ts, _inventory, _cost, exposure, _realized, floating, *_rest = valuation
    return (bot_id, price, price_ts, floating, equity, exposure, now)
