"""The state from the exchange alone equals the state from the store, on runs in the worst weather there is."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.engine import Place, advance
from core.engine.rebuild import LATCH, Rebuilt, rebuild
from core.engine.world import Bot, Limits, Mode
from core.facts import Action, BalanceRead, Command, Fill, PositionRead, SeenAs
from core.machines.grid.state import Entering, Holding, Level, Running, Waiting
from core.orders import ClientId, Kind, Role, client_id, decode
from core.recovery import OwnOrder, RebuildRefused, Told, choose_token, orders_of
from core.values import ZERO, Side, total
from tests.core.worlds import T0, D, after, grid, instrument, quote, spec
from tests.simulation.hostile import CALM, Faults
from tests.simulation.memory import Memory
from tests.simulation.trading import Trading


def told_by(run: Trading) -> Told:
    """All that the exchange of a run can tell: its whole history, and what the account holds now."""
    account = run.venue.account
    orders = tuple(
        OwnOrder(
            venue=account.venue, symbol=one.order.symbol, client_id=cid, exchange_id=one.order.exchange_id,
            side=one.order.side, kind=one.order.kind, price=one.order.price, qty=one.order.qty, executed=one.order.filled,
            status=one.order.status, created_at=one.order.created_at, updated_at=one.states[-1][0],
            post_only=one.order.post_only, reduce_only=one.order.reduce_only,
        )
        for cid, one in run.venue.books.items()
    )  # fmt: skip
    return Told(
        orders=orders, trades=tuple(fill for _, fill in run.venue.trades),
        balances=tuple(BalanceRead(account.venue, a, held, run.now) for a, held in account.balances.items()),
        positions=tuple(PositionRead(account.venue, s, one.qty, run.now) for s, one in account.swaps.items()),
    )  # fmt: skip


def rebuilt(run: Trading) -> tuple[Rebuilt, Memory]:
    """Rebuild a run's world from its exchange and store every step of it in an empty store."""
    made = rebuild(run.memory.specs, run.memory.limits, told_by(run), run.now)
    memory = Memory(run.memory.specs, run.memory.limits)
    for step in made.steps:
        memory.commit(step, run.now)
    return made, memory


def after_a_run(seed: int, ticks: int, faults: Faults) -> Trading:
    """A run that came to rest: no fault, no request under way, everything reported."""
    run = Trading(seed, faults)
    run.run(ticks)
    run.settle()
    assert not run.found
    return run


def essence(level: Level) -> tuple[str, int, Decimal, Decimal, Decimal]:
    """What of a level decides its legs; a level that waits and one that enters with nothing bought want the same."""
    match level:
        case Entering(cycle=cycle, bought=bought, held=held, sold=sold):
            return "open", cycle, bought, held, sold
        case Holding(cycle=cycle, held=held, sold=sold):
            return "held", cycle, ZERO, held, sold
        case Waiting(cycle=cycle):
            return "open", cycle, ZERO, ZERO, ZERO


def told_in_order(memory: Memory) -> bool:
    """Whether the store booked every trade in the order in which they happened, so that lots were closed alike."""
    times = [(fill.ts, int(fill.trade_id)) for _, fill in memory.fills.values()]
    return times == sorted(times)


def same_world(run: Trading, seed: int) -> None:
    """Hold the two ways to the state against each other, allowing the differences that `core.engine.rebuild` names."""
    made, memory = rebuilt(run)
    assert not memory.problems
    theirs, ours = memory.load(), run.memory.load()
    assert theirs.wallet == ours.wallet
    for name, mine in ours.bots.items():
        back = theirs.bots[name]
        assert back.inventory == mine.inventory, (seed, name)
        # Which lots an unwind closed is in no order: there only the sums must agree.
        if told_in_order(run.memory) and highest(run, name, Role.UNWIND) < 0:
            assert back.lots == mine.lots, (seed, name)
            assert (back.realized, back.grid_profit, back.round_trips) == (
                mine.realized, mine.grid_profit, mine.round_trips
            )  # fmt: skip
        assert back.fees == mine.fees
        assert total(lot.qty for lot in back.lots.values()) == total(lot.qty for lot in mine.lots.values())
        assert live_orders(back) == live_orders(mine), (seed, name)
        assert back.episodes >= highest(run, name, Role.UNWIND) + 1
        assert back.mode is Mode.TRIPPED
        for leg, work in back.works.items():
            used = [w.attempt for c in run.venue.books if (w := decode(c)) and (w.bot_id, w.leg_id) == (name, leg)]
            assert work.next_attempt > max(used, default=-1)
    assert made.world.bots.keys() == run.memory.specs.keys()


