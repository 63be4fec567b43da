"""Into a pair: which one, both legs at once, the sibling of a leg that stands alone, and the way back."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from core.funding import Candidate, Choice, best_pair, pays
from core.machine import Note
from core.machines.funding_arb.draft import Draft, still
from core.machines.funding_arb.state import Closing, Open, Opening, Scanning
from core.pairing import Target
from core.values import ZERO, floor_to, plain, ratio
from core.values import Side as Way

# Both sizes count as one where they differ by no more than this, or by one step.
SAME = Decimal("0.01")


def look(draft: Draft, *, news: bool) -> None:
    """Enter the best pair where it pays. Looks at new rates, and when a recheck is due: prices alone wake nobody."""
    phase = draft.state.phase
    assert isinstance(phase, Scanning)  # noqa: S101  asked of scanning bots alone
    due = phase.recheck_at is not None and draft.now >= phase.recheck_at
    if phase.rest_until is not None and draft.now < phase.rest_until:
        return
    if not (news or due or phase.rest_until is not None):
        return
    choice = best_pair(draft.plan.config.terms, _candidates(draft))
    if choice is not None and pays(draft.plan.config.terms, choice):
        _enter(draft, choice)
        return
    again = None
    if choice is None or choice.net + max(-choice.basis, ZERO) >= draft.plan.config.min_profit:
        # The rates would do: a price is missing, or the two lie too far apart.
        again = draft.now + timedelta(seconds=draft.plan.config.recheck_s) if _rates_known(draft) else None
    draft.feel(Scanning(phase.since, again))


def _rates_known(draft: Draft) -> bool:
    return sum(draft.rate_h(index) is not None for index in range(len(draft.plan.rules))) > 1


def _candidates(draft: Draft) -> list[Candidate]:
    found: list[Candidate] = []
    for index, rule in enumerate(draft.plan.rules):
        quote = draft.quote(index)
        fresh = quote is not None and quote.objection(draft.now, draft.plan.config.max_quote_age_s) is None
        price = quote.mid if quote is not None and fresh else None
        found.append(Candidate(rule.market, draft.rate_h(index), max(rule.taker, ZERO), price))
    return found


def _enter(draft: Draft, choice: Choice) -> None:
    """Ask for both legs: the same quantity, capped, as one group."""
    plan = draft.plan
    buying, selling = draft.quote(choice.long), draft.quote(choice.short)
    assert buying is not None  # noqa: S101  a pair that pays has prices
    assert selling is not None  # noqa: S101
    qty = floor_to(ratio(plan.config.size_quote, max(buying.ask, selling.ask)), plan.step)
    state = draft.state
    sides = tuple(
        replace(side, into=Target(), out=Target(), sells=index != choice.short)
        for index, side in enumerate(state.sides)
    )
    draft.change(
        cycle=state.cycle + 1, long=choice.long, short=choice.short, before=draft.balance, refusal="", sides=sides
    )
    _ask(draft, qty, 0)
    said = f"long {plan.rules[choice.long].venue}, short {plan.rules[choice.short].venue}"
    earns = plain((choice.edge_h * 24).quantize(Decimal("1E-7")))
    opening = Opening(draft.now, choice.edge_h, draft.now)
    draft.enter(opening, "ENTER", f"{said}: {earns} a day, {plain(qty)} {plan.rules[0].base} each")


def _ask(draft: Draft, qty: Decimal, tries: int) -> None:
    for index, way in ((draft.state.long, Way.BUY), (draft.state.short, Way.SELL)):
        cap = draft.cap(index, way, tries, qty)
        into = draft.side(index).into
        if cap is not None and (qty > into.done or into.qty != qty):
            draft.put(index, into=Target(qty, into.done, cap))


def same(draft: Draft) -> bool:
    """Whether both legs hold the same, a hundredth or one step aside."""
    long, short = draft.sizes
    return abs(long - short) <= max(SAME * max(long, short), draft.plan.step)


def go_on(draft: Draft) -> None:
    """Follow an opening: complete, hedge the sibling of a leg that stands alone, or go back."""
    phase, config = draft.state.phase, draft.plan.config
    assert isinstance(phase, Opening)  # noqa: S101  asked of opening pairs alone
    long, short = draft.sizes
    wanted = max(draft.side(draft.state.long).into.qty, draft.side(draft.state.short).into.qty)
    late = draft.now >= phase.since + timedelta(seconds=config.open_deadline_s)
    if min(long, short) > ZERO and same(draft) and (late or max(long, short) >= wanted):
        _be_in(draft, phase)
        return
    if draft.state.refusal or late:
        back_out(draft, draft.state.refusal or "not both legs filled in time")
        return
    alone = not same(draft)
    since = (phase.alone_since or draft.now) if alone else None
    hedging = phase.hedging
    if alone and since is not None and draft.now >= since + timedelta(seconds=config.single_leg_s) and not hedging:
        _hedge_sibling(draft)
        hedging = True
    phase = replace(phase, alone_since=since, hedging=hedging)
    if draft.retry_due(phase.asked_at):
        # Only what completes the pair chases the price; a pair of which nothing is in keeps the caps it was judged at.
        tries = phase.tries + (1 if hedging else 0)
        phase = replace(phase, asked_at=draft.now, tries=tries)
        if max(long, short) > ZERO:
            _renew(draft, tries)
    draft.feel(phase)


def _hedge_sibling(draft: Draft) -> None:
    # The leg that is ahead stops where it is; the other one follows to the same quantity, whatever it costs.
    long, short = draft.sizes
    ahead, behind = (draft.state.long, draft.state.short) if long > short else (draft.state.short, draft.state.long)
    first, second = draft.side(ahead).into, draft.side(behind).into
    draft.put(ahead, into=replace(first, qty=first.done))
    draft.put(
        behind, into=replace(second, qty=max(second.done + floor_to(abs(long - short), draft.plan.step), second.done))
    )
    draft.notes.append(Note("pair", "SIBLING", f"{plain(abs(long - short))} stand alone: the other leg follows"))


def _renew(draft: Draft, tries: int) -> None:
    for index, way in ((draft.state.long, Way.BUY), (draft.state.short, Way.SELL)):
        into = draft.side(index).into
        cap = draft.cap(index, way, tries, max(into.qty - into.done, draft.plan.step)) if into.open else None
        if cap is not None:
            draft.put(index, into=replace(into, cap=cap))


def _be_in(draft: Draft, phase: Opening) -> None:
    long, short = draft.sizes
    still(draft, draft.state.long)
    still(draft, draft.state.short)
    draft.change(entered=draft.state.entered + 1)
    inside = Open(draft.now, phase.edge_h, draft.state.before)
    draft.enter(inside, "IN", f"long {plain(long)}, short {plain(short)}")


def back_out(draft: Draft, reason: str) -> None:
    """Give an opening up: nothing more is asked for, and what is held is closed by its signed position."""
    for index in range(len(draft.plan.rules)):
        still(draft, index)
    draft.enter(Closing(draft.now, "ROLLBACK", draft.now), "ROLLBACK", reason)
