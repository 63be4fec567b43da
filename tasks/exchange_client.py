"""Makes the ccxt client as it must be for money: one sending, numbers as text, our wire, our budget, our addresses.

`api_url` replaces scheme and host of every base address and keeps the path (`/api/v3`, `/fapi/v1`, ...), so that a
gateway, a proxy or an emulator on this machine can stand in for the exchange.
"""

import decimal
import importlib
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import ccxt
import ccxt.async_support

from tasks.credentials import Credentials, quiet_logger, scrub
from tasks.errors import nearest
from tasks.exchange_clock import Offset, measure
from tasks.exchange_errors import Row, row_of
from tasks.exchange_limiter import BUDGETS, MINUTE_MS, Limiter, Throttled
from tasks.exchange_wire import CURRENT, BadAnswer, Call, SentTwice, Wire, trust
from tasks.venue import ConfigRefused

RECV_WINDOW_MS = 5000
TIMEOUT_MS = 10_000
# Binance's limits per address (exchangeInfo, rateLimits), against which its own count is read.
WEIGHT_PER_MINUTE = {"spot": 6000, "swap": 2400}
BINANCE = frozenset({"binance", "binanceusdm"})

# Everything that a call through ccxt has been seen to raise: its own errors, those of the connection, and the errors of
# its parsers over a foreign body. Anything else is a bug of ours and must not be taken for the weather.
FAILURES = (
    ccxt.BaseError, aiohttp.ClientError, BadAnswer, SentTwice, Throttled, OSError, TimeoutError, ArithmeticError,
    LookupError, AttributeError, TypeError, ValueError, AssertionError,
)  # fmt: skip
_ORIGIN = re.compile(r"^https?://[^/]+")
_SOCKETS = re.compile(r"^wss?://[^/]+")


class CallFailed(Exception):
    """A call that brought no usable answer: the row of the decision table that it fits, and a text without secrets."""

    def __init__(self, row: Row, call: Call, reason: str) -> None:
        """Keep row and call for the one who decides."""
        super().__init__(reason)
        self.row = row
        self.call = call
        self.reason = reason


