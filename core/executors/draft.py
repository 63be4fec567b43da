"""The step of an executor under way: what is being changed and what has to be said about it; and what events do to it."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

from core.executors.barriers import Stake
from core.executors.life import Closed, CloseType, Closing, Life
from core.executors.plan import Plan
from core.executors.state import ExecutorState, Idle, Over, Slot, Working
from core.machine import Alarm, LegFilled, LegRefused, LotCut, MachineEvent, Note, View
from core.orders import Role
from core.values import ONE, ZERO, Side, exact_product, plain, ratio

# How long a closing at a limit may rest before what is left goes to the market.
LIMIT_PATIENCE = timedelta(seconds=30)
FAILED_ALARM = "executor_failed"
RESIDUE_ALARM = "executor_residue"
_KINDS = {CloseType.STOP_LOSS: "stop_loss_order_type", CloseType.TIME_LIMIT: "time_limit_order_type"}


@dataclass(slots=True, kw_only=True)
class Tally:
    """What events change. `own_exit`, `by_others`: the exit, or somebody else, closed some of it in this step; `refused` are
    this step's refusals of entries.
    """

    slots: list[Slot]
    sold: Decimal = ZERO
    cut: Decimal = ZERO
    own_exit: bool = False
    by_others: bool = False
    refused: list[LegRefused] = field(default_factory=list[LegRefused])

    @property
    def done(self) -> Decimal:
        """Base executed by all entries, gross."""
        return sum((slot.done for slot in self.slots if not isinstance(slot, Idle)), ZERO)

    @property
    def spent(self) -> Decimal:
        """Quote for which they executed."""
        return sum((slot.spent for slot in self.slots if not isinstance(slot, Idle)), ZERO)


@dataclass(slots=True, kw_only=True)
class Draft(Tally):
    """A state being changed, and what is to be said about it."""

    plan: Plan
    view: View
    life: Life
    notes: list[Note] = field(default_factory=list[Note])
    alarms: list[Alarm] = field(default_factory=list[Alarm])
    unwind: str = ""

    @property
    def held(self) -> Decimal:
        """Base open on the executor's side (> 0)."""
        return max(self.view.inventory * self.plan.side.sign, ZERO)

    @property
    def closable(self) -> bool:
        """Whether anything is open that an order could close; what is below the exchange's minimum stays."""
        return self.plan.instrument.sellable(self.view.quote.last, self.held) > ZERO

    @property
    def stake(self) -> Stake | None:
        """What the barriers watch: what is open, at the average price of all entries."""
        held, done = self.held, self.done
        if held <= ZERO or not self.plan.closes:
            return None
        cost = self.view.cost if done <= ZERO else ratio(exact_product(self.spent, held), done)
        if cost <= ZERO:
            return None
        return Stake(held, cost, self.view.fees_open, long=self.plan.side is Side.BUY)


def open_draft(plan: Plan, state: ExecutorState, view: View) -> Draft:
    """Start a step."""
    return Draft(slots=list(state.slots), sold=state.exit.sold, cut=state.cut, plan=plan, view=view, life=state.life)


def fold(draft: Tally, event: MachineEvent) -> None:
    """Take one event in. Total: late fills count whatever the state, what is not ours is left alone."""
    match event:
        case LegFilled(role=Role.ENTRY):
            index = _slot_of(draft, event.leg_id)
            if index is not None:
                draft.slots[index] = _filled(draft.slots[index], event)
        case LegFilled(role=Role.EXIT):
            draft.sold += event.qty
            draft.own_exit = True
        case LotCut(qty=qty):
            draft.cut += qty
            draft.by_others = True
        case LegRefused(leg_id=name) if name.startswith(Role.ENTRY.value):
            draft.refused.append(event)
        case _:
            pass  # an exit's refusal is paced by the order layer, which never gives an exit up


def _slot_of(draft: Tally, name: str) -> int | None:
    text = name[1:].partition("-")[0]
    return int(text) if text.isdigit() and int(text) < len(draft.slots) else None


