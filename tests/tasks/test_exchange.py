"""A real ccxt client against the loopback exchange in good weather: every question of the port, spot and swap."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest

from core.facts import Accepted, BalanceRead, CancelRefused, NotFound, PositionRead, Refusal, Refused, Seen, SeenAs
from core.orders import Kind, Role
from core.values import Side
from tasks.exchange import CcxtVenue
from tasks.exchange_clock import utc_now
from tasks.venue import ReadFailed
from tests.wire.accounts import SPOT, SWAP, MarketKind, order, play
from tests.wire.exchange_faults import answer
from tests.wire.exchange_server import ExchangeServer

D = Decimal
BOTH = pytest.mark.parametrize("kind", [SPOT, SWAP], ids=["spot", "swap"])
CID = "b1-abcd-e0-0-0"


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    with ExchangeServer() as exchange:
        yield exchange


@BOTH
def test_rules_come_as_decimals_with_the_accounts_own_fees(server: ExchangeServer, kind: MarketKind) -> None:
    """Tick, lot, minimums and fees are exactly what the exchange wrote."""
    market = kind.books(server).markets["BTCUSDT"]
    market.maker = D("0.00012345")

    async def scene(venue: CcxtVenue) -> None:
        rules = (await venue.instruments([kind.symbol]))[kind.symbol]
        found = (rules.tick_size, rules.lot_step, rules.min_qty, rules.min_notional, rules.maker, rules.taker)
        assert found == (market.tick, market.step, market.min_qty, market.min_notional, market.maker, market.taker)
        assert (rules.venue, rules.swap, rules.base, rules.quote) == ("v", kind.market == "swap", "BTC", "USDT")
        assert str(rules.tick_size) == str(market.tick)

    play(server, kind, scene)


@BOTH
def test_a_quote_has_the_touch_the_last_price_and_the_exchanges_time(server: ExchangeServer, kind: MarketKind) -> None:
    """Bid, ask and last are exact, and the time is told in the local clock although the exchange's runs ahead."""
    server.ahead_ms = 30_000
    kind.books(server).move("BTCUSDT", "61234.5")

    async def scene(venue: CcxtVenue) -> None:
        now = utc_now()
        [quote] = await venue.quotes([kind.symbol], now)
        assert (quote.bid, quote.last, quote.venue, quote.symbol) == (D("61234.5"), D("61234.5"), "v", kind.symbol)
        assert quote.ask > quote.bid
        assert abs(quote.ts - now) < timedelta(seconds=1)

    play(server, kind, scene)


def test_a_quote_of_a_swap_carries_the_mark(server: ExchangeServer) -> None:
    """What liquidates and what barriers look at is the mark price, beside the last one."""
    server.swap.markets["BTCUSDT"].mark = D("59990.5")

    async def scene(venue: CcxtVenue) -> None:
        [quote] = await venue.quotes([SWAP.symbol], utc_now())
        assert (quote.mark, quote.last) == (D("59990.5"), D(60000))

    play(server, SWAP, scene)


def test_a_single_swap_is_asked_for_by_its_name(server: ExchangeServer) -> None:
    """Its prices weigh a quarter of those of all symbols, and a ticker of another symbol is no answer."""

    async def scene(venue: CcxtVenue) -> None:
        server.log.clear()
        await venue.quotes([SWAP.symbol], utc_now())
        assert {one.params.get("symbol") for one in server.log} == {"BTCUSDT"}
        other = '{"symbol": "ETHUSDT", "bidPrice": "3000", "askPrice": "3001", "bidQty": "1", "askQty": "1", "time": 1}'
        server.plant(answer("GET", "bookTicker", other))
        with pytest.raises(ReadFailed, match="the ticker of the one symbol"):
            await venue.quotes([SWAP.symbol], utc_now())

    play(server, SWAP, scene)


def test_a_gateway_without_marks_is_asked_for_them_once(server: ExchangeServer) -> None:
    """The quotes come all the same, without a mark, and no request is wasted on it again."""
    server.plant(answer("GET", "premiumIndex", "<html>no such page</html>", status=404, content_type="text/html"))

    async def scene(venue: CcxtVenue) -> None:
        for _ in range(2):
            [quote] = await venue.quotes([SWAP.symbol], utc_now())
            assert quote.mark is None
        assert server.count("GET", "premiumIndex") == 1

    play(server, SWAP, scene)


