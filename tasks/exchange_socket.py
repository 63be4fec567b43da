"""A web socket as ccxt is given it. Rule: what arrives is judged here first, as `tasks.exchange_wire` judges answers.

ccxt stops to listen, and says nothing, at the first text that is no JSON; its errors name the whole address, and with it
the listen key; and of a burst of prices it works through every one. Here a text must be JSON with something in it to be
handed on, an error names a status and no address, and of prices of one kind and symbol that wait the newest is kept.
"""

import asyncio
import itertools
import json
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import aiohttp

# Prices are handed on in batches, so that a market in a hurry costs no more of this process than a calm one.
BATCH_S = 0.05
# An exchange that has fallen silent answers no farewell either.
CLOSE_S = 1.0
# Events of Binance of which the newest says all; a best bid and ask of its spot market comes without a name.
PRICES = frozenset({"bookTicker", "trade", "aggTrade", "markPriceUpdate"})
_OVER = frozenset(
    {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.ERROR}
)


class DialFailed(Exception):
    """The exchange did not open the socket. `headers` are those of its answer: ccxt heeds Retry-After."""

    def __init__(self, reason: str, headers: Mapping[str, str]) -> None:
        """Keep the headers."""
        super().__init__(reason)
        self.headers = headers


class Socket:
    """One open connection, with the methods that ccxt calls. `strange` hears of texts that were not handed on."""

    # ccxt reaches through this into aiohttp's own buffer where there is one.
    _conn = None

    def __init__(self, raw: aiohttp.ClientWebSocketResponse, strange: Callable[[str], None]) -> None:
        """Begin to listen."""
        self._raw = raw
        self._strange = strange
        self._waiting: dict[Hashable, aiohttp.WSMessage] = {}
        self._batch: deque[aiohttp.WSMessage] = deque()
        self._arrived = asyncio.Event()
        self._urgent = False
        self._numbers = itertools.count()
        self._listening = asyncio.create_task(self._listen())

    @property
    def closed(self) -> bool:
        """Whether nothing can arrive any more."""
        return self._raw.closed

    async def receive(self) -> aiohttp.WSMessage:
        """Return the next message; prices wait `BATCH_S` for newer ones, everything else is handed on at once."""
        while not self._batch:
            self._arrived.clear()
            if not self._waiting:
                await self._arrived.wait()
            if not self._urgent:
                await asyncio.sleep(BATCH_S)
            self._batch.extend(self._waiting.values())
            self._waiting.clear()
            self._urgent = False
        return self._batch.popleft()

    async def send_str(self, text: str) -> None:
        """Send a text."""
        await self._raw.send_str(text)

    async def ping(self) -> None:
        """Ask for a sign of life."""
        await self._raw.ping()

    async def pong(self, said: bytes) -> None:
        """Answer a ping."""
        await self._raw.pong(said)

    async def close(self) -> None:
        """Close the connection; may be called twice. Who waits for a message gets that of the end."""
        self._listening.cancel()
        self._take(next(self._numbers), aiohttp.WSMessage(aiohttp.WSMsgType.CLOSED, None, None))
        await self._raw.close()

    async def _listen(self) -> None:
        while True:
            try:
                message = await self._raw.receive()
            except (aiohttp.ClientError, OSError, RuntimeError) as error:
                message = aiohttp.WSMessage(aiohttp.WSMsgType.ERROR, type(error).__name__, None)
            key = self._key(message)
            if key is not None:
                self._take(key, message)
            if message.type in _OVER:
                return

    def _take(self, key: Hashable, message: aiohttp.WSMessage) -> None:
        self._waiting.pop(key, None)
        self._waiting[key] = message
        self._urgent = self._urgent or isinstance(key, int)
        self._arrived.set()

    def _key(self, message: aiohttp.WSMessage) -> Hashable | None:
        # A pair for prices, a number of its own for everything else, None for what is not handed on.
        if message.type is not aiohttp.WSMsgType.TEXT:
            return next(self._numbers)
        try:
            told: Any = json.loads(message.data)
        except ValueError:
            self._strange(f"a message that is no JSON ({len(message.data)} characters)")
            return None
        if not isinstance(told, dict | list) or not told:
            self._strange(f"a message that says nothing: {message.data[:40]!r}")
            return None
        if isinstance(told, dict) and isinstance(told.get("s"), str):
            event = told.get("e", "bookTicker" if "b" in told and "a" in told else None)
            if event in PRICES:
                return (event, told["s"])
        return next(self._numbers)


class Dial:
    """What ccxt awaits to have a socket: `async with`, of which it calls the first half alone."""

    def __init__(
        self,
        session: Callable[[], aiohttp.ClientSession],
        url: str,
        how: Mapping[str, Any],
        strange: Callable[[str], None],
        answered: Callable[[int, Mapping[str, str]], None],
    ) -> None:
        """Connect nothing yet. `answered` hears the status and headers of a refusal."""
        self._session, self._url, self._how = session, url, how
        self._strange, self._answered = strange, answered

    async def __aenter__(self) -> Socket:
        """Connect; raises `DialFailed` where that does not come to a socket."""
        how = {**self._how, "timeout": aiohttp.ClientWSTimeout(ws_close=CLOSE_S)}
        try:
            raw = await self._session().ws_connect(self._url, **how)
        except aiohttp.WSServerHandshakeError as refused:
            self._answered(refused.status, refused.headers or {})
            raise DialFailed(f"the socket was answered with status {refused.status}", refused.headers or {}) from None
        except (aiohttp.ClientError, OSError) as fault:
            raise DialFailed(f"no socket: {type(fault).__name__}", {}) from None
        return Socket(raw, self._strange)

    async def __aexit__(self, *_: object) -> None:
        """Never called by ccxt: the socket is closed by its own `close`."""