def live_orders(bot: Bot) -> dict[ClientId, tuple[Decimal, Decimal | None, Decimal]]:
    """Every order that may still fill: quantity, price, executed."""
    orders = [work.order for work in bot.works.values() if work.order is not None]
    return {order.client_id: (order.qty, order.price, order.filled_qty) for order in orders if order.live}


def highest(run: Trading, bot_id: str, role: Role) -> int:
    """The highest cycle of a role that a bot ever used at the exchange."""
    found = [w.cycle for cid in run.venue.books if (w := decode(cid)) and (w.bot_id, w.role) == (bot_id, role)]
    return max(found, default=-1)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_rebuilt_equals_stored_after_a_calm_run(seed: int) -> None:
    """Without faults nothing at all differs but the latch: lots with their cost, levels, orders, wallet, profit."""
    run = after_a_run(seed, 250, replace(CALM, partial=0.3))
    same_world(run, seed)
    theirs, ours = rebuilt(run)[1].load(), run.memory.load()
    for name, mine in ours.bots.items():
        if any(one.kind == "drawdown" for one in run.memory.raised):
            continue  # a trip withdraws entries that are filled in part, and no order says why they ended
        barrier = mine.state is not None and not isinstance(mine.state.phase, Running)
        if mine.state is None or barrier or highest(run, name, Role.UNWIND) >= 0:
            continue
        plan = run.memory.specs[name].plan
        for line, one, two in zip(plan.lines, theirs.bots[name].state.levels, mine.state.levels, strict=True):
            # A rest too small to be ordered holds a stored level up; the rebuilt one begins its next cycle.
            left = line.qty - two.bought if isinstance(two, Entering) and two.bought else D(1000)
            if plan.instrument.sellable(line.entry_price, left) > ZERO:
                assert essence(one) == essence(two), (seed, name)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_rebuilt_equals_stored_after_a_hostile_run(seed: int) -> None:
    """After lost answers, late trades, crashes and words of control both ways lead to the same holdings and orders."""
    same_world(after_a_run(seed, 200, Faults()), seed)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000))
def test_trading_goes_on_after_the_store_is_lost(seed: int) -> None:
    """A run that loses its store three times in bad weather ends with sound books and no order lost or doubled."""
    run = Trading(seed, Faults())
    for _ in range(3):
        run.run(60)
        run.lose_next = True
        run.restart()
    run.run(60)
    run.settle()
    assert not run.found, (seed, run.found[:3])


NOW = after(3600)
BOT = spec(grid(), instrument())


def own(leg: str, attempt: int = 0, *, store: str = "test", **changes: object) -> OwnOrder:
    """An order of the bot `g`: a purchase of 0.1 at 96 that rests, unless told otherwise."""
    values: dict[str, object] = {
        "venue": "spot", "symbol": "BTC/USDT", "client_id": client_id("g", store, leg, attempt), "exchange_id": "1",
        "side": Side.BUY, "kind": Kind.LIMIT, "price": D(96), "qty": D("0.1"), "executed": ZERO, "status": SeenAs.OPEN,
        "created_at": T0, "updated_at": T0, "post_only": True,
    }  # fmt: skip
    return OwnOrder(**(values | changes))  # type: ignore[arg-type]


def trade(leg: str, side: Side, price: str, number: int, attempt: int = 0, qty: str = "0.1") -> Fill:
    """A trade of the bot `g`, `number` seconds after the start."""
    return Fill(
        venue="spot", symbol="BTC/USDT", trade_id=str(number), client_id=client_id("g", "test", leg, attempt), side=side,
        price=D(price), qty=D(qty), fee=ZERO, fee_asset="USDT", ts=after(number), maker=True,
    )  # fmt: skip


def account(*orders: OwnOrder, trades: tuple[Fill, ...] = (), coins: str = "0.1", **changes: object) -> Told:
    """What an account with these orders and trades tells."""
    balances = (BalanceRead("spot", "BTC", D(coins), NOW), BalanceRead("spot", "USDT", D(1000), NOW))
    return Told(orders=orders, trades=trades, balances=balances, **changes)  # type: ignore[arg-type]


def of_one_bot(told: Told) -> Bot:
    """Rebuild the bot `g`."""
    return rebuild({"g": BOT}, Limits(), told, NOW).world.bots["g"]


