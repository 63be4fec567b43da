"""What seeded bugs showed to be untested: each test here was written because a mutant had lived (benchmarks/mutants.py)."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from core.engine import Cancel, Place, Step, World, advance
from core.facts import Accepted, Action, Command, Fact, Fill, NotFound, Refusal, Refused, Seen, SeenAs
from core.orders import ClientId, Order, Status
from core.reconcile import trades_due, trades_since
from tasks.paper import PaperVenue
from tasks.session import Session
from tasks.venue import Answer, ReadFailed
from tests.core.worlds import SYMBOL, T0, D, after, grid, instrument, quote, spec, world
from tests.tasks.played import play, write_candles, write_portfolio


def one_order() -> tuple[World, Order]:
    """A grid of one level that buys 0.1 at 98 and sells at 100; its entry rests since a second after the start."""
    step = advance(world(spec(grid(start_price=98, end_price=100, levels=1), instrument())), [quote("99")], T0)
    (entry,) = placed(step)
    return advance(step.world, [Accepted(entry.client_id, "7", after(1))], after(1)).world, entry


def placed(step: Step) -> list[Order]:
    """The orders that a step sends."""
    return [intent.order for intent in step.intents if isinstance(intent, Place)]


def told(before: World, seconds: float, *facts: Fact) -> Step:
    """Tell facts at a time, with a fresh price."""
    return advance(before, [quote("99", after(seconds)), *facts], after(seconds))


def trade(order: Order, qty: str, *, trade_id: str = "1") -> Fill:
    """A trade of an order at its price, without a fee."""
    return Fill(
        venue="spot", symbol=SYMBOL, trade_id=trade_id, client_id=order.client_id, side=order.side,
        price=order.price or Decimal(0), qty=D(qty), fee=D(0), fee_asset="USDT", ts=after(4), maker=True,
    )  # fmt: skip


def test_a_resting_order_outlives_a_query_that_lags() -> None:
    """Not found is no news of an acknowledged order before the quarantine is over; then it is over, and that is said."""
    before, entry = one_order()
    soon = told(before, 3, NotFound(entry.client_id, after(3)))
    assert not soon.orders
    assert not soon.intents
    late = told(before, 60, NotFound(entry.client_id, after(60)))
    assert [order.status for order in late.orders if order.client_id == entry.client_id] == [Status.CANCELED]
    assert [one.kind for one in late.raised] == ["order_vanished"]


def test_a_trade_of_an_attempt_put_away_counts_for_its_leg() -> None:
    """I-06: what a cancelled attempt turns out to have bought is not bought again; its exit offers it."""
    before, entry = one_order()
    again = told(before, 5, Seen(entry.client_id, "7", SeenAs.CANCELED, D(0), after(5)))
    (second,) = placed(again)
    assert second.qty == D("0.1")
    step = told(again.world, 6, Accepted(second.client_id, "8", after(6)), trade(entry, "0.04"))
    assert [(order.leg_id, order.qty) for order in placed(step)] == [("x0-0", D("0.04"))]
    assert [one.order.client_id for one in step.intents if isinstance(one, Cancel)] == [second.client_id]


def test_an_acknowledgement_that_says_filled_is_heard() -> None:
    """An order that traded as it was placed is filled at once, and its trades are due."""
    step = advance(world(spec(grid(start_price=98, end_price=100, levels=1), instrument())), [quote("99")], T0)
    (entry,) = placed(step)
    done = told(step.world, 1, Accepted(entry.client_id, "7", after(1), D("0.1")))
    assert [(order.status, order.filled_qty) for order in done.orders] == [(Status.FILLED, D("0.1"))]
    walked = {SYMBOL: after(1)}
    assert trades_due(done.world, "spot", frozenset(), after(1), walked=walked) == (SYMBOL,)


def test_a_fee_without_a_rate_is_said() -> None:
    """A fee in a third asset is booked in that asset and, while nothing prices it, an incident names it."""
    before, entry = one_order()
    step = told(before, 4, replace(trade(entry, "0.1"), fee=D("0.001"), fee_asset="BNB"))
    assert [one.key for one in step.raised] == ["fee_rate_missing//BNB"]
    assert {one.amount for one in step.entries if one.asset == "BNB"} == {D("0.001"), D("-0.001")}


@pytest.mark.parametrize("client_id", ["g-othr-e0-0-0", "web_1234"])
def test_a_trade_of_somebody_else_moves_the_wallet_alone(client_id: str) -> None:
    """An order of another store with our bot's id, or of a person, fills: the ledger knows, the bot holds nothing."""
    before, entry = one_order()
    step = told(before, 4, replace(trade(entry, "0.1"), client_id=ClientId(client_id)))
    assert [owner for owner, _ in step.fills] == ["external"]
    assert {one.asset: one.amount for one in step.entries if one.account == "wallet"} == {
        "BTC": D("0.1"), "USDT": D("-9.8"),
    }  # fmt: skip
    assert not step.lots
    assert not step.intents