class Client:
    """One ccxt exchange object behind our wire. Not started before `open`; `close` may be called at any time."""

    def __init__(
        self,
        exchange: str,
        market: str,
        *,
        mode: str,
        api_url: str | None,
        credentials: Credentials | None,
        testnet: bool = False,
        streaming: bool = False,
    ) -> None:
        """Check the words; raises `ConfigRefused` for an exchange ccxt does not have or an unusable address.

        With `streaming` it is ccxt's class with the `watch_*` methods, for `tasks.exchange_line`.
        """
        self.knows_marks = True
        if exchange not in ccxt.async_support.exchanges:
            meant = nearest(exchange, ccxt.async_support.exchanges)
            hint = f"; did you mean {meant}?" if meant else ""
            raise ConfigRefused("exchange", f"ccxt {ccxt.__version__} has no exchange {exchange!r}{hint}")
        if api_url is not None and urlsplit(api_url).scheme not in {"http", "https"}:
            raise ConfigRefused(
                "api_url", f"{scrub(api_url)!r} is no address; write http://127.0.0.1:8000 or https://host/path"
            )
        self.exchange = exchange
        self.market = market
        self.binance = exchange in BINANCE
        self.credentials = credentials
        self.offset: Offset | None = None
        self.wire = Wire(self._listen)
        self.api: Any = _class_of(exchange, streaming=streaming)(self._options(market, credentials))
        # Switched to verbose it would print headers and signed bodies to stdout.
        self.api.log = _say_nothing
        # Given at the first question: an object that was never used shall not ask to be closed.
        self.api.session = None
        self._set_addresses(mode, api_url, testnet=testnet)
        self.budget: Limiter = BUDGETS.weight(self.base)
        self._weight_limit = WEIGHT_PER_MINUTE[market]
        self.api.throttler = _Gate(self)

    def _options(self, market: str, credentials: Credentials | None) -> dict[str, Any]:
        options: dict[str, Any] = {
            "recvWindow": RECV_WINDOW_MS,
            "fetchCurrencies": False,
            "fetchMargins": False,
            "defaultType": market,
            "adjustForTimeDifference": False,
            "warnOnFetchOpenOrdersWithoutSymbol": False,
            # Positions are read; ccxt would ask for them once more beside every stream of orders.
            "watchPositions": {"fetchPositionsSnapshot": False},
        }
        if self.binance:
            options["fetchMarkets"] = {"types": ["spot" if market == "spot" else "linear"]}
        config: dict[str, Any] = {
            "options": options, "enableRateLimit": True, "maxRetriesOnFailure": 0, "timeout": TIMEOUT_MS,
            "verbose": False,
            # Text instead of float: what the exchange wrote is what `Decimal` reads.
            "number": str, "session": self.wire, "logger": quiet_logger(),
        }  # fmt: skip
        if self.binance and market == "swap":
            # 2,400 of weight per minute, and ccxt counts one per cost here: 25 ms each.
            config["rateLimit"] = 25
        if credentials is not None:
            config["apiKey"] = credentials.api_key.get_secret_value()
            config["secret"] = credentials.secret.get_secret_value()
            if credentials.password is not None:
                config["password"] = credentials.password.get_secret_value()
        return config

    def _set_addresses(self, mode: str, api_url: str | None, *, testnet: bool) -> None:
        if testnet:
            if "test" not in self.api.urls:
                raise ConfigRefused("testnet", f"{self.exchange} has no test network")
            self.api.set_sandbox_mode(True)
        elif mode == "demo":
            if "demo" not in self.api.urls:
                raise ConfigRefused(
                    "mode", f"{self.exchange} has no demo trading; paper mode needs no exchange account"
                )
            self.api.enable_demo_trading(True)
        if api_url is not None:
            self.api.urls["api"] = _moved(self.api.urls["api"], api_url.rstrip("/"))
        self.base = _first_origin(self.api.urls["api"], self.market)

    async def open(self) -> None:
        """Measure the clock and load the markets; raises `CallFailed`."""
        await self.sync_clock()
        await self.ask(Call(patience_s=20.0), self.api.load_markets, True)

    async def sync_clock(self) -> Offset:
        """Measure the exchange's clock and sign with it from now on; raises `CallFailed`."""

        async def once() -> int:
            told = await self.ask(Call(), self.api.fetch_time)
            return int(told)

        if not self.api.has["fetchTime"]:
            self.offset = Offset(0, 0, float("inf"))
            return self.offset
        self.offset = await measure(once)
        # ccxt subtracts it from its own clock wherever it signs.
        self.api.options["timeDifference"] = -self.offset.offset_ms
        return self.offset

    async def ask(self, call: Call, method: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        """Call a method of ccxt once; raises `CallFailed` with the row of the decision table that the failure fits."""
        token = CURRENT.set(call)
        self.api.session, self.api.ssl_context = self.wire, trust()
        try:
            # ccxt changes the rounding of the decimal context it finds; ours stays as it is.
            with decimal.localcontext():
                return await method(*arguments)
        except FAILURES as error:
            heard = call.heard()
            row = row_of(heard, error)
            if heard.retry_after_s is not None:
                self.budget.hold(heard.retry_after_s, f"{self.exchange} answered {heard.status}")
            reason = scrub(f"{row.name}: {_words(heard.message, error)}", self.credentials)
            raise CallFailed(row, call, reason[:300]) from None
        finally:
            CURRENT.reset(token)

    async def close(self) -> None:
        """Close ccxt and the connections; may be called twice."""
        self.api.timeout_on_exit = 0
        try:
            await self.api.close()
        finally:
            self.api.session = None
            await self.wire.close()

    def _listen(self, call: Call) -> None:
        used = call.headers.get("X-MBX-USED-WEIGHT-1M")
        if used is not None and used.isdecimal():
            self.budget.told(int(used) / self._weight_limit)


def _say_nothing(*_: object) -> None:
    return


class _Gate:
    # Stands where ccxt keeps its throttler: every request of ccxt waits here for the budget of its exchange.
    def __init__(self, client: Client) -> None:
        self.client = client
        self.loop: Any = None

    async def __call__(self, cost: float | None = None) -> None:
        call = CURRENT.get() or Call()
        cost = call.units if call.units is not None else cost
        units = float(1 if cost is None else cost) * float(self.client.api.rateLimit)
        await self.client.budget.take(min(units, MINUTE_MS / 2), reducing=call.reducing, patience_s=call.patience_s)


def _class_of(exchange: str, *, streaming: bool) -> Any:
    # The package of the streams is read by those who want one: it takes a while.
    room = importlib.import_module("ccxt.pro") if streaming else ccxt.async_support
    if not hasattr(room, exchange):
        raise ConfigRefused("streams", f"ccxt {ccxt.__version__} has no web sockets of {exchange}; leave streams out")
    return getattr(room, exchange)


def _moved(urls: Any, base: str) -> Any:
    if isinstance(urls, dict):
        return {name: _moved(url, base) for name, url in urls.items()}
    if not isinstance(urls, str):
        return urls
    # http becomes ws and https wss: the sockets move with everything else, or orders here would be seen from there.
    return _SOCKETS.sub(f"ws{base.removeprefix('http')}", _ORIGIN.sub(base, urls))


def _first_origin(urls: Any, market: str) -> str:
    # Limits are counted per host; Binance has one for spot and one for futures.
    if isinstance(urls, dict):
        wanted = ("fapiPublic",) if market == "swap" else ("public",)
        found = next((urls[name] for name in wanted if name in urls), next(iter(urls.values()), ""))
        return _first_origin(found, market)
    found = _ORIGIN.match(str(urls))
    return f"{found[0] if found else urls}/{market}"


def _words(message: str, error: BaseException) -> str:
    if message:
        return message
    return f"{type(error).__name__} {error}".strip()
