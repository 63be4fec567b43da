"""What must hold of a simulated account and its store, by the numbers of the list that each line names.

`check` after every tick, `check_step` after every commit, `check_send` and `check_venue` around every request,
`check_settled` once everything has come to rest. What is found is added to the run's problems, never raised.
"""

from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING

from core.engine import Mode, Place, Step
from core.orders import Role, Status, decode
from core.reconcile import ours
from core.values import ZERO, ratio, total
from tests.simulation import kinds

if TYPE_CHECKING:
    from tests.simulation.trading import Trading

# An order of unknown fate is asked for in every tick; readings may fail a few times in a row, and a ban stops them all.
UNKNOWN_MAX_S = 30.0 + 30 * 5.0 + 2 * 90.0
# Incidents that speak of a moment; once all is read and quiet they must be over. Others stand until a person looks.
PASSING = ("balance_mismatch", "position_mismatch", "venue_unreadable")
# Incidents that no fault of these may ever cause.
NEVER = ("over_filled",)


def check_send(run: "Trading", intent: Place) -> None:
    """I-18: what is sent lies on the exchange's grid."""
    order = intent.order
    instrument = run.memory.specs[order.bot_id].rule((order.venue, order.symbol))
    objection = instrument.objection(order.price or run.prices_now()[order.symbol], order.qty)
    if objection is not None:
        run.problems.append(f"{run.now} I-18 {order.client_id}: {objection}")


def check_step(run: "Trading", step: Step) -> None:
    """I-11 on what we know: unknown orders count as live, trades still to come as done. Notes the most each leg wanted."""
    for order in step.orders:
        work = step.world.bots[order.bot_id].works.get(order.leg_id)
        if work is not None and work.leg is not None:
            about = (order.bot_id, order.leg_id)
            run.wanted[about] = max(run.wanted.get(about, ZERO), work.leg.qty)
    for bot_id, bot in step.world.bots.items():
        cap = run.memory.specs[bot_id].max_position_size
        if cap is None:
            continue
        entries = total(
            w.order.unbooked for w in bot.works.values() if w.order is not None and w.order.role is Role.ENTRY
        )
        if abs(bot.inventory) + entries > cap:
            run.problems.append(f"{run.now} I-11 {bot_id} may reach {abs(bot.inventory) + entries} of {cap}")


def check_venue(run: "Trading") -> None:
    """I-11 at the exchange itself: after each request, on its books."""
    for bot_id, one in run.memory.specs.items():
        cap = one.max_position_size
        if cap is None:
            continue
        mine = [h.order for cid, h in run.venue.books.items() if cid.startswith(f"{bot_id}-")]
        held = total(order.filled * order.side.sign for order in mine)
        sign = 1 if one.long else -1
        resting = total(
            o.qty - o.filled for o in run.venue.open_truth()
            if o.client_id.startswith(f"{bot_id}-") and o.side.sign == sign
        )  # fmt: skip
        if held * sign + resting > cap:
            run.problems.append(f"{run.now} I-11 {bot_id} holds {held} and has {resting} resting, cap {cap}")


def check(run: "Trading") -> None:
    """Hold every invariant that must hold at any moment."""
    known = run.memory.orders
    for order in run.venue.open_truth():
        mine = known.get(order.client_id)
        lost = mine is None or not mine.live
        run.orphans[order.client_id] = run.orphans.get(order.client_id, 0) + 1 if lost else 0
        if run.orphans[order.client_id] == 3:
            run.problems.append(f"{run.now} I-08 {order.client_id} rests and nobody knows")
    for order in ours(run.world, run.venue.account.venue).values():
        if order.status in {Status.PENDING, Status.UNKNOWN}:
            age_s = (run.now - order.created_at).total_seconds()
            if age_s > UNKNOWN_MAX_S:
                run.problems.append(f"{run.now} I-09 {order.client_id} is {order.status} for {age_s:.0f} s")
    # Fills are only ever added, and what was compared once stays as it was.
    if len(run.memory.fills) == run.fills_checked:
        return
    true_trades = {fill.trade_id: fill for _, fill in run.venue.trades}
    for key, (_, fill) in islice(run.memory.fills.items(), run.fills_checked, None):
        if true_trades.get(key[2]) != fill:
            run.problems.append(f"{run.now} I-03 {key} is no trade of the exchange")
    run.fills_checked = len(run.memory.fills)


def check_settled(run: "Trading") -> None:
    """Hold what must hold of an account that has come to rest."""
    _check_legs(run)
    _check_books(run)
    _check_resting(run)
    _check_exits(run)
    _check_incidents(run)


def _check_legs(run: "Trading") -> None:
    """I-06 over all history: no leg executed more than was ever wanted of it, no grid's entry more than was planned."""
    done: dict[tuple[str, str], Decimal] = {}
    for cid, history in run.venue.books.items():
        who = decode(cid)
        if who is not None:
            done[who.bot_id, who.leg_id] = done.get((who.bot_id, who.leg_id), ZERO) + history.order.filled
    for (bot_id, leg), qty in done.items():
        if qty > run.wanted.get((bot_id, leg), ZERO):
            run.problems.append(f"I-06 leg {leg} of {bot_id} executed {qty} of {run.wanted.get((bot_id, leg))}")
        if leg.startswith("e") and run.kind == "grid":
            planned = run.memory.specs[bot_id].plan.lines[int(leg[1:].split("-")[0])].qty
            if qty > planned:
                run.problems.append(f"I-06 leg {leg} of {bot_id} executed {qty} of {planned}")


