"""Web sockets of the real ccxt client at the loopback exchange: what they spare, and that nothing depends on them."""

import asyncio
import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from core.facts import Accepted
from tasks import exchange_line, exchange_streams
from tasks.credentials import scrub
from tasks.exchange import CcxtVenue
from tasks.exchange_clock import utc_now
from tasks.venue import ConfigRefused, OrderTold
from tests.wire.accounts import KEYS, SPOT, SWAP, MarketKind, order
from tests.wire.exchange_server import API_KEY, SECRET, ExchangeServer
from tests.wire.streaming import Account, gone, play

BOTH = pytest.mark.parametrize("kind", [SPOT, SWAP], ids=["spot", "swap"])
CID = "b1-abcd-e0-0-0"


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    """Run the loopback exchange."""
    with ExchangeServer() as exchange:
        yield exchange


@pytest.fixture(autouse=True)
def _shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    # The same rules within a test's time.
    monkeypatch.setattr(exchange_streams, "STALL_S", 2.0)
    monkeypatch.setattr(exchange_streams, "LOST_S", 0.6)
    monkeypatch.setattr(exchange_streams, "FRESH_S", 0.5)
    monkeypatch.setattr(exchange_line, "PAUSE_FIRST_S", 0.2)


@BOTH
def test_fresh_prices_spare_the_readings(server: ExchangeServer, kind: MarketKind) -> None:
    """Once the sockets speak, quotes are the market's bid, ask, last and mark without a request."""

    async def scene(at: Account) -> None:
        market = kind.books(server).markets["BTCUSDT"]
        for _ in range(40):
            quote = await at.warm()
            assert (quote.mark is not None) == (kind is SWAP)
            if (quote.bid, quote.ask, quote.last) == (market.bid, market.ask, market.last):
                break
        assert (quote.bid, quote.ask, quote.last) == (market.bid, market.ask, market.last)
        assert set(at.venue.stream_troubles().values()) == {""}

    play(server, kind, scene)


def test_a_process_that_asks_once_opens_no_socket(server: ExchangeServer) -> None:
    """The first quotes of a process are read; a single tick never dials."""

    async def scene(at: Account) -> None:
        await at.look()
        assert at.readings() == 1
        assert server.sockets.dials == []
        assert at.venue.stream_troubles() == {}

    play(server, SPOT, scene)


@BOTH
def test_a_silent_stall_falls_back_and_is_dialled_again(server: ExchangeServer, kind: MarketKind) -> None:
    """A socket that is open and says nothing, while the market moves, is disproved by a reading and replaced."""

    async def scene(at: Account) -> None:
        await at.warm()
        server.sockets.mute.add("bookTicker")
        dials, before = len(server.sockets.dials), at.readings()
        await at.until(lambda: "nothing of BTC/USDT" in at.venue.stream_troubles()["quotes"])
        assert at.readings() > before
        await at.until(lambda: len(server.sockets.dials) > dials)
        assert at.venue.stream_troubles()["quotes"] != ""
        server.sockets.mute.clear()
        await at.until(lambda: at.venue.stream_troubles()["quotes"] == "")
        await at.warm()

    play(server, kind, scene)


def test_a_new_symbol_is_heard_as_well(server: ExchangeServer) -> None:
    """A market that a running portfolio begins to trade is subscribed to beside the others."""
    server.spot.markets["ETHUSDT"] = replace(server.spot.markets["BTCUSDT"], id="ETHUSDT", base="ETH")
    both = ["BTC/USDT", "ETH/USDT"]

    async def scene(at: Account) -> None:
        await at.warm()

        async def spared() -> bool:
            for market in server.spot.markets.values():
                market.bid -= 1
            await asyncio.sleep(0.2)
            before = at.readings()
            found = await at.venue.quotes(both, utc_now())
            assert [quote.symbol for quote in sorted(found, key=lambda quote: quote.symbol)] == both
            return at.readings() == before and all(quote.bid == server.spot.markets["ETHUSDT"].bid for quote in found)

        server.spot.markets["BTCUSDT"].bid = server.spot.markets["ETHUSDT"].bid
        assert any([await spared() for _ in range(60)])
        assert set(at.venue.stream_troubles().values()) == {""}

    play(server, SPOT, scene)


