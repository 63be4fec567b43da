"""Funding rates between venues: what a pair earns an hour, whether it pays to enter, what was paid, what is left unhedged.

Rates are fractions of notional that longs pay (> 0) at the end of an interval; venues differ in the interval, so all are
compared by the hour. Nothing here trades: the `funding_arb` machine and the scanner use the same functions.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from core.market import Market
from core.values import ONE, ZERO, exact_product, ratio

HOUR_S = Decimal(3600)
# One rate against a pair may be a slip; the next one is none.
SEEN = 2


def per_hour(rate: Decimal, interval_s: float) -> Decimal:
    """Return a rate by the hour; raises `ValueError` where the interval is not positive."""
    if interval_s <= 0:
        message = f"a funding interval of {interval_s} s is none"
        raise ValueError(message)
    return ratio(rate * HOUR_S, Decimal(str(interval_s)))


@dataclass(frozen=True, slots=True)
class Terms:
    """When a pair is worth entering. Fractions of the size of one leg; `horizon_h` in hours.

    `slippage` is expected of each of the four orders; `max_basis` bounds how far the two prices may lie apart.
    """

    min_profit: Decimal
    horizon_h: Decimal
    slippage: Decimal
    max_basis: Decimal


@dataclass(frozen=True, slots=True)
class Candidate:
    """One venue's swap: its rate by the hour, taker fee and price (None: unknown, which allows nothing)."""

    market: Market
    rate_h: Decimal | None
    taker: Decimal
    price: Decimal | None


@dataclass(frozen=True, slots=True)
class Choice:
    """Long one candidate and short another: `edge_h` is earned an hour, `net` over the horizon after all costs.

    `basis` is (short price - long price) / long price: below zero, entering costs it if the prices meet again.
    """

    long: int
    short: int
    edge_h: Decimal
    net: Decimal
    basis: Decimal


def judge(terms: Terms, one: Candidate, other: Candidate, long: int, short: int) -> Choice | None:
    """Say what being long `one` and short `other` is expected to earn; None where a rate or price is unknown."""
    if one.rate_h is None or other.rate_h is None or one.price is None or other.price is None:
        return None
    edge_h = other.rate_h - one.rate_h
    basis = ratio(other.price - one.price, one.price)
    fees = 2 * (one.taker + other.taker)
    net = exact_product(edge_h, terms.horizon_h) - fees - 4 * terms.slippage - max(-basis, ZERO)
    return Choice(long, short, edge_h, net, basis)


def best_pair(terms: Terms, candidates: Sequence[Candidate]) -> Choice | None:
    """Return the pair with the highest net edge, ties to the first; None where no pair is fully known."""
    best: Choice | None = None
    for i, one in enumerate(candidates):
        for j, other in enumerate(candidates):
            found = judge(terms, one, other, i, j) if i != j else None
            if found is not None and (best is None or found.net > best.net):
                best = found
    return best


def pays(terms: Terms, choice: Choice) -> bool:
    """Whether a pair may be entered."""
    return choice.net >= terms.min_profit and abs(choice.basis) <= terms.max_basis


@dataclass(frozen=True, slots=True)
class Payment:
    """One funding payment: `amount` > 0 was received, in quote."""

    market: Market
    at: datetime
    amount: Decimal


@dataclass(slots=True)
class FundingBook:
    """Funding paid, one row for each (venue, symbol, time), however often it is told."""

    rows: dict[tuple[Market, datetime], Decimal] = field(default_factory=dict[tuple[Market, datetime], Decimal])

    def book(self, paid: Payment) -> bool:
        """Book a payment; False where it stood already. Raises `ValueError` where another amount stood at its time."""
        key = (paid.market, paid.at)
        before = self.rows.get(key)
        if before is not None and before != paid.amount:
            message = f"{paid.market} at {paid.at}: {before} is booked, {paid.amount} is told"
            raise ValueError(message)
        self.rows[key] = paid.amount
        return before is None

    def total(self, market: Market | None = None) -> Decimal:
        """Sum what was received less what was paid, of one market or of all."""
        return sum((amount for (where, _), amount in self.rows.items() if market in {None, where}), ZERO)

    def differences(self, told: Iterable[Payment]) -> list[tuple[Market, datetime, Decimal | None, Decimal | None]]:
        """Hold the book against a venue's income history: (market, time, booked, told) wherever they differ."""
        theirs = {(one.market, one.at): one.amount for one in told}
        keys = sorted({*theirs, *self.rows})
        return [
            (market, at, self.rows.get((market, at)), theirs.get((market, at)))
            for market, at in keys
            if self.rows.get((market, at)) != theirs.get((market, at))
        ]


