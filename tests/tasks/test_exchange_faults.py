"""A real ccxt client against a hostile exchange: whatever comes back, the fact is right and nothing is sent twice."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from core.facts import Accepted, CancelRefused, NotFound, Refused, Seen, SeenAs, Unanswered
from tasks.exchange import CcxtVenue
from tasks.exchange_clock import utc_now
from tasks.venue import ReadFailed
from tests.wire.accounts import SPOT, SWAP, MarketKind, account, order, play
from tests.wire.exchange_faults import Fault, answer, bad_gzip, changed, half, html, lost, redirect, short, slow
from tests.wire.exchange_server import ExchangeServer

BOTH = pytest.mark.parametrize("kind", [SPOT, SWAP], ids=["spot", "swap"])
CID = "b1-abcd-e0-0-0"


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    with ExchangeServer() as exchange:
        yield exchange


def error(code: int, words: str, status: int, *, accepted: bool = True) -> Callable[[str, str], Fault]:
    body = json.dumps({"code": code, "msg": words})
    return lambda method, path: answer(method, path, body, status=status, accepted=accepted)


def body(text: str) -> Callable[[str, str], Fault]:
    return lambda method, path: answer(method, path, text)


def field(**changes: Any) -> Callable[[str, str], Fault]:
    return lambda method, path: changed(method, path, lambda told: told | changes)


# Answers that say nothing certain. In each the request took effect, unless its name says that it did not.
UNCERTAIN: dict[str, Callable[[str, str], Fault]] = {
    "lost after acceptance": lambda m, p: lost(m, p, accepted=True),
    "lost before acceptance": lambda m, p: lost(m, p, accepted=False),
    "half a JSON text": half,
    "fewer bytes than promised": short,
    "a page of HTML": html,
    "an empty body": body(""),
    "an empty object": body("{}"),
    "null": body("null"),
    "a number": body("17"),
    "an empty list": body("[]"),
    "NaN": body('{"orderId": NaN}'),
    "an object of something else": body('{"hello": "world"}'),
    "bad gzip": bad_gzip,
    "500": error(-1000, "An unknown error occurred.", 500),
    "502 with HTML": lambda m, p: answer(m, p, "<html/>", status=502, content_type="text/html"),
    "503 overloaded": error(-1008, "Server is currently overloaded.", 503),
    "503 unknown": error(-1000, "Unknown error, please check your request or try again later.", 503),
    "504": error(-1007, "Timeout waiting for response from backend server.", 504),
    "400 with -1006": error(-1006, "An unexpected response was received from the message bus.", 400),
    "a code nobody knows": error(-7777, "Something new.", 400),
    "a code with words of ccxt": error(-7778, "Filter of a new kind", 422),
    "an answer later than the time limit": lambda m, p: slow(m, p, 0.5),
}
# Whole orders in which something is wrong.
FOREIGN: dict[str, Callable[[str, str], Fault]] = {
    "another order": field(clientOrderId="b1-abcd-e9-9-9", origClientOrderId="b1-abcd-e9-9-9"),
    "no client id": field(clientOrderId=None, origClientOrderId=None),
    "no order id": field(orderId=None),
    "a status nobody knows": field(status="MYSTERY"),
    "no status": field(status=None),
    "more executed than ordered": field(executedQty="7"),
    "an amount that is no number": field(origQty="much"),
    "an infinite amount": field(origQty="Infinity"),
}
NEVER_ARRIVED = {"lost before acceptance"}


@BOTH
@pytest.mark.parametrize("name", [*UNCERTAIN, *FOREIGN])
def test_an_uncertain_answer_to_a_placement_is_resolved_by_asking(
    server: ExchangeServer, kind: MarketKind, name: str
) -> None:
    """The order's fate is unknown, it was sent once, and the query by client id tells the truth."""

    async def scene(venue: CcxtVenue) -> None:
        server.plant((UNCERTAIN | FOREIGN)[name]("POST", "/order"))
        mine = order(kind, CID, "buy", "59000")
        told = await venue.place(mine, utc_now())
        assert isinstance(told, Unanswered), told
        assert server.count("POST", "/order") == 1
        if name == "an answer later than the time limit":
            venue.client.api.timeout = 3000
        asked = await venue.order(mine, utc_now())
        if name in NEVER_ARRIVED:
            assert isinstance(asked, NotFound)
        else:
            assert isinstance(asked, Seen)
            assert asked.status is SeenAs.OPEN

    play(server, kind, scene, 200)


