"""Two markets that must balance: what was bought in one is sold in the other. Machines of pairs build on it.

A pair opens in its first market (`entry`) and hedges in its second (`hedge`, which follows fills, RULES 9c). What cannot be
hedged is undone where it was opened (`undo`); what was hedged too much is taken back (`cover`). Each is a target leg: its
quantity is what shall ever have been executed for it, so an order of unknown fate is never sent twice. How much is missing
is read from the bot's own lots in both markets, never from what was planned. Nothing here knows a strategy.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from core.facts import Refusal
from core.machine import Held, LegFilled, LegRefused, MachineEvent, View, Wake
from core.market import Instrument, Quote
from core.orders import Kind, Leg, Role, leg_id
from core.values import ONE, ZERO, Side, exact_product, plain, ratio

# A cap doubles with every try, up to sixteen times what it began with: an empty book must not fill at any price.
TRIES_MAX = 4
SLIP_MAX = Decimal("0.5")
# A venue that says one of these will say it again: there is no hedge to be had there.
HOPELESS = frozenset({Refusal.FUNDS, Refusal.FILTER, Refusal.CLOSED})
# After one of these the order layer waits for many seconds: so long at least after the first, doubled by each that follows.
STALLING = frozenset({Refusal.RATE, Refusal.OTHER, Refusal.REDUCE_ONLY})
STALL_S = 10.0
STALL_MAX_S = 300.0
# The shortest patience that a configuration may ask for.
PATIENCE_LEAST_S = 0.1
_ROLES = {"entry": Role.ENTRY, "hedge": Role.HEDGE, "undo": Role.EXIT, "cover": Role.EXIT}
_PLACES = {"entry": 0, "undo": 0, "hedge": 1, "cover": 1}


@dataclass(frozen=True, slots=True)
class Target:
    """A leg that follows: `qty` is what shall ever have been executed, `done` what has been, `cap` its limit price."""

    qty: Decimal = ZERO
    done: Decimal = ZERO
    cap: Decimal = ZERO

    @property
    def open(self) -> bool:
        """Whether anything is still asked for."""
        return self.qty > self.done


@dataclass(frozen=True, slots=True)
class Off:
    """Out of balance by more than an order can be small. `since` when, `asked_at` when the cap was last set, how often."""

    since: datetime
    asked_at: datetime
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Pair:
    """The four target legs of one cycle. `back`: what is open is undone, not hedged.

    `refusal` says why the venue will take no more orders of this cycle; until `stalled_until` the order layer waits after
    another refusal of a hedge, longer than a quantity may stand open.
    """

    cycle: int = 0
    entry: Target = field(default_factory=Target)
    hedge: Target = field(default_factory=Target)
    undo: Target = field(default_factory=Target)
    cover: Target = field(default_factory=Target)
    off: Off | None = None
    back: bool = False
    refusal: str = ""
    stalled_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Ways:
    """Where a pair trades, and how it gets out of imbalance. `side` is the entry's; `slip` a fraction, times in seconds."""

    first: Instrument
    second: Instrument
    side: Side
    slip: Decimal
    retry_s: float

    def rule(self, name: str) -> Instrument:
        """Return where a target leg trades."""
        return self.first if _PLACES[name] == 0 else self.second

    def side_of(self, name: str) -> Side:
        """Return which way a target leg trades."""
        return self.side if name in {"entry", "cover"} else self.side.opposite


def name_of(name: str, cycle: int) -> str:
    """Name a target leg of a cycle for the order layer."""
    return leg_id(_ROLES[name], _PLACES[name], cycle)


def names_of(cycle: int) -> list[str]:
    """Name all legs that a cycle can have."""
    return [name_of(name, cycle) for name in _ROLES]


def taking(ways: Ways, name: str, pair: Pair, *, group: str = "") -> dict[str, Leg]:
    """Return a target leg as a capped order that takes the book; none where nothing is asked for."""
    target: Target = getattr(pair, name)
    if not target.open:
        return {}
    rule, role = ways.rule(name), _ROLES[name]
    made = name_of(name, pair.cycle)
    leg = Leg(
        leg_id=made, venue=rule.venue, symbol=rule.symbol, side=ways.side_of(name), role=role, kind=Kind.MARKET,
        qty=target.qty, price=target.cap, reduce_only=rule.swap and role is Role.EXIT, group=group,
        lot_id=f"{_PLACES[name]}-{pair.cycle}" if role is not Role.HEDGE else "",
    )  # fmt: skip
    return {made: leg}