def net_delta(positions: Mapping[Market, Decimal], bases: Mapping[Market, str]) -> dict[str, tuple[Decimal, Decimal]]:
    """Return signed and gross base quantity by base asset over all venues: (net, largest side).

    `positions` are signed base quantities, contract sizes multiplied in. Assets are matched by their whole name.
    """
    found: dict[str, tuple[Decimal, Decimal]] = {}
    sides: dict[str, list[Decimal]] = {}
    for market, qty in positions.items():
        sides.setdefault(bases[market], []).append(qty)
    for base, held in sides.items():
        longs = sum((qty for qty in held if qty > ZERO), ZERO)
        shorts = -sum((qty for qty in held if qty < ZERO), ZERO)
        found[base] = (longs - shorts, max(longs, shorts))
    return found


@dataclass(frozen=True, slots=True)
class Stay:
    """A time in a pair as the scanner would have spent it: from when to when, how it ended, what funding brought.

    `funding` is a fraction of the size of one leg, fees not taken off; `left` is empty while it is still open.
    """

    entered: datetime
    left: datetime | None
    long: Market
    short: Market
    edge_h: Decimal
    reason: str
    funding: Decimal


@dataclass(frozen=True, slots=True)
class ScanRules:
    """When the scanner enters and leaves: the terms, and the exits that rates alone can decide (hours, fractions)."""

    terms: Terms
    taker: Decimal
    flip_margin: Decimal = ZERO
    erosion_ratio: Decimal = Decimal("0.5")
    max_age_h: Decimal = Decimal(168)


def scan(rates: Mapping[Market, Sequence[tuple[datetime, Decimal, float]]], rules: ScanRules) -> list[Stay]:
    """Walk over recorded rates (time, rate, interval in seconds) and list every stay; prices are taken as equal.

    A rate is known at its time only, so a pair entered at one payment earns from the next one on (RULES 18b).
    """
    markets = sorted(rates)
    told = sorted((at, market, rate, gap) for market in markets for at, rate, gap in rates[market])
    known: dict[Market, Decimal] = {}
    stays: list[Stay] = []
    now: Stay | None = None
    flips, fades, index = 0, 0, 0
    while index < len(told):
        at = told[index][0]
        while index < len(told) and told[index][0] == at:
            _, market, rate, gap = told[index]
            known[market] = per_hour(rate, gap)
            if now is not None and market in {now.long, now.short}:
                now = _earned(now, -rate if market == now.long else rate)
            index += 1
        if now is None:
            choice = best_pair(rules.terms, [Candidate(m, known.get(m), rules.taker, ONE) for m in markets])
            if choice is not None and pays(rules.terms, choice):
                now = Stay(at, None, markets[choice.long], markets[choice.short], choice.edge_h, "", ZERO)
                flips = fades = 0
            continue
        edge = known[now.short] - known[now.long]
        flips = flips + 1 if edge < -rules.flip_margin else 0
        fades = fades + 1 if rules.erosion_ratio > ZERO and edge < now.edge_h * rules.erosion_ratio else 0
        reason = _left(now, rules, flips, fades, at)
        if reason:
            stays.append(Stay(now.entered, at, now.long, now.short, now.edge_h, reason, now.funding))
            now = None
    return [*stays, now] if now is not None else stays


def _earned(stay: Stay, rate: Decimal) -> Stay:
    return Stay(stay.entered, stay.left, stay.long, stay.short, stay.edge_h, stay.reason, stay.funding + rate)


def _left(stay: Stay, rules: ScanRules, flips: int, fades: int, at: datetime) -> str:
    if flips >= SEEN:
        return "FLIP"
    if fades >= SEEN:
        return "EROSION"
    hours = Decimal(str((at - stay.entered).total_seconds())) / HOUR_S
    return "TIME_LIMIT" if hours >= rules.max_age_h else ""
