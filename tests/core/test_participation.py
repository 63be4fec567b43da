"""Orders that may trade no more than a share of a bar's volume: what fills, what waits, what expires."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from core.facts import SeenAs
from core.market import Candle
from core.orders import ClientId, Kind, Order, Role, Status
from core.series import ListSeries
from core.simbook import FillRules
from core.simulation import Account
from core.values import ZERO, Side, total
from tests.core.worlds import T0, D, account, after, candles, grid, instrument, random_steps, run, spec, world

TENTH = FillRules(cross=False, participation=D("0.1"))


def order(name: str, side: Side, price: str | None, qty: str, kind: Kind = Kind.LIMIT) -> Order:
    """An order as the engine sends it."""
    return Order(
        client_id=ClientId(name), venue="spot", symbol="BTC/USDT", bot_id="g", leg_id=name, attempt=0, role=Role.ENTRY,
        side=side, kind=kind, price=None if price is None else D(price), qty=D(qty), filled_qty=ZERO, traded_qty=ZERO,
        status=Status.PENDING, exchange_id="", reason="", created_at=T0, updated_at=T0, post_only=kind is Kind.LIMIT,
    )  # fmt: skip


def opened(*orders: Order) -> Account:
    """An account with a million at a price of 100, and orders resting; no bar has begun yet."""
    made = account(instrument(), TENTH)
    made.jump("BTC/USDT", D(100), T0)
    for one in orders:
        made.place(one, T0)
    return made


def bar(made: Account, number: int, volume: str, *prices: str) -> list[tuple[str, Decimal]]:
    """Play a bar; returns whose orders traded how much."""
    made.open_bar("BTC/USDT", D(volume))
    for price in prices:
        made.move("BTC/USDT", D(price), after(60 * number))
    _, trades = made.drain()
    return [(fill.client_id, fill.qty) for fill in trades]


def test_what_is_left_of_an_order_waits_for_the_next_bar() -> None:
    """A tenth of each bar's volume fills at the order's own price, in whole lots; the rest rests, its money set aside."""
    made = opened(order("a", Side.BUY, "99", "1"))
    assert bar(made, 1, "4.0099", "98", "97") == [("a", D("0.400"))]
    assert made.locked["USDT"] == D("0.6") * 99 * D("1.0005")
    assert bar(made, 2, "4", "98.5", "99", "99.5") == [("a", D("0.4"))]
    assert bar(made, 3, "0", "98") == []
    assert made.orders[ClientId("a")].status is SeenAs.OPEN
    assert bar(made, 4, "100", "98") == [("a", D("0.2"))]
    assert (made.orders, made.locked["USDT"], made.balances["BTC"]) == ({}, ZERO, D(1))


def test_the_bar_is_one_for_all_orders_of_a_symbol() -> None:
    """The order that the price reaches first takes what it wants; the next one has what is left, and a third nothing."""
    made = opened(
        order("a", Side.BUY, "99", "0.2"), order("b", Side.BUY, "98", "0.5"), order("c", Side.BUY, "97", "0.1")
    )
    assert bar(made, 1, "5", "96") == [("a", D("0.2")), ("b", D("0.3"))]
    assert bar(made, 2, "5", "96") == [("b", D("0.2")), ("c", D("0.1"))]


def test_the_rest_of_a_market_order_expires() -> None:
    """A market order takes the share that is left, and is over; one that finds none trades nothing."""
    made = opened()
    made.open_bar("BTC/USDT", D(4))
    for name in ("a", "b"):
        made.place(order(name, Side.BUY, None, "1", Kind.MARKET), T0)
    seen = {name: made.seen(ClientId(name), T0) for name in ("a", "b")}
    assert [(one.status, one.executed) for one in seen.values() if one is not None] == [
        (SeenAs.EXPIRED, D("0.4")), (SeenAs.EXPIRED, ZERO),
    ]  # fmt: skip
    assert made.locked.get("USDT", ZERO) == ZERO


def test_without_the_rule_or_before_a_bar_nothing_is_held_back() -> None:
    """An account whose rules name no share fills everything, whatever the volume."""
    made = replace_rules(opened(order("a", Side.BUY, "99", "1")))
    assert bar(made, 1, "0", "98") == [("a", D(1))]


def replace_rules(made: Account) -> Account:
    """Take the rule away."""
    made.rules = replace(made.rules, participation=None)
    return made


def walked(seed: int) -> ListSeries:
    """A walk whose bars have volumes from nothing to two coins."""
    bars = candles(random_steps(seed, 1600, 40))
    kept = [bars.bar(i) for i in range(len(bars))]
    return ListSeries(
        [Candle(c.ts, c.open, c.high, c.low, c.close, D((i * 7 + seed) % 21) / 10) for i, c in enumerate(kept)], scale=2
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_grid_trades_no_more_than_its_share_of_any_bar(seed: int) -> None:
    """Fills of each bar add up to at most a tenth of its volume, with jumps and without the journals are the same."""
    rules = instrument()
    config = grid(start_price=97, end_price=103, levels=12, initial_inventory="market")
    series = walked(seed)
    told = [run(world(spec(config, rules)), account(rules, TENTH), series, jump=jump) for jump in (True, False)]
    assert told[0].record == told[1].record
    fills = [fill for fill in told[0].fills if fill.maker]
    assert len(fills) > 20
    for index in range(len(series)):
        candle = series.bar(index)
        traded = total(f.qty for f in told[0].fills if candle.ts <= f.ts < candle.ts + timedelta(seconds=60))
        assert traded <= candle.volume / 10
