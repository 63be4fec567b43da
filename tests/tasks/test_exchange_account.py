"""What is checked before an account trades: symbol, keys, their rights, position mode, addresses."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from pydantic import SecretStr

from core.facts import FundingPaid, Transfer
from tasks.credentials import Credentials
from tasks.exchange import CcxtVenue
from tasks.exchange_clock import utc_now
from tasks.venue import ConfigRefused, ReadFailed
from tests.wire.accounts import SPOT, SWAP, MarketKind, account, venue_at
from tests.wire.exchange_server import ExchangeServer

BOTH = pytest.mark.parametrize("kind", [SPOT, SWAP], ids=["spot", "swap"])


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    with ExchangeServer() as exchange:
        yield exchange


STARTS = [
    ({"symbol": "BTC/USDT"}, SWAP, "this market has BTC/USDT:USDT"),
    ({"symbol": "BTC/USDT:USDT"}, SPOT, "this market has BTC/USDT"),
    ({"symbol": "FOO/USDT"}, SPOT, "no spot market 'FOO/USDT'"),
]


@pytest.mark.parametrize(("wrong", "kind", "words"), STARTS)
def test_a_symbol_of_the_wrong_market_is_named_before_anything_is_placed(
    server: ExchangeServer, wrong: dict[str, str], kind: MarketKind, words: str
) -> None:
    """The message says which symbol this market has."""

    async def scene() -> None:
        venue = venue_at(server, kind)
        try:
            with pytest.raises(ConfigRefused, match=words) as caught:
                await venue.start([wrong["symbol"]])
            assert caught.value.key == "symbol"
        finally:
            await venue.close()

    asyncio.run(scene())


def start_refused(server: ExchangeServer, kind: MarketKind, **how: object) -> ConfigRefused:
    async def scene() -> ConfigRefused:
        venue = venue_at(server, kind, **how)
        try:
            with pytest.raises(ConfigRefused) as caught:
                await venue.start([kind.symbol])
            return caught.value
        finally:
            await venue.close()

    return asyncio.run(scene())


@BOTH
def test_wrong_keys_are_refused_at_the_start(server: ExchangeServer, kind: MarketKind) -> None:
    """A key or a secret that the exchange does not know ends the start, by the name of the setting."""
    for key, secret in (("wrong", "secret-of-the-test"), ("key-of-the-test", "wrong")):
        refused = start_refused(server, kind, credentials=Credentials(SecretStr(key), SecretStr(secret)))
        assert refused.key == "api_key"


def test_a_key_that_may_withdraw_is_refused_unless_allowed(server: ExchangeServer) -> None:
    """A stolen trading key must not be able to empty the account."""
    server.may_withdraw = True
    assert "withdraw" in start_refused(server, SPOT).reason

    async def scene() -> None:
        async with account(server, SPOT, allow_withdrawals=True):
            pass

    asyncio.run(scene())


def test_the_position_mode_must_be_the_configured_one(server: ExchangeServer) -> None:
    """Orders of one mode are refused by an account of the other: the start says which has to change."""
    refused = start_refused(server, SWAP, position_mode="hedge")
    assert (refused.key, "switch it to hedge" in refused.reason) == ("position_mode", True)
    server.swap.hedged = True
    refused = start_refused(server, SWAP)
    assert (refused.key, "switch it to one-way" in refused.reason) == ("position_mode", True)


def test_a_real_account_needs_keys_a_mode_and_a_known_exchange() -> None:
    """Nothing is sent for a configuration that cannot work."""
    with pytest.raises(ConfigRefused, match="needs api_key"):
        CcxtVenue("v", "binance", "spot", "live")
    keys = Credentials(SecretStr("a"), SecretStr("b"))
    for key, how in {
        "mode": ("binance", "spot", "lvie", None),
        "exchange": ("binanze", "spot", "live", None),
        "market": ("binance", "futures", "live", None),
        "api_url": ("binance", "spot", "live", "ftp://x"),
    }.items():
        with pytest.raises(ConfigRefused) as caught:
            CcxtVenue("v", *how, credentials=keys)
        assert caught.value.key == key


def test_demo_mode_takes_the_exchanges_demo_addresses() -> None:
    """Binance demo for spot and futures, the spot test network as an option, a clear word where there is neither."""
    keys = Credentials(SecretStr("a"), SecretStr("b"))
    bases = [
        CcxtVenue("v", "binance", "spot", "demo", None, keys).client.base,
        CcxtVenue("v", "binanceusdm", "swap", "demo", None, keys).client.base,
        CcxtVenue("v", "binance", "spot", "demo", None, keys, testnet=True).client.base,
    ]
    assert bases == [
        "https://demo-api.binance.com/spot", "https://demo-fapi.binance.com/swap", "https://testnet.binance.vision/spot",
    ]  # fmt: skip
    with pytest.raises(ConfigRefused, match="no demo trading"):
        CcxtVenue("v", "kraken", "spot", "demo", None, keys)


def test_leverage_and_margin_mode_are_set_where_nothing_is_open(server: ExchangeServer) -> None:
    """The account's twenty times, cross, become one time, isolated; a second start finds it so and sends nothing."""

    async def scene() -> None:
        for _ in range(2):
            async with account(server, SWAP, leverage={}):
                assert server.terms == {"leverage": 1, "marginType": "ISOLATED"}

    asyncio.run(scene())
    assert server.count("POST", "/leverage") == 0  # of the second start, whose requests alone are still in the log