def test_a_market_exit_is_capped_and_the_cap_gives_way_slice_by_slice() -> None:
    """An empty book must not fill at any price: half a percent at first, twice as much after a slice that did not fill."""
    before, entry = one_order()
    held = told(before, 5, Seen(entry.client_id, "7", SeenAs.FILLED, D("0.1"), after(5)), trade(entry, "0.1")).world
    (leave,) = (work.order for work in held.bots["g"].works.values() if work.order is not None)
    flat = told(held, 6, Command(1, "g", Action.FLATTEN, "", "test", "", after(6)), Accepted(leave.client_id, "8", T0))
    gone = told(flat.world, 7, Seen(leave.client_id, "8", SeenAs.CANCELED, D(0), after(7)))
    (first,) = placed(gone)
    assert (first.price, first.qty) == (D("98.50"), D("0.1"))
    (second,) = placed(told(gone.world, 12, Seen(first.client_id, "9", SeenAs.EXPIRED, D(0), after(12))))
    assert (second.price, second.qty) == (D("98.01"), D("0.1"))


def test_an_exit_closes_what_a_late_trade_left_at_its_level() -> None:
    """A trade of the last cycle that shows up in the next one opens a lot of its own, and the level's exit closes both."""
    here, first = one_order()
    bought = told(here, 5, Seen(first.client_id, "7", SeenAs.FILLED, D("0.1"), after(5)), trade(first, "0.1"))
    (leave,) = placed(bought)
    sold = told(bought.world, 6, Accepted(leave.client_id, "8", after(6), D("0.1")), trade(leave, "0.1", trade_id="2"))
    (second,) = placed(sold)
    assert second.leg_id == "e0-1"
    late = told(
        sold.world, 7, Accepted(second.client_id, "9", after(7), D("0.1")), trade(second, "0.1", trade_id="3"),
        trade(first, "0.02", trade_id="4"),
    )  # fmt: skip
    assert sorted(late.world.bots["g"].lots) == ["0-0", "0-1"]
    (both,) = placed(late)
    assert (both.leg_id, both.qty) == ("x0-1", D("0.12"))
    over = told(late.world, 8, Accepted(both.client_id, "10", after(8), both.qty), trade(both, "0.12", trade_id="5"))
    assert not over.world.bots["g"].lots
    assert over.world.bots["g"].inventory == 0
    assert not over.raised


def test_a_trade_that_shows_up_late_is_within_the_next_reading() -> None:
    """A trade of somebody else, listed half a minute after it happened, is read though no order of ours asks for it."""
    before, _ = one_order()
    assert trades_since(before, "spot", SYMBOL, after(105), walked=after(100)) <= after(70)


