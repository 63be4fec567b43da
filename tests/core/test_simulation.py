"""The simulated venue: fill rules, latency, funds, fees and the cash of a swap."""

from dataclasses import replace
from decimal import Decimal

import pytest

from core.facts import Accepted, CancelRefused, Fill, Refusal, Refused, Seen, SeenAs
from core.orders import ClientId, Kind, Order, Status
from core.simbook import FillRules
from core.simulation import Account
from core.values import Side
from tests.core.test_orders import order
from tests.core.worlds import SWAP, SYMBOL, T0, D, account, after, instrument, swap

CROSS, TOUCH = FillRules(cross=True), FillRules(cross=False)
CID = ClientId("g-test-e0-0-0")


def sent(side: Side = Side.BUY, price: str | None = "100", qty: str = "1", **changes: object) -> Order:
    """A post-only order, unless told otherwise."""
    values: dict[str, object] = {"side": side, "price": None if price is None else D(price), "qty": D(qty)}
    return replace(order(Status.PENDING), **({"post_only": True} | values | changes))  # type: ignore[arg-type]


def opened(rules: FillRules, price: str = "101", *, on_swap: bool = False, **balances: int) -> Account:
    """An account at a price."""
    at = account(swap() if on_swap else instrument(), rules, **balances)
    at.jump(SWAP if on_swap else SYMBOL, D(price), T0)
    return at


def move(at: Account, price: str, at_s: float) -> list[Fill | Seen]:
    """Lead the price on and return the news."""
    symbol = next(iter(at.instruments))
    at.move(symbol, D(price), after(at_s))
    return at.news(after(at_s))


@pytest.mark.parametrize(
    ("rules", "side", "price", "fills"),
    [
        (TOUCH, Side.BUY, "100.01", False),
        (TOUCH, Side.BUY, "100", True),
        (CROSS, Side.BUY, "100", False),
        (CROSS, Side.BUY, "99.99", True),
        (TOUCH, Side.SELL, "101.99", False),
        (TOUCH, Side.SELL, "102", True),
        (CROSS, Side.SELL, "102", False),
        (CROSS, Side.SELL, "102.01", True),
    ],
)
def test_a_resting_limit_fills_at_its_price_when_reached(rules: FillRules, side: Side, price: str, fills: bool) -> None:
    """With `touch` at its price, with `cross` a tick beyond it; always at its own price and with the maker's fee."""
    at = opened(rules, USDT=1000, BTC=5)
    limit = "100" if side is Side.BUY else "102"
    assert isinstance(at.place(sent(side, limit), T0), Accepted)
    news = move(at, price, 60)
    trades = [fact for fact in news if isinstance(fact, Fill)]
    assert [(trade.price, trade.qty, trade.maker) for trade in trades] == ([(D(limit), D(1), True)] if fills else [])
    if fills:
        assert trades[0].fee == D(limit) * D("0.0002")


def test_orders_fill_in_the_order_of_the_path() -> None:
    """The nearest first, and at one price the earlier one."""
    at = opened(TOUCH)
    for number, price in enumerate(("99", "100", "100")):
        at.place(replace(sent(price=price), client_id=ClientId(f"g-test-e{number}-0-0")), T0)
    names = [fact.client_id for fact in move(at, "98", 60) if isinstance(fact, Fill)]
    assert names == ["g-test-e1-0-0", "g-test-e2-0-0", "g-test-e0-0-0"]


def test_a_post_only_order_that_would_cross_is_refused() -> None:
    """At the touch already it would take."""
    said = opened(TOUCH, "100").place(sent(price="100"), T0)
    assert isinstance(said, Refused)
    assert said.kind is Refusal.POST_ONLY


def test_a_limit_that_may_take_fills_at_the_touch() -> None:
    """Never worse than its limit, at what is there, with the taker's fee."""
    at = opened(FillRules(cross=True, spread=D("0.001")), "100")
    at.place(sent(price="105", post_only=False), T0)
    (trade,) = [fact for fact in at.news(T0) if isinstance(fact, Fill)]
    assert (trade.price, trade.maker, trade.fee) == (D("100.05"), False, D("100.05") * D("0.0005"))


@pytest.mark.parametrize(
    ("side", "cap", "paid"),
    [
        (Side.BUY, None, "100.20"),
        (Side.BUY, "100.2", "100.20"),
        (Side.BUY, "100.19", None),
        (Side.SELL, "99.8", "99.80"),
    ],
)
def test_a_market_order_slips_and_keeps_its_cap(side: Side, cap: str | None, paid: str | None) -> None:
    """It pays the touch plus slippage; beyond its cap it expires instead."""
    at = opened(FillRules(slippage=D("0.002")), "100", USDT=1000, BTC=5)
    at.place(sent(side, cap, kind=Kind.MARKET, post_only=False), T0)
    news = at.news(T0)
    assert [fact.price for fact in news if isinstance(fact, Fill)] == ([] if paid is None else [D(paid)])
    assert any(isinstance(fact, Seen) and fact.status is SeenAs.EXPIRED for fact in news) == (paid is None)


@pytest.mark.parametrize(
    ("kind", "change", "asset"),
    [
        (Refusal.FUNDS, {"qty": "11"}, "USDT"),
        (Refusal.FILTER, {"price": "100.001"}, ""),
        (Refusal.FILTER, {"qty": "0"}, ""),
    ],
)
def test_what_a_venue_would_refuse_is_refused(kind: Refusal, change: dict[str, str], asset: str) -> None:
    """Filters and funds, with nothing locked afterwards."""
    at = opened(TOUCH, USDT=1000)
    said = at.place(sent(**change), T0)
    assert isinstance(said, Refused)
    assert said.kind is kind
    assert at.locked.get(asset, D(0)) == 0