def test_a_market_that_stands_still_is_no_stall(server: ExchangeServer) -> None:
    """Silence beside readings that agree with what was said last is quiet, however long it lasts."""

    async def scene(at: Account) -> None:
        await at.warm()
        dials, ends = len(server.sockets.dials), time.monotonic() + 3 * exchange_streams.STALL_S
        await at.until(lambda: time.monotonic() > ends, moves=False)
        assert len(server.sockets.dials) == dials
        assert set(at.venue.stream_troubles().values()) == {""}

    play(server, SPOT, scene)


@BOTH
def test_cut_sockets_are_dialled_again(server: ExchangeServer, kind: MarketKind) -> None:
    """After a cut and refused dials the sockets come back; in between, prices are read and a person is told."""

    async def scene(at: Account) -> None:
        await at.warm()
        dials = len(server.sockets.dials)
        server.sockets.refuse = [503] * 9
        server.sockets.cut()
        await at.until(lambda: all(at.venue.stream_troubles().values()))
        assert "status 503" in at.venue.stream_troubles()["quotes"]
        server.sockets.refuse.clear()
        await at.until(lambda: not any(at.venue.stream_troubles().values()))
        await at.warm()
        assert len(server.sockets.dials) < dials + 20, "pauses grow from dial to dial"

    play(server, kind, scene)


def test_a_socket_is_dialled_nowhere_else(server: ExchangeServer) -> None:
    """A redirect in answer to a dial is refused: another host sees neither the dial nor what is in its address."""

    async def scene(at: Account) -> None:
        server.sockets.refuse = [307] * 3
        await at.until(lambda: len(server.sockets.dials) >= 6)
        await at.until(lambda: not any(at.venue.stream_troubles().values()))
        await at.warm()

    with ExchangeServer() as other:
        server.sockets.elsewhere = other.url
        play(server, SPOT, scene)
        assert other.sockets.dials == []


NONSENSE = {
    "half a text": '{"e":"bookTicker","s":"BTCUSDT","b":"59',
    "HTML": "<html>Bad gateway</html>",
    "a number": "17",
    "null": "null",
    "an empty list": "[]",
    "a list of lists": "[[1, 2]]",
    "an unknown event": '{"e":"somethingNew","s":"BTCUSDT"}',
    "a foreign symbol": '{"u":1,"s":"DOGEUSDT","b":"1","B":"1","a":"2","A":"1"}',
    "a crossed book": '{"u":1,"s":"BTCUSDT","b":"61000","B":"1","a":"59000","A":"1"}',
    "a negative price": '{"u":1,"s":"BTCUSDT","b":"-1","B":"1","a":"2","A":"1"}',
    "no price": '{"u":1,"s":"BTCUSDT","b":null,"B":"1","a":"much","A":"1"}',
    "an infinite price": '{"u":1,"s":"BTCUSDT","b":"Infinity","B":"1","a":"Infinity","A":"1"}',
    "an order of nobody": '{"e":"executionReport","s":"BTCUSDT","c":"web_1","x":"TRADE","X":"FILLED","i":1,"z":"1","q":"1"}',
    "an order without numbers": f'{{"e":"executionReport","s":"BTCUSDT","c":"{CID}","x":"TRADE","X":"FILLED","i":1}}',
    "an order of another market": f'{{"e":"executionReport","s":"NOPE","c":"{CID}","X":"FILLED","i":1,"z":"1"}}',
}


def test_nonsense_changes_nothing(server: ExchangeServer) -> None:
    """A malformed or foreign message is passed over on every socket: no quote, no order, no new dial comes of it."""

    async def scene(at: Account) -> None:
        await at.warm()
        dials = len(server.sockets.dials)
        for name, text in NONSENSE.items():
            server.sockets.say(text)
            quote = await at.look(moves=False)
            assert quote.bid == at.price, name
            assert at.venue.take_updates() == [], name
        await at.warm()
        assert len(server.sockets.dials) == dials

    play(server, SPOT, scene)


async def placed(at: Account) -> None:
    """Place a limit order below the market."""
    answer = await at.venue.place(order(at.kind, CID, "buy", "59000"), utc_now())
    assert isinstance(answer, Accepted)


@BOTH
def test_own_orders_are_heard(server: ExchangeServer, kind: MarketKind) -> None:
    """A fill is told with its quantity within a moment; nothing of it is a fact."""

    async def scene(at: Account) -> None:
        await at.warm()
        await placed(at)
        assert await at.told() == [OrderTold(CID, Decimal(0), over=False)]
        kind.books(server).move("BTCUSDT", "58900")
        assert await at.told() == [OrderTold(CID, Decimal("0.01"), over=True)]
        assert at.venue.take_updates() == []

    play(server, kind, scene)