def _check_books(run: "Trading") -> None:
    """I-01, I-03 and the conservation of inventory: ledger, lots, fills and the exchange agree exactly."""
    account, memory = run.venue.account, run.memory
    booked = memory.sums("wallet")
    for asset, held in account.balances.items():
        ledger = booked.get((account.venue, asset), ZERO)
        if ledger != held:
            run.problems.append(f"I-01 {asset}: the exchange has {held}, the ledger {ledger}")
    positions = memory.sums("position")
    for symbol, swap in account.swaps.items():
        ledger = positions.get((account.venue, symbol), ZERO)
        if ledger != swap.qty:
            run.problems.append(f"I-01 {symbol}: the exchange has a position of {swap.qty}, the ledger {ledger}")
    # What strangers traded before the wallets were opened is part of what they were opened with; a rebuild books it too.
    since = memory.opened_at or run.now
    needed = {f.trade_id for _, f in run.venue.trades if f.ts > since or decode(f.client_id) is not None}
    theirs, stored = {f.trade_id for _, f in run.venue.trades}, {key[2] for key in memory.fills}
    if not needed <= stored <= theirs:
        missing, unreal = sorted(needed - stored)[:5], sorted(stored - theirs)[:5]
        run.problems.append(f"I-03 trades {missing} are not stored, {unreal} are none of the exchange's")
    for bot_id, bot in run.world.bots.items():
        base = memory.specs[bot_id].instrument.base
        mine = [fill for owner, fill in memory.fills.values() if owner == bot_id]
        filled = total(fill.qty * fill.side.sign for fill in mine)
        in_base = total(fill.fee for fill in mine if fill.fee_asset == base)
        lots = total(lot.qty * lot.side.sign for lot in bot.lots.values())
        if not filled - in_base == lots == bot.inventory:
            run.problems.append(f"I-03 {bot_id}: fills {filled}, fees {in_base}, lots {lots}, has {bot.inventory}")
    refs = [(e.ref, e.bot_id) for e in memory.entries if e.kind in {"funding", "transfer"} and e.account == "wallet"]
    if len(refs) != len(set(refs)):
        run.problems.append("I-22 a payment is booked twice")


def _check_resting(run: "Trading") -> None:
    """I-07 and I-28: what rests at the exchange is what is wanted, at its price, with what is left of it."""
    known = ours(run.world, run.venue.account.venue)
    for order in run.venue.open_truth():
        mine = known.get(order.client_id)
        if mine is None or (mine.price, mine.remaining) != (order.price, order.qty - order.filled):
            run.problems.append(f"I-07 {order.client_id} rests otherwise than known: {mine}")
    resting = {o.client_id for o in run.venue.open_truth()}
    for cid in known:
        if cid not in resting:
            run.problems.append(f"I-07 {cid} is believed to rest: {known[cid]}")


def _check_exits(run: "Trading") -> None:
    """I-14: everything held is offered by exits, but for what is less than an order may be; executors have ended."""
    for bot_id, bot in run.world.bots.items():
        spec = run.memory.specs[bot_id]
        rules = spec.instrument
        orders = [work.order for work in bot.works.values() if work.order is not None]
        offered = total(order.remaining for order in orders if order.role is Role.EXIT)
        least = rules.min_qty + ratio(rules.min_notional, run.prices_now()[rules.symbol])
        dust = least * spec.places + rules.lot_step * len(bot.lots)
        if bot.state is None or (kinds.offers(spec, bot.state) and abs(bot.inventory) - offered > dust):
            run.problems.append(f"I-14 {bot_id} holds {bot.inventory}, offers {offered}")
        if len(bot.works) > 16 * spec.places + 48:
            run.problems.append(f"I-27 {bot_id} remembers {len(bot.works)} legs of {spec.places} places")
        if bot.state is not None and not kinds.ended(spec, bot.state):
            run.problems.append(f"I-14 {bot_id} has not ended: {bot.state}")


def _check_incidents(run: "Trading") -> None:
    """I-30: what has passed is resolved and blocks nothing any more; what must never happen never did."""
    for incident in run.world.incidents.values():
        if incident.kind in PASSING:
            run.problems.append(f"I-30 {incident.key} still stands: {incident.detail}")
    for incident in run.memory.raised:
        if incident.kind in NEVER:
            run.problems.append(f"I-16 {incident.key}: {incident.detail}")
    # After a rebuild coins that the bots' trades say are there and the account does not hold wait for a person.
    for bot_id, bot in run.world.bots.items():
        # Where nothing is left of the capital, a drawdown has no end.
        broke = any(peak is not None and peak <= ZERO for peak in (bot.peak, run.world.peak))
        if bot.mode is not Mode.RUN and not broke:
            run.problems.append(f"I-28 {bot_id} was released and is {bot.mode} again: {bot.mode_reason}")
    if run.world.blocked and not any(one.kind == "rebuilt_short" for one in run.world.incidents.values()):
        run.problems.append(f"I-30 entries are still blocked: {run.world.blocked}")