@BOTH
def test_an_order_rests_is_seen_fills_in_parts_and_is_cancelled(server: ExchangeServer, kind: MarketKind) -> None:
    """The life of a post-only order, as the port tells it."""

    async def scene(venue: CcxtVenue) -> None:
        mine = order(kind, CID, "buy", "59000", "0.01", post_only=True)
        placed = await venue.place(mine, utc_now())
        assert isinstance(placed, Accepted)
        assert placed.executed == 0
        [seen] = await venue.open_orders([kind.symbol], utc_now())
        assert (seen.client_id, seen.exchange_id, seen.status, seen.executed) == (
            CID,
            placed.exchange_id,
            SeenAs.OPEN,
            0,
        )
        kind.books(server).move("BTCUSDT", "58000", "0.5")
        asked = await venue.order(mine, utc_now())
        assert isinstance(asked, Seen)
        assert (asked.status, asked.executed) == (SeenAs.OPEN, D("0.005"))
        cancelled = await venue.cancel(mine, utc_now())
        assert isinstance(cancelled, Seen)
        assert (cancelled.status, cancelled.executed) == (SeenAs.CANCELED, D("0.005"))
        assert await venue.open_orders([kind.symbol], utc_now()) == []
        assert isinstance(await venue.cancel(mine, utc_now()), CancelRefused)

    play(server, kind, scene)


@BOTH
def test_what_is_sent_is_what_was_decided(server: ExchangeServer, kind: MarketKind) -> None:
    """Client id, quantity and price travel unchanged; post-only, IOC, self-trade prevention, recvWindow too."""

    async def scene(venue: CcxtVenue) -> None:
        await venue.place(order(kind, CID, "buy", "59000.1", "0.012", post_only=True), utc_now())
        await venue.place(order(kind, "b1-abcd-u0-0-0", "buy", "60100", kind=Kind.MARKET, role=Role.UNWIND), utc_now())
        resting, taking = (asked.params for asked in server.log if asked.method == "POST")
        assert (resting["newClientOrderId"], resting["quantity"], resting["price"]) == (CID, "0.012", "59000.1")
        assert (resting["recvWindow"], resting["selfTradePreventionMode"]) == ("5000", "EXPIRE_TAKER")
        assert resting["type"] == ("LIMIT_MAKER" if kind is SPOT else "LIMIT")
        assert resting.get("timeInForce") == (None if kind is SPOT else "GTX")
        assert (taking["type"], taking["timeInForce"], taking["price"]) == ("LIMIT", "IOC", "60100")
        assert taking["recvWindow"] == "2000"

    play(server, kind, scene)


@BOTH
def test_a_market_leg_with_a_cap_takes_what_is_there_and_no_more(server: ExchangeServer, kind: MarketKind) -> None:
    """An immediate-or-cancel limit fills up to the depth; the rest is over, not resting."""
    kind.books(server).markets["BTCUSDT"].depth = D("0.004")

    async def scene(venue: CcxtVenue) -> None:
        mine = order(kind, CID, "buy", "60100", kind=Kind.MARKET)
        placed = await venue.place(mine, utc_now())
        assert isinstance(placed, Accepted)
        assert placed.executed == D("0.004")
        asked = await venue.order(mine, utc_now())
        assert isinstance(asked, Seen)
        assert (asked.status, asked.executed) == (SeenAs.EXPIRED, D("0.004"))

    play(server, kind, scene)


@BOTH
def test_a_market_leg_without_a_cap_sends_its_quantity(server: ExchangeServer, kind: MarketKind) -> None:
    """Ccxt would turn a price on a spot market buy into an amount of quote; none is given."""

    async def scene(venue: CcxtVenue) -> None:
        placed = await venue.place(order(kind, CID, "buy", None, "0.003", kind=Kind.MARKET), utc_now())
        assert isinstance(placed, Accepted)
        [asked] = [asked.params for asked in server.log if asked.method == "POST"]
        assert (asked["quantity"], asked["type"], "price" in asked, "quoteOrderQty" in asked) == (
            "0.003", "MARKET", False, False,
        )  # fmt: skip

    play(server, kind, scene)