def test_leverage_is_left_alone_beside_an_open_order(server: ExchangeServer) -> None:
    """A stranger's order would feel the change: the start is refused and nothing is set."""
    server.swap.place(
        {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "quantity": "0.01",
            "price": "50000",
            "newClientOrderId": "web_1",
        }
    )
    assert start_refused(server, SWAP, leverage={SWAP.symbol: 3}).key == "leverage"
    assert server.terms["leverage"] == 20


def test_funding_and_transfers_are_read_over_many_windows(server: ExchangeServer) -> None:
    """Sixty days of payments come once each, with the rate of their time; a payment without a known rate fails."""
    now_ms = server.clock_ms()
    for n in range(180):
        at_ms = now_ms - n * 8 * 3_600_000 - 5000
        server.rates.append({"symbol": "BTCUSDT", "fundingTime": at_ms - 3, "fundingRate": f"0.000{n:03}"})
        server.incomes.append(
            {
                "symbol": "BTCUSDT",
                "incomeType": "FUNDING_FEE",
                "income": "-0.01",
                "asset": "USDT",
                "time": at_ms,
                "tranId": n,
            }
        )
    server.incomes.append(
        {"symbol": "", "incomeType": "TRANSFER", "income": "50", "asset": "USDT", "time": now_ms - 9, "tranId": 1}
    )
    server.incomes.append(
        {"symbol": "BTCUSDT", "incomeType": "COMMISSION", "income": "-1", "asset": "USDT", "time": now_ms, "tranId": 1}
    )
    server.incomes.sort(key=lambda row: row["time"])

    async def scene() -> None:
        async with account(server, SWAP) as venue:
            found = await venue.income([SWAP.symbol], utc_now() - timedelta(days=60), utc_now())
            paid = [fact for fact in found if isinstance(fact, FundingPaid)]
            assert [fact.ref for fact in paid] == [f"FUNDING_FEE.{n}" for n in reversed(range(180))]
            assert {fact.amount for fact in paid} == {Decimal("-0.01")}
            assert paid[-1].rate == Decimal("0.000000")
            assert [fact.amount for fact in found if isinstance(fact, Transfer)] == [Decimal(50)]
            server.rates.clear()
            with pytest.raises(ReadFailed, match="no funding rate is known"):
                await venue.income([SWAP.symbol], utc_now() - timedelta(days=1), utc_now())

    asyncio.run(scene())


def test_no_request_of_a_venue_with_api_url_goes_elsewhere(server: ExchangeServer) -> None:
    """Every address of the exchange is replaced, with its path kept."""
    venue = venue_at(server, SPOT)
    urls = list(venue.client.api.urls["api"].values())
    assert all(url.startswith(server.url + "/") for url in urls)
    assert f"{server.url}/api/v3" in urls


def test_quotes_of_many_symbols_stay_far_below_the_request_limit(server: ExchangeServer) -> None:
    """Fourteen symbols every five seconds, orders and quotes, use less than 80 % of the weight per minute."""
    books = server.spot
    market = books.markets["BTCUSDT"]
    for n in range(13):
        base = f"A{chr(65 + n)}"
        books.markets[f"{base}USDT"] = type(market)(**(vars(market) | {"id": f"{base}USDT", "base": base}))
    symbols = [f"{m.base}/USDT" for m in books.markets.values()]

    async def scene() -> None:
        async with account(server, SPOT) as venue:
            server.weight = 0
            before = venue.client.budget.used
            quotes = await venue.quotes(symbols, utc_now())
            await venue.open_orders(symbols, utc_now())
            assert len(quotes) == 14
            assert (venue.client.budget.used - before) * 12 < 0.8
            assert server.weight * 12 < 0.8 * 6000

    asyncio.run(scene())
