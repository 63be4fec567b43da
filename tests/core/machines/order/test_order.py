"""The order executor: its four strategies, its one quantity, and its end as a hold."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from core.config import PlanRefused
from core.executors.executor import stopped
from core.executors.life import CloseType, Running
from core.facts import CancelRefused, SeenAs
from core.orders import ClientId, Kind
from core.simulation import Account
from core.values import ZERO
from tests.core.executors.bench import config_of, settle, spec_of, stage
from tests.core.worlds import D

CHASER = {"distance": "0.001", "refresh_threshold": "0.005"}


def order(how: str, **changes: Any) -> Any:
    """A purchase of 0.5 by a strategy."""
    return config_of("order", **({"amount": "0.5", "execution_strategy": how} | changes))


def test_market_is_capped() -> None:
    """The original sends NaN as the price of a market order; ours has the worst price it may get, and ends as a hold."""
    run = stage(order("MARKET"))
    settle(run, 100)
    assert run.ended is CloseType.POSITION_HOLD
    assert (run.sent[0].kind, run.sent[0].price) == (Kind.MARKET, D("100.5"))
    assert run.bot.inventory == D("0.5")


def test_market_follows_a_book_that_ran_away() -> None:
    """Nothing fills beyond the cap; the cap follows once the book has left it, and only what is missing is sent."""
    run = stage(order("MARKET"))
    calls: list[Any] = []

    def thin(sent: Any, now: Any) -> Any:
        calls.append(sent)
        if len(calls) > 1:
            return run.account.place(sent, now)
        answer = run.account.place(replace(sent, qty=D("0.2")), now)
        made = run.account.orders[sent.client_id]
        made.qty, made.status = sent.qty, SeenAs.EXPIRED
        run.account.jump(run.symbol, D(102), now)
        return answer

    run.place = thin
    settle(run, 100, 102, 102)
    assert (calls[0].qty, calls[0].price) == (D("0.5"), D("100.5"))
    assert calls[-1].qty == D("0.3")
    assert calls[-1].price == D("102.51")
    assert run.bot.inventory == D("0.5")


def test_limit_and_limit_maker() -> None:
    """LIMIT takes the book up to its price; LIMIT_MAKER goes behind the touch and rests."""
    taking, resting = stage(order("LIMIT", price=101)), stage(order("LIMIT_MAKER", price=101))
    settle(taking, 100)
    settle(resting, 100)
    assert taking.bot.inventory == D("0.5")
    assert taking.bot.lots["0-0"].cost == D(50)
    assert resting.bot.inventory == ZERO
    assert (resting.order("e0-0").price, resting.order("e0-0").post_only) == (D("99.99"), True)


def test_chaser_renews_once_it_is_away() -> None:
    """At the distance from the bid; it stays while the bid is near, and follows a bid that ran away."""
    run = stage(order("LIMIT_CHASER", chaser_config=CHASER))
    settle(run, 100)
    assert run.order("e0-0").price == D("99.9")
    settle(run, "100.4")
    assert len(run.sent) == 1
    settle(run, "100.41", "100.5")
    assert [one.price for one in run.sent] == [D("99.9"), D("100.30")]
    run.restart()
    settle(run, "100.3")
    assert run.ended is CloseType.POSITION_HOLD


def test_chaser_never_executes_more_than_asked_while_it_is_replaced() -> None:
    """The original forgets an order before its cancel is confirmed; here its part counts, and the next asks for the rest."""
    run = stage(order("LIMIT_CHASER", chaser_config=CHASER))
    settle(run, 100)
    run.account.some("p-test-e0-0-0", "0.2", run.now)
    settle(run, 102, 102)
    assert [one.qty for one in run.sent] == [D("0.5"), D("0.3")]
    # A fill that wins the race against the cancel counts as well.
    cancel = run.account.cancel

    def raced(client_id: Any, now: Any) -> Any:
        run.account.some(client_id, "0.1", now)
        return cancel(client_id, now)

    run.cancel = raced
    settle(run, 104, 104)
    assert run.sent[-1].qty == D("0.2")
    settle(run, 100)
    assert run.bot.inventory == D("0.5") == run.executed["e0-0"]
    assert run.ended is CloseType.POSITION_HOLD


def test_an_unconfirmed_cancel_holds_the_next_order_back() -> None:
    """No second order rests beside one whose cancel is still open."""
    run = stage(order("LIMIT_CHASER", chaser_config=CHASER))
    settle(run, 100)
    run.cancel = lambda client_id, now: CancelRefused(client_id, "busy", now)
    settle(run, 102, 103, 104)
    assert len(run.sent) == 1


def test_cancelled_by_somebody_it_is_placed_again_for_the_rest() -> None:
    """A cancel after a part: the part is kept, the rest is ordered anew."""
    run = stage(order("LIMIT", price=99))
    settle(run, 100)
    run.account.some("p-test-e0-0-0", "0.2", run.now)
    Account._end(run.account, run.account.orders[ClientId("p-test-e0-0-0")], SeenAs.CANCELED, "by hand")
    settle(run, 100)
    assert run.order("e0-0").qty == D("0.3")
    settle(run, 99)
    assert run.bot.inventory == D("0.5")


@pytest.mark.parametrize(("keep", "held", "word"), [(True, "0.2", "POSITION_HOLD"), (False, "0", "EARLY_STOP")])
def test_stop_does_what_it_says(keep: bool, held: str, word: str) -> None:
    """The original ignores keep_position; here True keeps what executed and False sells it."""
    run = stage(order("LIMIT", price=99))
    settle(run, 100)
    run.account.some("p-test-e0-0-0", "0.2", run.now)
    settle(run, 100)
    run.put(stopped(run.machine, run.now, keep_position=keep))
    settle(run, 100, 100, 100)
    assert run.ended is CloseType[word]
    assert run.bot.inventory == D(held)
    assert all(work.order is None for work in run.bot.works.values())


def test_a_sale_on_spot_sells_coins_that_are_owned() -> None:
    """SELL on spot: the account's own coins go, and the books of the bot show what it sold."""
    run = stage(order("MARKET", side="SELL"))
    settle(run, 100)
    assert run.account.balances["BTC"] == D("999.5")
    assert run.bot.inventory == D("-0.5")


def test_runs_on_until_it_is_executed() -> None:
    """An order that nobody takes is RUNNING, however long."""
    run = stage(order("LIMIT", price=90))
    run.calm(D(100), 5, 3600)
    assert isinstance(run.machine.life, Running)


@pytest.mark.parametrize(
    ("how", "changes", "said"),
    [
        ("LIMIT", {}, "price"),
        ("LIMIT_MAKER", {}, "price"),
        ("MARKET", {"price": 100}, "price"),
        ("LIMIT_CHASER", {}, "chaser_config"),
        ("LIMIT_CHASER", {"chaser_config": {"distance": "0.01", "refresh_threshold": "0.01"}}, "above 0.01 works"),
        ("LIMIT", {"price": 100, "chaser_config": CHASER}, "belongs to LIMIT_CHASER"),
        ("TELEPATHY", {}, "execution_strategy"),
    ],
)
def test_strategy_and_its_fields_belong_together(how: str, changes: dict[str, Any], said: str) -> None:
    """The original tests this for enum values alone; text from a file is tested here the same."""
    with pytest.raises(ValidationError, match=said):
        order(how, **changes)


def test_close_without_a_position_is_refused() -> None:
    """An order that should close, sent without reduce-only, would open: it is refused with what works."""
    with pytest.raises(PlanRefused, match="stop the executor that holds the position"):
        spec_of(order("MARKET", position_action="CLOSE"))