def counted(pair: Pair, events: tuple[MachineEvent, ...], stalling: tuple[str, ...] = ("hedge",)) -> Pair:
    """Take fills and refusals of this cycle's legs in; those of older cycles show in the lots alone.

    `stalling` names the legs whose refusal makes the pair go back rather than wait.
    """
    names = {name_of(name, pair.cycle) for name in stalling}
    for event in events:
        match event:
            case LegFilled():
                for name in _ROLES:
                    if event.leg_id == name_of(name, pair.cycle):
                        target: Target = getattr(pair, name)
                        pair = replace(pair, **{name: replace(target, done=target.done + event.qty)})
            case LegRefused() if event.leg_id in names_of(pair.cycle) and event.kind in HOPELESS:
                pair = replace(pair, refusal=f"{event.leg_id} refused ({event.kind.value}): {event.reason}")
            case LegRefused() if event.leg_id in names and event.kind in STALLING:
                wait_s = min(STALL_S * 2 ** (min(max(event.times, 1), 10) - 1), STALL_MAX_S)
                pair = replace(pair, stalled_until=event.ts + timedelta(seconds=wait_s))
            case _:
                pass
    return pair


def stalled(pair: Pair, now: datetime) -> bool:
    """Whether the hedge's venue asked for a pause that is not over."""
    return pair.stalled_until is not None and now < pair.stalled_until


def held_beside(ways: Ways, view: View) -> Held:
    """Return what the bot has in the second market."""
    return view.beside.get(ways.second.market) or Held(ways.second, None)


def quote_at(ways: Ways, name: str, view: View) -> Quote | None:
    """Return the price where a target leg trades, if it is known."""
    return view.quote if _PLACES[name] == 0 else held_beside(ways, view).quote


def net_of(ways: Ways, view: View) -> Decimal:
    """Return base held over both markets, > 0 where the entry's side has more than its hedge."""
    return (view.inventory + held_beside(ways, view).inventory) * ways.side.sign


def missing(ways: Ways, pair: Pair, view: View, *, forward: bool = False) -> tuple[str, Decimal]:
    """Say which target leg would restore the balance and by how much; ("", 0) where no order could be so small.

    With `forward` a hedge that ran ahead is answered by the entry, unless the pair goes `back`.
    """
    name, least = _wanted(ways, pair, view, forward=forward)
    quote = quote_at(ways, name, view)
    rule = ways.rule(name)
    # Without a price the exchange's least notional cannot be known: then only its least quantity counts.
    qty = rule.sellable(quote.bid, least) if quote is not None else rule.floor_qty(least)
    return (name, qty) if qty > ZERO else ("", ZERO)


def _wanted(ways: Ways, pair: Pair, view: View, *, forward: bool) -> tuple[str, Decimal]:
    # The leg that would restore the balance and the quantity, whatever an order must be at least.
    net = net_of(ways, view)
    if net > ZERO:
        return ("undo", min(net, abs(view.inventory))) if pair.back else ("hedge", net)
    if forward and not pair.back:
        return "entry", -net
    return "cover", min(-net, abs(held_beside(ways, view).inventory))


def cap_at(ways: Ways, name: str, quote: Quote, tries: int, qty: Decimal) -> Decimal:
    """Return the worst price to accept: the touch and `slip` beyond it, doubled with every try up to `TRIES_MAX`.

    The cap of a sale stays where `qty` reaches the exchange's least notional: below, the order would be refused.
    """
    slip = min(ways.slip * 2 ** min(tries, TRIES_MAX), SLIP_MAX)
    rule = ways.rule(name)
    if ways.side_of(name) is Side.BUY:
        return rule.ceil_price(quote.ask * (ONE + slip))
    least = rule.ceil_price(ratio(rule.min_notional, exact_product(qty, rule.contract_size)))
    return max(rule.floor_price(quote.bid * (ONE - slip)), least)