@BOTH
@pytest.mark.parametrize("name", [*UNCERTAIN, *FOREIGN])
def test_an_uncertain_answer_to_a_cancel_leaves_the_order_to_be_asked_for(
    server: ExchangeServer, kind: MarketKind, name: str
) -> None:
    """A cancel is sent once, also over a kept connection, and an answer that proves nothing is no confirmation."""

    async def scene(venue: CcxtVenue) -> None:
        mine = order(kind, CID, "buy", "59000")
        assert isinstance(await venue.place(mine, utc_now()), Accepted)
        server.plant((UNCERTAIN | FOREIGN)[name]("DELETE", "/order"))
        told = await venue.cancel(mine, utc_now())
        assert isinstance(told, Unanswered), told
        assert server.count("DELETE", "/order") == 1
        venue.client.api.timeout = 3000
        asked = await venue.order(mine, utc_now())
        assert isinstance(asked, Seen)
        assert asked.status is (SeenAs.OPEN if name in NEVER_ARRIVED else SeenAs.CANCELED)

    play(server, kind, scene, 200)


READS = ["quotes", "open_orders", "order", "trades", "balances", "positions"]
PATHS = {
    ("quotes", "spot"): "24hr", ("quotes", "swap"): "bookTicker", ("open_orders", "spot"): "openOrders",
    ("open_orders", "swap"): "openOrders", ("order", "spot"): "/order", ("order", "swap"): "/order",
    ("trades", "spot"): "myTrades", ("trades", "swap"): "userTrades", ("balances", "spot"): "account",
    ("balances", "swap"): "account", ("positions", "swap"): "positionRisk",
}  # fmt: skip


def ask(venue: CcxtVenue, kind: MarketKind, what: str) -> Awaitable[Any]:
    now = utc_now()
    return {
        "quotes": lambda: venue.quotes([kind.symbol], now),
        "open_orders": lambda: venue.open_orders([kind.symbol], now),
        "order": lambda: venue.order(order(kind, CID, "buy", "59000"), now),
        "trades": lambda: venue.trades(kind.symbol, now - timedelta(hours=1), now),
        "balances": lambda: venue.balances(now),
        "positions": lambda: venue.positions([kind.symbol], now),
    }[what]()


@pytest.mark.parametrize(("what", "market"), list(PATHS))
def test_a_reading_that_says_nothing_is_absent_never_empty(server: ExchangeServer, what: str, market: str) -> None:
    """Every bad answer to every read fails by name; the good answer after it is read as it is."""
    kind = SPOT if market == "spot" else SWAP

    async def scene(venue: CcxtVenue) -> None:
        await venue.place(order(kind, CID, "buy", "59000"), utc_now())
        kind.books(server).move("BTCUSDT", "58000", "0.5")
        for name, fault in UNCERTAIN.items():
            if name == "an empty list" and what == "positions":
                continue  # no position anywhere is what an empty list of positions means
            if name == "an empty list" and what in {"open_orders", "trades"}:
                continue  # likewise; what an order list lacks is asked for one by one
            if name.startswith("lost"):
                # A read may be repeated by the HTTP client: only two losses in a row are one.
                server.plant(fault("GET", PATHS[what, market]))
            server.plant(fault("GET", PATHS[what, market]))
            if name == "an empty list" and what == "quotes":
                assert await ask(venue, kind, what) == []
                continue
            with pytest.raises(ReadFailed):
                await ask(venue, kind, what)
            server.faults.clear()
        venue.client.api.timeout = 3000
        await asyncio.sleep(0.6)
        assert await ask(venue, kind, what)

    play(server, kind, scene, 200)


LISTS = ["open_orders", "trades", "positions"]
ROW_CHANGES: dict[str, dict[str, Any]] = {
    "open_orders": {"status": "MYSTERY"}, "trades": {"commission": None}, "positions": {"positionAmt": "?"},
}  # fmt: skip