def closing_one_of_two() -> tuple[Order, Step]:
    """Two lots, the exit of the first at rest, that of the second refused; then a person closes the first lot."""
    start = advance(world(spec(grid(start_price=96, end_price=100, levels=2), instrument())), [quote("99")], T0)
    facts: list[Fact] = []
    for number, entry in enumerate(placed(start)):
        facts += [
            Accepted(entry.client_id, str(number), after(1), entry.qty),
            trade(entry, "0.1", trade_id=str(number)),
        ]
    first, second = placed(held := told(start.world, 1, *facts))
    refused = Refused(second.client_id, Refusal.FILTER, "not now", after(2))
    rests = told(held.world, 2, Accepted(first.client_id, "8", after(2)), refused)
    close = Command(1, "g", Action.CLOSE_LOT, "0-0", "test", "", after(3))
    return first, told(rests.world, 3, close)


def test_a_lot_is_closed_once_its_own_exit_is_out_of_the_way() -> None:
    """While its exit may still sell a lot, the market exit waits, even where other lots would leave room for it."""
    leave, asked = closing_one_of_two()
    assert [(type(one), one.order.client_id) for one in asked.intents] == [(Cancel, leave.client_id)]
    gone = told(asked.world, 4, Seen(leave.client_id, "8", SeenAs.CANCELED, D(0), after(4)))
    assert [(order.leg_id, order.qty) for order in placed(gone)] == [("u0-0", D("0.1"))]


def test_an_unwind_that_was_replaced_ends() -> None:
    """Flatten takes over from a lot being closed: the old market exit is not tried again beside the new one."""
    leave, asked = closing_one_of_two()
    gone = told(asked.world, 4, Seen(leave.client_id, "8", SeenAs.CANCELED, D(0), after(4)))
    (slice_,) = placed(gone)
    flat = told(gone.world, 5, Command(2, "g", Action.FLATTEN, "", "test", "", after(5)))
    assert not placed(flat)
    over = told(flat.world, 6, Seen(slice_.client_id, "9", SeenAs.EXPIRED, D(0), after(6)))
    assert [(order.leg_id, order.qty) for order in placed(over)] == [("u0-1", D("0.2"))]


def test_trades_that_could_not_be_read_stay_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reading of trades that failed is no reading: from where they were read last they are read again."""
    read = PaperVenue.trades
    failing = range(10, 20)
    at: list[int] = []
    walks: list[datetime | None] = []

    async def fail_for_a_while(self: PaperVenue, symbol: str, since: datetime, now: datetime) -> list[Fill]:
        if at[-1] in failing:
            raise ReadFailed("spot: trades: connection reset")
        return await read(self, symbol, since, now)

    def watch(number: int, session: Session) -> None:
        at.append(number)
        walks.append(session.walked["spot"].get("COIN/USDT"))

    monkeypatch.setattr(PaperVenue, "trades", fail_for_a_while)
    play(write_portfolio(tmp_path, write_candles(tmp_path / "candles.csv", 40)), 40, watch)
    assert len({walks[number] for number in (*failing, failing.stop)}) == 1
    assert len(set(walks)) > 5


def test_an_order_is_stored_before_it_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """I-05: at the moment in which the venue hears of an order, another reader of the store finds it committed."""
    place = PaperVenue.place
    opened: list[Session] = []
    stored: list[bool] = []

    async def look_first(self: PaperVenue, order: Order, now: datetime) -> Answer:
        reader = opened[0].store.reader()
        found = reader.execute("SELECT count(*) FROM orders WHERE client_id = ?", [order.client_id]).fetchone()
        reader.close()
        stored.append(found == (1,))
        return await place(self, order, now)

    monkeypatch.setattr(PaperVenue, "place", look_first)
    play(
        write_portfolio(tmp_path, write_candles(tmp_path / "candles.csv", 40)), 40,
        lambda _, session: opened.append(session),
    )  # fmt: skip
    assert len(stored) > 20
    assert all(stored)