@BOTH
def test_trades_name_their_client_id_fee_and_side(server: ExchangeServer, kind: MarketKind) -> None:
    """Trades carry only the exchange's order id; whose it was is found, for strangers' orders too."""
    books = kind.books(server)
    started = utc_now() - timedelta(minutes=1)

    async def scene(venue: CcxtVenue) -> None:
        await venue.place(order(kind, CID, "buy", "59000", "0.01"), utc_now())
        books.move("BTCUSDT", "58000", "0.5")
        books.move("BTCUSDT", "58000")
        books.place(
            {"symbol": "BTCUSDT", "newClientOrderId": "web_1", "side": "SELL", "type": "MARKET", "quantity": "0.01"}
        )
        fills = await venue.trades(kind.symbol, started, utc_now())
        assert [(f.client_id, f.side, f.qty, f.maker) for f in fills] == [
            (CID, Side.BUY, D("0.005"), True), (CID, Side.BUY, D("0.005"), True),
            ("web_1", Side.SELL, D("0.01"), False),
        ]  # fmt: skip
        assert [(str(f.fee), f.fee_asset) for f in fills] == [(str(t.fee), t.fee_asset) for t in books.trades]
        assert [f.settled for f in fills] == [0, 0, -10 if kind is SWAP else 0]
        assert server.count("GET", "/order") == 1
        assert await venue.trades(kind.symbol, utc_now() + timedelta(seconds=5), utc_now()) == []

    play(server, kind, scene)


@BOTH
def test_trades_of_many_pages_and_days_come_whole(server: ExchangeServer, kind: MarketKind) -> None:
    """2,300 trades over twenty days, after a gap longer than the exchange's window, are all read once and in order."""
    books = kind.books(server)
    started = utc_now() - timedelta(days=30)

    async def scene(venue: CcxtVenue) -> None:
        await venue.place(order(kind, CID, "buy", "60100", "0.001" if kind is SPOT else "0.002"), utc_now())
        [trade] = books.trades
        now_ms = server.clock_ms()
        books.trades.clear()
        for n in range(2300):
            copy = type(trade)(n + 1, trade.order, trade.price, trade.qty, trade.fee, trade.fee_asset, 0, maker=False)
            copy.time_ms = now_ms - (2299 - n) * 20 * 86_400_000 // 2300
            books.trades.append(copy)
        fills = await venue.trades(kind.symbol, started, utc_now())
        assert [fill.trade_id for fill in fills] == [str(n + 1) for n in range(2300)]

    play(server, kind, scene)


def test_spot_balances_are_free_plus_locked(server: ExchangeServer) -> None:
    """What an order has locked is still held."""

    async def scene(venue: CcxtVenue) -> None:
        await venue.place(order(SPOT, CID, "buy", "59000"), utc_now())
        now = utc_now()
        assert await venue.balances(now) == [
            BalanceRead("v", "BNB", D(2), now), BalanceRead("v", "BTC", D(1), now),
            BalanceRead("v", "USDT", D(10000), now),
        ]  # fmt: skip
        assert await venue.positions([SPOT.symbol], now) == []

    play(server, SPOT, scene)


def test_swap_positions_are_signed_and_flat_ones_are_zero(server: ExchangeServer) -> None:
    """A short is negative, and a symbol that the exchange leaves out of its list is flat."""

    async def scene(venue: CcxtVenue) -> None:
        now = utc_now()
        assert await venue.positions([SWAP.symbol], now) == [PositionRead("v", SWAP.symbol, D(0), now)]
        await venue.place(order(SWAP, CID, "sell", "59000", kind=Kind.MARKET), utc_now())
        assert await venue.positions([SWAP.symbol], now) == [PositionRead("v", SWAP.symbol, D("-0.01"), now, D(60000))]
        [wallet] = await venue.balances(now)
        assert wallet.total == D(10000) - D("0.3")

    play(server, SWAP, scene)


def test_a_position_that_vanishes_counts_from_the_second_reading(server: ExchangeServer) -> None:
    """One answer without the position is not yet a flat account."""

    async def scene(venue: CcxtVenue) -> None:
        now = utc_now()
        await venue.place(order(SWAP, CID, "buy", "60100", kind=Kind.MARKET), now)
        assert [p.qty for p in await venue.positions([SWAP.symbol], now)] == [D("0.01")]
        server.swap.positions.clear()
        assert await venue.positions([SWAP.symbol], now) == []
        assert [p.qty for p in await venue.positions([SWAP.symbol], now)] == [0]

    play(server, SWAP, scene)