@pytest.mark.parametrize("what", LISTS)
def test_one_bad_row_fails_the_whole_list(server: ExchangeServer, what: str) -> None:
    """A list that lost a row would look like an order that is gone."""

    async def scene(venue: CcxtVenue) -> None:
        await venue.place(order(SWAP, CID, "buy", "59000"), utc_now())
        SWAP.books(server).move("BTCUSDT", "58000", "0.5")
        path = PATHS[what, "swap"]
        server.plant(changed("GET", path, lambda rows: [row | ROW_CHANGES[what] for row in rows]))
        with pytest.raises(ReadFailed):
            await ask(venue, SWAP, what)
        server.plant(changed("GET", path, lambda rows: [*rows, "garbage"]))
        with pytest.raises(ReadFailed):
            await ask(venue, SWAP, what)
        assert await ask(venue, SWAP, what)

    play(server, SWAP, scene, 200)


BAD_PRICES = [
    {"bidPrice": "0"},
    {"askPrice": "NaN"},
    {"bidPrice": "60500", "askPrice": "60400"},
    {"lastPrice": "-1"},
    {"askPrice": None},
]


@pytest.mark.parametrize("change", BAD_PRICES)
def test_a_quote_that_is_no_market_is_left_out(server: ExchangeServer, change: dict[str, str | None]) -> None:
    """Zero, NaN, negative, missing or crossed: absent, while the reading as such is good."""

    async def scene(venue: CcxtVenue) -> None:
        server.plant(changed("GET", "24hr", lambda rows: [row | change for row in rows]))
        assert await venue.quotes([SPOT.symbol], utc_now()) == []
        assert len(await venue.quotes([SPOT.symbol], utc_now())) == 1

    play(server, SPOT, scene, 200)


@pytest.mark.parametrize(("kind", "path"), [(SPOT, "24hr"), (SWAP, "v2/ticker/price")])
def test_a_gateway_without_the_usual_route_still_gives_quotes(
    server: ExchangeServer, kind: MarketKind, path: str
) -> None:
    """The older or longer way to the same prices is taken where the short one is missing."""

    async def scene(venue: CcxtVenue) -> None:
        server.plant(answer("GET", path, "<html>no such page</html>", status=404, content_type="text/html"))
        assert [quote.last for quote in await venue.quotes([kind.symbol], utc_now())] == [60000]

    play(server, kind, scene, 200)


def test_an_old_quote_shows_its_age(server: ExchangeServer) -> None:
    """A frozen ticker is not dressed up as fresh."""

    async def scene(venue: CcxtVenue) -> None:
        old = server.clock_ms() - 90_000
        server.plant(changed("GET", "24hr", lambda rows: [row | {"closeTime": old} for row in rows]))
        [quote] = await venue.quotes([SPOT.symbol], utc_now())
        assert "90 s old" in str(quote.objection(utc_now(), 60))

    play(server, SPOT, scene, 200)


@BOTH
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(server: ExchangeServer, kind: MarketKind, status: int) -> None:
    """The order is not sent again to wherever the answer points, and its fate is unknown."""

    async def scene(venue: CcxtVenue) -> None:
        for method in ("POST", "DELETE"):
            server.plant(redirect(method, "/order", f"{server.url}/elsewhere/order", status))
        mine = order(kind, CID, "buy", "59000")
        assert isinstance(await venue.place(mine, utc_now()), Unanswered)
        assert isinstance(await venue.cancel(mine, utc_now()), Unanswered)
        assert [asked.path for asked in server.log] == [f"{kind.root}/order"] * 2

    play(server, kind, scene, 200)


@BOTH
def test_a_duplicate_proves_that_the_order_exists(server: ExchangeServer, kind: MarketKind) -> None:
    """Sent again by whomever, the second answer is no refusal: the order is asked for and found."""

    async def scene(venue: CcxtVenue) -> None:
        mine = order(kind, CID, "buy", "59000")
        await venue.place(mine, utc_now())
        assert isinstance(await venue.place(mine, utc_now()), Unanswered)
        assert isinstance(await venue.order(mine, utc_now()), Seen)

    play(server, kind, scene, 200)


def test_an_order_that_never_left_is_refused_for_certain() -> None:
    """Where nothing listens, nothing was sent: the leg may try again without a quarantine."""

    async def scene() -> None:
        with ExchangeServer() as server:
            async with account(server, SPOT) as venue:
                server.stop()
                await venue.client.wire.close()
                mine = order(SPOT, CID, "buy", "59000")
                told = await venue.place(mine, utc_now())
                assert isinstance(told, Refused)
                assert told.reason.startswith("not_sent")
                assert isinstance(await venue.cancel(mine, utc_now()), CancelRefused)

    asyncio.run(scene())
