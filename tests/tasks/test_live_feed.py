"""Public prices without keys: the same checks as for a real account, and a quick word on whether anybody is there."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from tasks.exchange_clock import utc_now
from tasks.live_feed import LivePrices
from tasks.venue import ConfigRefused, ReadFailed
from tests.wire.exchange_faults import html, slow
from tests.wire.exchange_server import ExchangeServer


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    with ExchangeServer() as exchange:
        yield exchange


@pytest.mark.parametrize(
    ("exchange", "market", "symbol"), [("binance", "spot", "BTC/USDT"), ("binanceusdm", "swap", "BTC/USDT:USDT")]
)
def test_prices_and_rules_come_without_keys(server: ExchangeServer, exchange: str, market: str, symbol: str) -> None:
    """A paper venue gets quotes in its own name, and no signed request is made."""

    async def scene() -> None:
        source = LivePrices(exchange, market, server.url)
        assert await source.probe(3.0)
        await source.start([symbol])
        rules = await source.instruments([symbol], "paper1")
        [quote] = await source.quotes([symbol], utc_now())
        assert (rules[symbol].venue, quote.venue, quote.symbol) == ("paper1", "paper1", symbol)
        assert quote.objection(utc_now(), 5) is None
        await source.close()
        await source.close()

    asyncio.run(scene())
    assert not any("signature" in asked.params for asked in server.log)


def test_a_probe_says_no_within_its_time(server: ExchangeServer) -> None:
    """Nobody there, a page of HTML, or an answer that is too slow: no, in about the time allowed."""

    async def scene() -> None:
        silent = LivePrices("binance", "spot", "http://127.0.0.1:9")
        assert not await silent.probe(10.0)
        await silent.close()
        asked = LivePrices("binance", "spot", server.url)
        server.plant(html("GET", "time"))
        assert not await asked.probe(10.0)
        server.plant(slow("GET", "time", 5.0))
        started_s = time.monotonic()
        assert not await asked.probe(0.3)
        assert time.monotonic() - started_s < 4.0
        assert await asked.probe(10.0)
        await asked.close()

    asyncio.run(scene())


def test_a_reading_that_fails_is_told_and_an_unknown_symbol_is_refused(server: ExchangeServer) -> None:
    """Bad answers are no prices, and a symbol that is not traded there is named."""

    async def scene() -> None:
        source = LivePrices("binance", "spot", server.url)
        with pytest.raises(ConfigRefused, match="no spot market 'NO/SUCH'"):
            await source.start(["NO/SUCH"])
        server.plant(html("GET", "24hr"))
        with pytest.raises(ReadFailed):
            await source.quotes(["BTC/USDT"], utc_now())
        await source.close()

    asyncio.run(scene())
