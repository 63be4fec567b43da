"""What the hostile simulation found broken: each test here is the smallest scene of a seed that had failed."""

from core.engine import Limits, Mode, World, advance
from core.engine.rebuild import rebuild
from core.facts import Accepted, Action, BalanceRead, Command, Fill, PositionRead
from core.orders import ClientId, client_id
from core.reconcile import to_book
from core.recovery import Told
from core.values import ZERO, Side
from tests.core.worlds import SWAP, T0, D, after, grid, instrument, quote, spec, swap, world


def by_hand(seconds: float) -> Fill:
    """A purchase that a person made on the same account."""
    return Fill(
        venue="spot", symbol="BTC/USDT", trade_id="7", client_id=ClientId("web_1"), side=Side.BUY, price=D(99), qty=D(1),
        fee=ZERO, fee_asset="USDT", ts=after(seconds), maker=True,
    )  # fmt: skip


def test_what_was_traded_before_the_wallets_opened_is_not_booked_beside_them() -> None:
    """I-01: a purchase by hand just before the first start is part of the first balance, not a difference to it for ever."""
    before = world(spec(grid(), instrument()))
    trade = by_hand(-60)
    assert to_book(before, [trade], None) == []
    read = [BalanceRead("spot", "USDT", D(9_901), T0), BalanceRead("spot", "BTC", D(1), T0)]
    opened = advance(before, [quote("99"), *read], T0)
    assert to_book(opened.world, [trade], T0) == []
    later = advance(opened.world, [quote("99", after(40)), *read], after(40))
    assert not later.raised
    assert not later.world.blocked
    assert to_book(opened.world, [by_hand(5)], T0) == [by_hand(5)]


def test_a_position_of_an_order_whose_trade_is_to_come_is_not_opened() -> None:
    """I-01: after a restart the first position that is read may be our own fill; it is counted once, when it is told."""
    rules = swap()
    started = advance(world(spec(grid(venue="perp", symbol=SWAP, start_price=98, end_price=100, levels=1), rules)), [
        quote("99", rules=rules), BalanceRead("perp", "USDT", D(1_000), T0),
    ], T0)  # fmt: skip
    (entry,) = started.orders
    known = advance(started.world, [Accepted(entry.client_id, "1", after(1), entry.qty)], after(1)).world
    step = advance(known, [quote("98", after(5), rules), PositionRead("perp", SWAP, entry.qty, after(5))], after(5))
    assert not step.entries
    trade = Fill(
        venue="perp", symbol=SWAP, trade_id="1", client_id=entry.client_id, side=entry.side, price=D(98), qty=entry.qty,
        fee=ZERO, fee_asset="USDT", ts=after(1), maker=True,
    )  # fmt: skip
    told = advance(step.world, [quote("98", after(10), rules), trade], after(10)).world
    assert told.positions["perp", SWAP] == entry.qty


def account_tripped() -> World:
    """A bot that holds what has lost more than the account may lose."""
    limits = Limits(max_drawdown=D("0.01"))
    step = advance(
        world(spec(grid(start_price=90, end_price=100, levels=1), instrument()), limits=limits), [quote("99")], T0
    )
    (entry,) = step.orders
    bought = Fill(
        venue="spot", symbol="BTC/USDT", trade_id="1", client_id=entry.client_id, side=Side.BUY, price=D(90), qty=entry.qty,
        fee=ZERO, fee_asset="USDT", ts=after(1), maker=True,
    )  # fmt: skip
    return advance(step.world, [quote("80", after(5)), bought], after(5)).world


def test_a_release_ends_the_trip_of_the_account() -> None:
    """I-28: measured from the old peak the account would trip again in the same step, and no word could ever end it."""
    tripped = account_tripped()
    assert tripped.bots["g"].mode is Mode.TRIPPED
    word = Command(1, "g", Action.RELEASE, "", "test", "", after(10))
    released = advance(tripped, [quote("80", after(10)), word], after(10))
    assert released.world.bots["g"].mode is Mode.RUN
    assert "drawdown//account" not in released.world.incidents
    fallen = advance(released.world, [quote("78", after(15))], after(15))
    assert fallen.world.bots["g"].mode is Mode.TRIPPED


def test_a_rebuild_never_makes_an_overfill_of_a_lot_that_was_closed_by_hand() -> None:
    """I-16: which lot was closed is in no order, but it was none that its own exit sold afterwards."""
    told = [
        ("e0-0", Side.BUY, "0.1"), ("e1-0", Side.BUY, "0.076"), ("u0-0", Side.SELL, "0.034"), ("x0-0", Side.SELL, "0.032"),
        ("x0-0", Side.SELL, "0.065"),
    ]  # fmt: skip
    trades = tuple(
        Fill(
            venue="spot", symbol="BTC/USDT", trade_id=str(number), client_id=client_id("g", "test", leg, 0), side=side,
            price=D(97), qty=D(qty), fee=ZERO, fee_asset="USDT", ts=after(number), maker=True,
        )
        for number, (leg, side, qty) in enumerate(told)
    )  # fmt: skip
    read = (BalanceRead("spot", "BTC", D("0.045"), after(9)),)
    made = rebuild({"g": spec(grid(), instrument())}, Limits(), Told(orders=(), trades=trades, balances=read), after(9))
    assert not any(one.kind == "over_filled" for step in made.steps for one in step.raised)
    held = {lot.lot_id: lot.qty for lot in made.world.bots["g"].lots.values()}
    assert held == {"0-0": D("0.003"), "1-0": D("0.042")}


def test_a_position_of_nothing_is_opened_once() -> None:
    """I-01: an empty position is written down, so that a crash does not open it later with what was traded meanwhile."""
    rules = swap()
    read = PositionRead("perp", SWAP, ZERO, T0)
    step = advance(world(spec(grid(venue="perp", symbol=SWAP), rules)), [quote("99", rules=rules), read], T0)
    assert [(e.account, e.kind) for e in step.entries] == [("position", "opening"), ("external", "opening")]
    assert not advance(step.world, [quote("99", after(5), rules), read], after(5)).entries