@BOTH
def test_every_part_of_an_order_is_heard(server: ExchangeServer, kind: MarketKind) -> None:
    """The second trade of one order is told like the first, though neither bears a fee: ccxt alone drops it."""

    async def scene(at: Account) -> None:
        await at.warm()
        await placed(at)
        await at.told()
        for share, filled, over in (("0.5", "0.005", False), ("0.4", "0.007", False), ("1", "0.01", True)):
            kind.books(server).move("BTCUSDT", "58900", share)
            assert await at.told() == [OrderTold(CID, Decimal(filled), over=over)]

    play(server, kind, scene)


@BOTH
def test_a_deaf_stream_of_orders_is_found_out(
    server: ExchangeServer, kind: MarketKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trade that is read, and of which the open socket never told, restarts it."""
    monkeypatch.setattr(exchange_streams, "SLACK", exchange_streams.SLACK / 20)

    async def scene(at: Account) -> None:
        await at.warm()
        server.sockets.mute.add("orders")
        await placed(at)
        began = utc_now()
        await asyncio.sleep(0.3)
        kind.books(server).move("BTCUSDT", "58900")
        at.price = Decimal(58900)
        assert len(await at.venue.trades(kind.symbol, began, utc_now())) == 1
        await at.until(lambda: f"order {CID}" in at.venue.stream_troubles()["orders"])
        await at.until(lambda: at.venue.stream_troubles()["orders"] == "")
        at.venue.take_updates()

    play(server, kind, scene)


def test_a_listen_key_that_ran_out_is_replaced(server: ExchangeServer) -> None:
    """The exchange says that the key is over: a new one is asked for and orders are heard again."""

    async def scene(at: Account) -> None:
        await at.warm()
        asked = server.count("POST", "/listenKey")
        server.sockets.expire()
        await at.until(lambda: server.count("POST", "/listenKey") > asked)
        await at.until(lambda: server.sockets.dials.count("/private/ws") >= 2 and len(server.sockets.lines) == 4)
        await placed(at)
        assert [one.client_id for one in await at.told()] == [CID]

    play(server, SWAP, scene)


def test_a_dial_waits_where_the_exchange_said_so(server: ExchangeServer) -> None:
    """While a Retry-After lasts no socket is dialled, and a dial takes its place in the budget."""

    async def scene(at: Account) -> None:
        await at.look()
        at.venue.client.budget.hold(5.0, "told to wait")
        at.venue.streams.begin([at.kind.symbol])
        await asyncio.sleep(1.0)
        assert server.sockets.dials == []
        used = at.venue.client.budget.used
        assert await gone(lambda: len(server.sockets.dials) < 3)
        assert at.venue.client.budget.used > used

    play(server, SPOT, scene)


@BOTH
def test_no_secret_is_said(
    server: ExchangeServer, kind: MarketKind, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither keys nor signatures nor the listen key are in a word, a log at DEBUG or an output, whatever fails."""
    caplog.set_level(logging.DEBUG)
    words: list[str] = []

    async def scene(at: Account) -> None:
        await at.warm()
        server.sockets.refuse = [401, 400, 503, 429, 401, 503]
        server.sockets.say('{"id": 1, "error": {"code": 5, "msg": "listenKey=listen-key-of-the-test-1 is bad"}}')
        server.sockets.cut()
        for _ in range(8):
            await at.look()
            words.extend(at.venue.stream_troubles().values())
        if kind is SWAP:
            server.sockets.expire()
        await at.until(lambda: not any(at.venue.stream_troubles().values()))
        words.append(repr(at.venue.streams))

    play(server, kind, scene)
    said = "\n".join([*words, caplog.text, *capfd.readouterr()])
    assert any(word for word in words[:-1])
    for secret in (API_KEY, SECRET, "listen-key-of-the-test", "signature="):
        assert secret not in said
    assert "Traceback" not in said


def test_the_key_of_a_stream_is_scrubbed() -> None:
    """An address with a listen key, and the key itself beside its name, are hidden."""
    assert "abc" not in scrub("no answer of wss://host/private/ws?listenKey=abc, listenKey: abc")


def test_streams_that_ccxt_does_not_have_are_refused() -> None:
    """An exchange without web sockets in ccxt is refused with the key to leave out."""
    with pytest.raises(ConfigRefused, match="leave streams out"):
        CcxtVenue("v", "bitso", "spot", "live", None, KEYS, streams=True)