def test_locked_money_is_not_spent_twice() -> None:
    """Two purchases of 500 need 1,000 and their fees; a cancel gives the money back."""
    at = opened(TOUCH, USDT=1000)
    assert isinstance(at.place(sent(qty="5"), T0), Accepted)
    other = replace(sent(qty="5"), client_id=ClientId("g-test-e1-0-0"))
    assert isinstance(at.place(other, T0), Refused)
    assert isinstance(at.cancel(CID, T0), Seen)
    assert isinstance(at.place(other, T0), Accepted)


def test_coins_that_are_not_there_are_not_sold() -> None:
    """On spot a sale needs the coins free."""
    said = opened(TOUCH, USDT=1000).place(sent(Side.SELL, "102"), T0)
    assert isinstance(said, Refused)
    assert said.kind is Refusal.FUNDS


def test_an_order_reaches_the_book_after_its_latency() -> None:
    """Sent at 101 with 30 s on the way, while the price falls to 99: by then it would cross, and it expires."""
    at = opened(FillRules(cross=False, latency_s=30.0))
    assert isinstance(at.place(sent(), T0), Accepted)
    (news,) = move(at, "99", 60)
    assert isinstance(news, Seen)
    assert news.status is SeenAs.EXPIRED


def test_a_cancel_takes_effect_after_its_latency() -> None:
    """The order may fill first; a cancel that comes too late finds nothing."""
    at = opened(FillRules(cross=False, latency_s=10.0))
    at.place(sent(), T0)
    move(at, "101", 10)
    assert at.cancel(CID, after(20)) is None
    news = move(at, "99", 29)
    assert [type(fact) for fact in news] == [Fill]
    assert move(at, "98", 60) == []
    assert isinstance(at.cancel(CID, after(61)), CancelRefused)


def test_a_client_id_is_taken_while_its_order_is_open() -> None:
    """The same id twice is refused as the exchange does, and nothing is locked for it."""
    at = opened(TOUCH)
    at.place(sent(), T0)
    said = at.place(sent(), T0)
    assert isinstance(said, Refused)
    assert "Duplicate" in said.reason


def test_fee_in_base_is_taken_from_a_purchase() -> None:
    """The buyer gets less base, the seller pays in quote."""
    at = account(instrument(fee_in_base=True), TOUCH, USDT=1000)
    at.jump(SYMBOL, D(101), T0)
    at.place(sent(), T0)
    move(at, "100", 60)
    assert (at.balances["BTC"], at.balances["USDT"]) == (D("0.9998"), D(900))


@pytest.mark.parametrize(
    ("trades", "cash", "position", "cost"),
    [
        ([("buy", "100", "1"), ("sell", "110", "1")], "10", "0", "0"),
        ([("sell", "100", "1"), ("buy", "110", "1")], "-10", "0", "0"),
        ([("buy", "100", "1"), ("buy", "110", "1"), ("sell", "120", "1")], "15", "1", "105"),
        ([("buy", "100", "1"), ("sell", "110", "3")], "10", "-2", "220"),
    ],
    ids=["long", "short", "average", "through zero"],
)
def test_a_swap_settles_against_its_average_entry(
    trades: list[tuple[str, str, str]], cash: str, position: str, cost: str
) -> None:
    """Realised cash reaches the wallet; what is open keeps its cost."""
    free = swap(taker=D(0), maker=D(0))
    at = account(free, TOUCH)
    for number, (side, price, qty) in enumerate(trades):
        at.jump(SWAP, D(price), after(number))
        one = sent(Side(side), None, qty, kind=Kind.MARKET, post_only=False, symbol=SWAP)
        assert isinstance(at.place(replace(one, client_id=ClientId(f"g-test-e{number}-0-0")), after(number)), Accepted)
    assert at.balances["USDT"] - 1_000_000 == D(cash)
    assert (at.swaps[SWAP].qty, at.swaps[SWAP].cost) == (D(position), D(cost))
    settled = sum((fact.settled for fact in at.news(T0) if isinstance(fact, Fill)), Decimal(0))
    assert settled == D(cash)


def test_a_swap_needs_margin_and_no_coins() -> None:
    """With leverage 2 a thousand carries a position of two thousand, and not more."""
    at = opened(TOUCH, on_swap=True, USDT=1000)
    at.leverage = 2
    big = sent(Side.SELL, "102", "19", symbol=SWAP)
    assert isinstance(at.place(big, T0), Accepted)
    more = replace(sent(Side.SELL, "102", "1", symbol=SWAP), client_id=ClientId("g-test-e1-0-0"))
    assert isinstance(at.place(more, T0), Refused)


def test_the_edges_are_where_the_next_order_fills() -> None:
    """Moving to an edge fills, stopping a tick before does not: what the search for the next bar relies on."""
    for rules in (TOUCH, CROSS):
        at = opened(rules, USDT=1000, BTC=5)
        at.place(sent(), T0)
        at.place(replace(sent(Side.SELL, "102"), client_id=ClientId("g-test-x0-0-0")), T0)
        low, high = at.edges(SYMBOL)
        assert low is not None
        assert high is not None
        assert move(at, str(low + D("0.01")), 1) == move(at, str(high - D("0.01")), 2) == []
        assert len(move(at, str(low), 3)) == 1
        assert len(move(at, str(high), 4)) == 1
