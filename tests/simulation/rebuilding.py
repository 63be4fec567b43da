"""The database lost, and the same state built twice: from the exchange alone, and from the store brought up to date.

`lose_store` is what `gridkeeper rebuild` does after a quarantine: it reads all there is, whole, and starts a new store.
`compare` is run at every crash: both ways must come to the same inventory, the same orders and no client id used before.
"""

from datetime import timedelta
from typing import TYPE_CHECKING

from core.engine import World, advance
from core.engine.rebuild import rebuild
from core.facts import BalanceRead, Fact, Fill, PositionRead, Seen
from core.orders import ClientId, decode
from core.reconcile import ours
from core.recovery import OwnOrder, Told
from core.values import total
from tests.simulation.hostile import History
from tests.simulation.memory import Memory

if TYPE_CHECKING:
    from tests.simulation.trading import Trading

# Everything that was on its way has arrived and every trade has shown up, whatever its lag in any seed.
QUARANTINE_S = 75.0


def lose_store(run: "Trading") -> None:
    """Lose the database, wait until nothing is on its way, and build a new one from the exchange alone."""
    # While nobody trades the market goes on; nothing new is let in, so that what is read is whole.
    until = run.now + timedelta(seconds=QUARANTINE_S)
    while run.now < until or any(shown > run.now for shown, _ in run.venue.trades):
        run.now += timedelta(seconds=5)
        run.venue.move(run.prices_now(), run.now, beside=False)
    lost = run.memory
    made = rebuild(lost.specs, lost.limits, told(run), run.now)
    run.memory = Memory(lost.specs, lost.limits)
    run.memory.problems = lost.problems
    run.fills_checked = 0
    for step in made.steps:
        run.memory.commit(step, run.now)
    placed = [intent for step in made.steps for intent in step.intents]
    if placed:
        run.problems.append(f"{run.now} I-25 a rebuild would send {placed[:3]}")
    _same(run, "rebuilt", made.world, run.memory.load())


def told(run: "Trading") -> Told:
    """Read the whole truth of the exchange, as it is after a quarantine."""
    venue = run.venue
    read = venue.balances(run.now)
    return Told(
        orders=tuple(_listed(venue.account.venue, one) for one in venue.books.values()),
        trades=tuple(sorted((fill for _, fill in venue.trades), key=lambda fill: fill.ts)),
        balances=tuple(one for one in read if isinstance(one, BalanceRead)),
        positions=tuple(one for one in read if isinstance(one, PositionRead)),
        quotes=tuple(quote for name in venue.account.instruments if (quote := venue.account.quote(name, run.now))),
    )


def compare(run: "Trading") -> None:
    """I-25: at a crash, the store brought up to date and the exchange alone tell the same state."""
    venue, now = run.venue, run.now
    known = run.memory.load()
    facts: list[Fact] = [quote for name in venue.account.instruments if (quote := venue.account.quote(name, now))]
    booked = {key[2] for key in run.memory.fills}
    facts += [fill for _, fill in venue.trades if fill.trade_id not in booked and _ours(known, fill)]
    for cid in ours(known, venue.account.venue):
        history = venue.books.get(cid)
        if history is not None:
            _, status, filled = history.states[-1]
            facts.append(Seen(cid, history.order.exchange_id, status, filled, now))
    before = advance(known, facts, now).world
    after = rebuild(run.memory.specs, run.memory.limits, told(run), now).world
    _same(run, "crash", before, after)
    for bot_id, bot in after.bots.items():
        for name, used in _attempts(run, bot_id).items():
            work = bot.works.get(name)
            # A leg that nobody remembers is of a cycle that is over: it is never worked again.
            if work is not None and work.next_attempt <= used:
                run.problems.append(f"{now} I-25 {bot_id} {name} would use attempt {work.next_attempt} again")


def _same(run: "Trading", when: str, one: World, two: World) -> None:
    for bot_id, bot in one.bots.items():
        other = two.bots[bot_id]
        lots = [total(lot.qty * lot.side.sign for lot in each.lots.values()) for each in (bot, other)]
        if not bot.inventory == other.inventory == lots[0] == lots[1]:
            run.problems.append(f"{run.now} I-25 {when}: {bot_id} holds {bot.inventory} and {other.inventory}, {lots}")
    resting = {order.client_id for order in run.venue.open_truth()}
    mine = [{cid for cid in ours(each, run.venue.account.venue) if cid in resting} for each in (one, two)]
    if not mine[0] == mine[1] == resting:
        run.problems.append(f"{run.now} I-25 {when}: {sorted(resting)} rest, known are {[sorted(m) for m in mine]}")


def _ours(world: World, fill: Fill) -> bool:
    who = decode(fill.client_id)
    return who is not None and who.bot_id in world.specs


def _attempts(run: "Trading", bot_id: str) -> dict[str, int]:
    used: dict[str, int] = {}
    for cid in run.venue.books:
        who = decode(cid)
        if who is not None and who.bot_id == bot_id:
            used[who.leg_id] = max(used.get(who.leg_id, -1), who.attempt)
    return used


def _listed(venue: str, one: History) -> OwnOrder:
    sent, kept = one.sent, one.order
    return OwnOrder(
        venue=venue, symbol=kept.symbol, client_id=ClientId(kept.client_id), exchange_id=kept.exchange_id, side=kept.side,
        kind=kept.kind, price=kept.price, qty=kept.qty, executed=kept.filled, status=kept.status,
        created_at=kept.created_at, updated_at=one.states[-1][0], post_only=sent.post_only, reduce_only=sent.reduce_only,
    )  # fmt: skip
