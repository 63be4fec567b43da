"""What the hostile simulation found broken: each test here is the smallest scene of a seed that had failed."""

from dataclasses import replace
from typing import Any

from core.engine import BotSpec, Cancel, Limits, Mode, Place, World, advance
from core.engine.rebuild import rebuild
from core.engine.recall import legs_to_recall
from core.facts import Accepted, Action, BalanceRead, Command, Fill, PositionRead, Seen, SeenAs
from core.machines.rolling_grid.config import RollingGridConfig
from core.machines.rolling_grid.state import Flattening, Free, Hedge, Holding, Laddered, Lot, RollingGridState, Rung
from core.orders import ClientId, Kind, Leg, Order, Role, client_id
from core.reconcile import to_book
from core.recovery import Told
from core.values import ZERO, Side
from core.working import price_to_send
from tasks.assemble import spec_of
from tests.core.worlds import SWAP, SYMBOL, T0, D, after, grid, instrument, quote, spec, swap, world


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


def rolling(**changes: Any) -> BotSpec:
    """A rolling grid of two lots on spot, bought one right after the other, each with a stop."""
    rules = instrument()
    given = {
        "id": "g", "venue": "spot", "symbol": SYMBOL, "quantity": "0.1", "take_profit": "0.005", "grid_step": "0.001",
        "max_orders": 2, "wait_time": 0, "max_margin": 1000, "stop_loss": "0.01", "recovery_mode": "none",
    }  # fmt: skip
    return spec_of(RollingGridConfig.model_validate(given | changes), {rules.market: rules}, "test", key="g")


def bought(leg: str, price: str, seconds: float) -> Fill:
    """The whole of an entry's first order."""
    return Fill(
        venue="spot", symbol=SYMBOL, trade_id=leg, client_id=client_id("g", "test", leg, 0), side=Side.BUY,
        price=D(price), qty=D("0.1"), fee=ZERO, fee_asset="USDT", ts=after(seconds), maker=True,
    )  # fmt: skip


def test_a_stop_does_not_sell_the_coins_of_another_lot() -> None:
    """I-16: its own target may have sold them already; what is free beside that belongs to other lots, whose exits starve."""
    now = advance(world(rolling()), [quote("100")], T0).world
    now = advance(now, [quote("99.9", after(5)), bought("e0-1", "99.98", 5)], after(5)).world
    (target,) = [order for name, order in exits(now) if name == "x0-1"]
    now = advance(now, [Accepted(target.client_id, "1", after(10), ZERO)], after(10)).world
    fallen = advance(now, [quote("98.9", after(15)), bought("e1-1", "99.8", 15)], after(15))
    sent = [intent.order for intent in fallen.intents if isinstance(intent, Place)]
    assert [order.leg_id for order in sent if order.role is Role.EXIT and order.leg_id.startswith("x0")] == []
    assert any(isinstance(intent, Cancel) and intent.order.client_id == target.client_id for intent in fallen.intents)
    over = advance(
        fallen.world,
        [Seen(target.client_id, "1", SeenAs.CANCELED, ZERO, after(16)), quote("98.9", after(16))],
        after(16),
    )
    sent = [intent.order for intent in over.intents if isinstance(intent, Place)]
    assert [(order.leg_id, order.qty) for order in sent if order.leg_id.startswith("x0")] == [("x0-2", D("0.1"))]


def exits(now: World) -> list[tuple[str, Order]]:
    """The orders of exits, by leg."""
    works = now.bots["g"].works.items()
    return [(name, work.order) for name, work in works if work.order is not None and work.order.role is Role.EXIT]


def test_a_post_only_order_goes_behind_a_touch_that_is_one_price() -> None:
    """I-14: where bid and ask are one, an order at the touch crosses, is refused for ever, and what it should sell stays."""
    one = quote("100")
    sale = Leg(leg_id="x0-0", venue="spot", symbol=SYMBOL, side=Side.SELL, role=Role.EXIT, qty=D("0.1"), price=D("99"),
               kind=Kind.LIMIT, post_only=True)  # fmt: skip
    assert price_to_send(sale, one, instrument(), ZERO) == D("100.01")
    assert price_to_send(replace(sale, side=Side.BUY, price=D("101")), one, instrument(), ZERO) == D("99.99")
    wide = quote("100", bid=D("99.98"), ask=D("100.02"))
    assert price_to_send(sale, wide, instrument(), ZERO) == D("100.02")


def test_every_leg_of_a_place_is_remembered_over_a_restart() -> None:
    """I-04: rungs and hedges that are withdrawn for a while come back under their names, never with the same client id."""
    lot = Lot(1, D("0.1"), D(100), T0, D("100.5"), None, D(99), D("0.1"))
    rungs = Laddered((Rung(2, D("99.5"), D("0.05")), Rung(3, D("100.2"), D("0.05"))))
    hedge = Hedge(4, 5, T0, D("0.1"), D(99), D(101), asked=D("0.05"))
    state = RollingGridState(slots=(Holding(5, lot, rungs, hedge), Free(0)), phase=Flattening("STOP_PRICE", T0))
    legs = legs_to_recall(rolling(), state, None)
    assert {"e0-1", "x0-2", "x0-3", "h0-4", "h0-5"} <= legs.keys()


def test_a_rebuild_takes_a_sale_at_the_market_from_what_exits_did_not_sell_later() -> None:
    """I-16: no lot alone can give all of it, so each gives what its own exits do not need."""
    told = [
        ("e0-0", Side.BUY, "0.043"), ("e1-0", Side.BUY, "0.011"), ("u0-0", Side.SELL, "0.025"), ("x0-0", Side.SELL, "0.025"),
    ]  # fmt: skip
    trades = tuple(
        Fill(
            venue="spot", symbol="BTC/USDT", trade_id=str(number), client_id=client_id("g", "test", leg, 0), side=side,
            price=D(97), qty=D(qty), fee=ZERO, fee_asset="USDT", ts=after(number), maker=True,
        )
        for number, (leg, side, qty) in enumerate(told)
    )  # fmt: skip
    read = (BalanceRead("spot", "BTC", D("0.004"), after(9)),)
    made = rebuild({"g": spec(grid(), instrument())}, Limits(), Told(orders=(), trades=trades, balances=read), after(9))
    assert not any(one.kind == "over_filled" for step in made.steps for one in step.raised)
    assert {lot.lot_id: lot.qty for lot in made.world.bots["g"].lots.values()} == {"1-0": D("0.004")}