def test_a_held_level_offers_its_exit_and_nothing_else_is_placed() -> None:
    """After a rebuild an exit goes out, entries wait for `release`, and the report says what was taken for granted."""
    bought = trade("e0-0", Side.BUY, "96", 1)
    made = rebuild({"g": BOT}, Limits(), account(trades=(bought,)), NOW)
    step = advance(made.world, [quote("97", NOW)], NOW)
    assert [(i.order.leg_id, i.order.side) for i in step.intents if isinstance(i, Place)] == [("x0-0", Side.SELL)]
    assert made.world.bots["g"].mode_reason == LATCH
    assert {one.subject for one in made.findings} == {"bot", "latches"}
    assert made.world.bots["g"].cost == D("9.6")


def test_release_ends_the_latch() -> None:
    """`control release` lets a rebuilt bot enter again, in cycles that were never used."""
    trades = (trade("e0-0", Side.BUY, "96", 1), trade("x0-0", Side.SELL, "98", 2))
    made = rebuild({"g": BOT}, Limits(), account(trades=trades), NOW)
    said = Command(1, "g", Action.RELEASE, "", "test", "", NOW)
    step = advance(made.world, [quote("99", NOW), said], NOW)
    legs = [i.order.leg_id for i in step.intents if isinstance(i, Place)]
    assert "e0-1" in legs
    assert "e0-0" not in legs
    assert made.world.bots["g"].round_trips == 1


def test_an_order_that_the_exchange_forgot_is_known_by_its_trades() -> None:
    """Attempts known by trades alone count: their ids are not used again, and what they bought is held."""
    bot = of_one_bot(account(trades=(trade("e0-0", Side.BUY, "96", 1, attempt=4, qty="0.04"),), coins="0.04"))
    assert bot.works["e0-0"].next_attempt == 5
    assert bot.works["e0-0"].done == D("0.04")
    assert bot.inventory == D("0.04")


def test_exits_of_unread_entries_belong_to_nobody() -> None:
    """Where history begins in the middle of a round trip, its exit opens no position the other way round."""
    sold = trade("x0-0", Side.SELL, "98", 1)
    made = rebuild({"g": BOT}, Limits(), account(trades=(sold,), coins="0", since=T0), NOW)
    assert made.world.bots["g"].inventory == ZERO
    assert any("before the history" in one.detail for one in made.findings)
    assert total(e.amount for s in made.steps for e in s.entries if (e.account, e.asset) == ("wallet", "BTC")) == ZERO


def test_coins_that_are_not_there_block_the_venue() -> None:
    """Lots that the account cannot cover are an incident, and nothing is entered there."""
    made = rebuild({"g": BOT}, Limits(), account(trades=(trade("e0-0", Side.BUY, "96", 1),), coins="0.02"), NOW)
    assert "rebuilt_short//spot BTC/USDT" in made.world.incidents
    assert "spot" in made.world.blocked


def test_the_token_is_that_of_the_resting_orders() -> None:
    """The lost store's token is taken over; orders of two stores at once are refused, for two instances trade then."""
    old = own("e0-0", store="old1", status=SeenAs.CANCELED, updated_at=NOW)
    assert choose_token(account(old, own("e1-0")), ["g"]) == "test"
    assert choose_token(account(old), ["g"]) == "old1"
    assert choose_token(account(own("e0-0")), ["another"]) is None
    with pytest.raises(RebuildRefused, match="old1, test"):
        choose_token(account(own("e0-0"), own("e1-0", store="old1")), ["g"])


def test_orders_of_others_are_left_out() -> None:
    """Orders of other stores, of other bots and of strangers are none of this bot's."""
    told = account(own("e0-0"), own("e1-0", store="old1"), own("e2-0", client_id=ClientId("by-hand")))
    assert [order.leg_id for order in orders_of(told, ["g"], "test")] == ["e0-0"]


def test_a_leg_with_two_resting_orders_is_refused() -> None:
    """Nobody could say which of the two is worked: a person must look."""
    with pytest.raises(RebuildRefused, match="cancel one"):
        of_one_bot(account(own("e0-0"), own("e0-0", 1)))


def test_a_kind_without_a_way_back_is_refused() -> None:
    """A machine that cannot stand up from its past is named, and its bot is not begun anew beside its orders."""
    mute = replace(BOT, kind="mute", machine=object())
    with pytest.raises(RebuildRefused, match="mute cannot be rebuilt"):
        rebuild({"g": mute}, Limits(), account(own("e0-0")), NOW)


def test_a_bot_without_a_past_begins_after_its_release() -> None:
    """A bot of which the exchange knows nothing is latched too, and begins at the first price after the release."""
    bot = of_one_bot(account(coins="0"))
    assert bot.state is None
    assert bot.mode is Mode.TRIPPED