def _filled(slot: Slot, fill: LegFilled) -> Slot:
    quote = exact_product(fill.price, fill.qty)
    match slot:
        case Idle():
            return Over("UNASKED", fill.qty, quote)
        case Over(word=word, done=done, spent=spent):
            return Over(word, done + fill.qty, spent + quote)
        case Working():
            done, spent = slot.done + fill.qty, slot.spent + quote
            return Over("FILLED", done, spent) if done >= slot.qty else replace(slot, done=done, spent=spent)


def end(draft: Draft, word: CloseType, reason: str) -> None:
    """End the executor, once: entries are withdrawn, and what it holds is closed if it closes at all."""
    draft.notes.append(Note("executor", word.name, reason))
    keeps = word is CloseType.POSITION_HOLD or not draft.plan.closes
    if word in {CloseType.FAILED, CloseType.INSUFFICIENT_BALANCE}:
        _say_failed(draft, word, reason, keeps=keeps)
    if keeps or not draft.closable:
        draft.life = Closed(word, draft.view.now)
        _say_residue(draft, word)
        return
    limit = _closing_limit(draft, word)
    draft.life = Closing(word, draft.view.now, limit)
    draft.unwind = word.name if limit is None else ""


def _say_failed(draft: Draft, word: CloseType, reason: str, *, keeps: bool) -> None:
    # A failure never hides what is held: it is being closed, or it stays, and either is said.
    held, base = plain(draft.held), draft.plan.instrument.base
    what = (
        f"it holds {held} {base}, which {'stays' if keeps else 'is being closed'}" if draft.held else "it holds nothing"
    )
    severity = "critical" if draft.held else "warning"
    draft.alarms.append(Alarm(FAILED_ALARM, "executor", severity, f"{word.name}: {reason}; {what}"))


def _say_residue(draft: Draft, word: CloseType) -> None:
    if word is CloseType.POSITION_HOLD or not draft.plan.closes or draft.plan.instrument.floor_qty(draft.held) <= ZERO:
        return
    detail = f"{word.name}: {plain(draft.held)} {draft.plan.instrument.base} is left, below the exchange's minimum"
    draft.alarms.append(Alarm(RESIDUE_ALARM, "executor", "warning", detail))


def _closing_limit(draft: Draft, word: CloseType) -> Decimal | None:
    name = _KINDS.get(word)
    if name is None or getattr(draft.plan.barriers, name) != "LIMIT":
        return None
    return draft.view.quote.bid if draft.plan.side is Side.BUY else draft.view.quote.ask


def shut(draft: Draft, *, news: bool) -> None:
    """Carry an end through: close what is held, and what a late trade adds after all was closed."""
    match draft.life:
        case Closing(word=word) if not draft.closable:
            draft.notes.append(Note("executor", "closed", f"{word.name}: nothing is held that could be closed"))
            draft.life = Closed(word, draft.view.now)
            _say_residue(draft, word)
        case Closing(word=word, since=since, limit=limit):
            if limit is not None and draft.view.now >= since + LIMIT_PATIENCE:
                draft.notes.append(Note("executor", word.name, f"the limit {limit} did not fill; closed at the market"))
                draft.life, limit = Closing(word, since), None
            draft.unwind = word.name if limit is None else ""
        case Closed(word=word) if news and (draft.plan.closes or word is CloseType.EARLY_STOP):
            # A trade that was told after all was closed: it is closed as well, or named where no order could.
            if draft.closable and word is not CloseType.POSITION_HOLD:
                draft.notes.append(
                    Note("executor", "closing", f"{word.name}: a late trade left {plain(draft.held)} held")
                )
                draft.life, draft.unwind = Closing(word, draft.view.now), word.name
            else:
                _say_residue(draft, word)
        case _:
            pass


def cap_of(plan: Plan, view: View) -> Decimal:
    """Return the worst price that a market order of this executor may get now."""
    if plan.side is Side.BUY:
        return plan.instrument.ceil_price(view.quote.ask * (ONE + plan.slippage))
    return plan.instrument.floor_price(view.quote.bid * (ONE - plan.slippage))


def touch_of(plan: Plan, view: View) -> Decimal:
    """Return the near side of the book: the best bid for a purchase, the best ask for a sale."""
    return view.quote.bid if plan.side is Side.BUY else view.quote.ask