def test_reduce_only_is_set_and_its_refusal_is_told(server: ExchangeServer) -> None:
    """Without a position a reduce-only order is refused as that, not as anything else."""

    async def scene(venue: CcxtVenue) -> None:
        told = await venue.place(order(SWAP, CID, "sell", "61000", reduce_only=True, role=Role.EXIT), utc_now())
        assert isinstance(told, Refused)
        assert told.kind is Refusal.REDUCE_ONLY
        assert [a.params["reduceOnly"] for a in server.log if a.method == "POST"] == ["true"]

    play(server, SWAP, scene)


def test_a_stop_of_a_swap_rests_in_the_exchanges_own_list(server: ExchangeServer) -> None:
    """A stop goes to the conditional orders, triggered on mark, and is listed, asked for and cancelled there."""

    async def scene(venue: CcxtVenue) -> None:
        await venue.place(order(SWAP, "b1-abcd-e0-0-0", "buy", "60100", kind=Kind.MARKET), utc_now())
        stop = order(
            SWAP,
            "b1-abcd-s0-0-0",
            "sell",
            None,
            kind=Kind.STOP_MARKET,
            stop_price=D(55000),
            reduce_only=True,
            role=Role.STOP,
        )
        placed = await venue.place(stop, utc_now())
        assert isinstance(placed, Accepted)
        [sent] = [asked.params for asked in server.log if asked.path.endswith("algoOrder")]
        assert (sent["triggerPrice"], sent["workingType"], sent["reduceOnly"]) == ("55000", "MARK_PRICE", "true")
        assert [seen.client_id for seen in await venue.open_orders([SWAP.symbol], utc_now())] == ["b1-abcd-s0-0-0"]
        asked = await venue.order(stop, utc_now())
        assert isinstance(asked, Seen)
        assert asked.status is SeenAs.OPEN
        await venue.cancel(stop, utc_now())
        assert await venue.open_orders([SWAP.symbol], utc_now()) == []

    play(server, SWAP, scene)


@BOTH
def test_an_order_that_never_was_is_not_found(server: ExchangeServer, kind: MarketKind) -> None:
    """Only the exchange's own word makes a NotFound."""

    async def scene(venue: CcxtVenue) -> None:
        assert isinstance(await venue.order(order(kind, CID, "buy", "59000"), utc_now()), NotFound)

    play(server, kind, scene)


REFUSALS = [
    (SPOT, {"price": "60100", "post_only": True}, Refusal.POST_ONLY, 1),
    (SWAP, {"price": "60100", "post_only": True}, Refusal.POST_ONLY, 1),
    (SPOT, {"qty": "0.5"}, Refusal.FUNDS, 1),
    (SPOT, {"qty": "0.00001"}, Refusal.FILTER, 1),
    (SWAP, {"qty": "0.001"}, Refusal.FILTER, 1),
    (SPOT, {"price": "59000.001"}, Refusal.FILTER, 0),
    (SWAP, {"qty": "0.0105"}, Refusal.FILTER, 0),
]


@pytest.mark.parametrize(("kind", "changes", "refusal", "sent"), REFUSALS)
def test_refusals_are_told_by_kind(
    server: ExchangeServer, kind: MarketKind, changes: dict[str, object], refusal: Refusal, sent: int
) -> None:
    """A definite refusal says why; what a filter would refuse, or ccxt would round, is not even sent."""

    async def scene(venue: CcxtVenue) -> None:
        parts = {"price": "59000", "qty": "0.01"} | changes
        told = await venue.place(order(kind, CID, "buy", parts.pop("price"), parts.pop("qty"), **parts), utc_now())
        assert isinstance(told, Refused)
        assert told.kind is refusal
        assert server.count("POST", "/order") == sent

    play(server, kind, scene)


def test_a_decision_of_long_ago_is_not_sent(server: ExchangeServer) -> None:
    """A process that slept since it decided notices before anything leaves."""

    async def scene(venue: CcxtVenue) -> None:
        then = utc_now() - timedelta(seconds=20)
        told = await venue.place(order(SPOT, CID, "buy", "59000"), then)
        assert isinstance(told, Refused)
        assert "decided 20." in told.reason
        assert isinstance(await venue.cancel(order(SPOT, CID, "buy", "59000"), then), CancelRefused)
        assert server.log == []

    play(server, SPOT, scene)