def balanced(ways: Ways, pair: Pair, view: View, *, forward: bool = False) -> Pair:
    """Ask for what is missing, and for nothing where nothing is; renew a cap that did not fill, wider, or that is passed."""
    name, qty = missing(ways, pair, view, forward=forward)
    others = ("entry", "hedge", "undo", "cover") if forward else ("hedge", "undo", "cover")
    shrunk = {one: _stilled(getattr(pair, one)) for one in others if one != name}
    pair = replace(pair, **shrunk)
    if not name:
        return replace(pair, off=None) if pair.off is not None else pair
    off = pair.off or Off(view.now, view.now)
    target: Target = getattr(pair, name)
    asked, quote = target.done + qty, quote_at(ways, name, view)
    if quote is None:
        return replace(pair, off=off)
    late = view.now >= off.asked_at + timedelta(seconds=ways.retry_s)
    if late:
        off = Off(off.since, view.now, off.tries + 1)
    if late or not target.open or asked != target.qty or passed(ways, name, quote, target.cap):
        cap = cap_at(ways, name, quote, off.tries, qty)
        pair = replace(pair, **{name: Target(asked, target.done, cap)})
    return replace(pair, off=off)


def turned_back(pair: Pair, now: datetime) -> Pair:
    """Undo from now on what is open. Another market: what its book takes is tried from the narrowest cap on."""
    off = None if pair.off is None else Off(pair.off.since, now)
    return replace(pair, back=True, off=off)


def _stilled(target: Target) -> Target:
    # What was asked for and is not missing any more is not asked for any more.
    return replace(target, qty=target.done) if target.open else target


def passed(ways: Ways, name: str, quote: Quote, cap: Decimal) -> bool:
    """Whether the touch has left a cap behind, so that nothing can fill at it."""
    return quote.ask > cap if ways.side_of(name) is Side.BUY else quote.bid < cap


def wakes_of(ways: Ways, pair: Pair, view: View, *, forward: bool = False) -> tuple[Wake, Wake]:
    """Return what would change what is missing, or renew its cap: in the first market, and in the second."""
    found = [Wake(), Wake()]
    for name in ("hedge", "undo", "cover", "entry"):
        if name in _wanted(ways, pair, view, forward=forward)[0]:
            found[_PLACES[name]] = found[_PLACES[name]].meet(_size_edge(ways, pair, view, forward=forward))
    if pair.off is None:
        return found[0], found[1]
    found[0] = found[0].meet(Wake(deadline=pair.off.asked_at + timedelta(seconds=ways.retry_s)))
    for name in ("hedge", "undo", "cover", *(("entry",) if forward else ())):
        target: Target = getattr(pair, name)
        if target.open:
            edge = Wake(high=target.cap) if ways.side_of(name) is Side.BUY else Wake(low=target.cap)
            found[_PLACES[name]] = found[_PLACES[name]].meet(edge)
    return found[0], found[1]


def _size_edge(ways: Ways, pair: Pair, view: View, *, forward: bool) -> Wake:
    # At which price what is missing reaches the exchange's least notional, or falls below it.
    name, least = _wanted(ways, pair, view, forward=forward)
    rule, quote = ways.rule(name), quote_at(ways, name, view)
    qty = rule.floor_qty(least)
    if quote is None or qty <= ZERO or qty < rule.min_qty:
        return Wake()
    edge = ratio(rule.min_notional, exact_product(qty, rule.contract_size))
    return Wake(low=rule.ceil_price(edge)) if quote.bid >= edge else Wake(high=rule.floor_price(edge))


def changes(old: Mapping[str, Leg], new: Mapping[str, Leg], retired: list[str]) -> dict[str, Leg | None]:
    """Return what changed between two sets of legs; `retired` names are let go of for good."""
    gone: dict[str, Leg | None] = {name: None for name in [*retired, *old] if name not in new}
    return gone | {name: leg for name, leg in new.items() if old.get(name) != leg}


def residue_said(ways: Ways, view: View) -> str:
    """Say what is left between both markets, for people; empty where nothing is."""
    net = net_of(ways, view)
    return f"{plain(net)} {ways.first.base} are unhedged, too little for an order" if net != ZERO else ""
