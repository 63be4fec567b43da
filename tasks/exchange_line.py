"""One kind of news of an exchange, followed over a web socket of its own: dialled, watched, dialled again.

    dial ──> watch ──> watch ──> … ──> failure, silence that a reading disproves, a key that ran out
      ^                                   │
      └──────── 1, 2, 4, … 60 s ──────────┘

Each line has a ccxt object of its own, so that what goes wrong on one closes no socket of another. A dial takes its place
in the same budget as every request, and waits where the exchange said Retry-After.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import ccxt

from tasks.exchange_client import FAILURES, CallFailed, Client
from tasks.exchange_clock import from_ms
from tasks.exchange_limiter import Throttled
from tasks.exchange_wire import Call

PAUSE_FIRST_S, PAUSE_MOST_S = 1.0, 60.0
# A line that held for this long begins with the shortest pause again.
STEADY_S = 60.0
# A watch is begun anew this often: ccxt renews a listen key (it lives 60 minutes) when it is asked, not by itself.
WATCH_S = 600.0
# What a dial takes of the budget: Binance counts 2 for a connection and 2 for a subscription to an account.
DIAL_UNITS = 5.0
DIAL_PATIENCE_S = 30.0
# Binance says so, ccxt passes over it, and nothing more would ever come.
ENDED = frozenset({"listenKeyExpired", "eventStreamTerminated"})


class Line:
    """Follows one `watch_*` method for as long as its task lives. `hear` is called after every message."""

    def __init__(
        self,
        name: str,
        client: Client,
        watch: Callable[[Any], Awaitable[Any]],
        hear: Callable[["Line"], None],
        before_dial: Callable[["Line"], None],
    ) -> None:
        """Connect nothing yet; `client` belongs to the line from now on. `before_dial` is called before every dial."""
        self.name = name
        self.client = client
        self.strange = 0
        self.dials = 0
        self.heard_s: float | None = None
        # Since when it has been down, and why; None while it is up, or was never tried.
        self.down_s: float | None = None
        self.reason = ""
        self._watch = watch
        self._hear, self._before_dial = hear, before_dial
        self._handle: Any = client.api.handle_message
        client.api.handle_message = self._handle_message
        client.wire.strange = self.note_strange

    @property
    def connected(self) -> bool:
        """Whether its socket is open."""
        return self.up_since is not None

    @property
    def up_since(self) -> datetime | None:
        """When its open socket was opened, naive UTC of this machine."""
        clients = (self.client.api.clients or {}).values()
        opened = [int(one.connectionEstablished) for one in clients if one.isConnected and not one.closed()]
        return from_ms(max(opened)) if opened else None

    async def follow(self) -> None:
        """Watch until cancelled; every failure is followed by a pause and a new dial."""
        pause_s = PAUSE_FIRST_S
        while True:
            began = time.monotonic()
            try:
                await self._once()
            except CallFailed as fault:
                self._fail(fault.reason)
            except Throttled as wait:
                self._fail(str(wait))
            except asyncio.CancelledError:
                # ccxt cancels what waits for a socket that it closes; only our own end ends the line.
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                self._fail("the socket was closed")
            await self._hang_up()
            if time.monotonic() - began > STEADY_S:
                pause_s = PAUSE_FIRST_S
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_MOST_S)

    def restart(self, reason: str) -> None:
        """Give the connection up; `follow` dials again."""
        for one in list((self.client.api.clients or {}).values()):
            one.reject(ccxt.NetworkError(reason))

    async def close(self) -> None:
        """Close the socket and everything else of the ccxt object; may be called twice."""
        self._forget_keys()
        await self.client.close()

    async def _once(self) -> None:
        api = self.client.api
        await self.client.budget.take(DIAL_UNITS * float(api.rateLimit), reducing=False, patience_s=DIAL_PATIENCE_S)
        self._before_dial(self)
        self.dials, self.heard_s = self.dials + 1, None
        while True:
            try:
                async with asyncio.timeout(WATCH_S):
                    await self.client.ask(Call(), self._watch, api)
            except TimeoutError:
                continue

    def _handle_message(self, client: Any, message: Any) -> None:
        # Stands where ccxt keeps its own: an error in here would end its listening without a word.
        if isinstance(message, dict) and _event(message) in ENDED:
            client.reject(ccxt.NetworkError(f"the exchange ended the account's stream: {_event(message)}"))
            return
        try:
            self._handle(client, message)
        except FAILURES as error:
            self.note_strange(f"a message that ccxt cannot read: {type(error).__name__}")
            return
        self.heard_s, self.down_s = time.monotonic(), None
        self._hear(self)

    def note_strange(self, what: str) -> None:
        """Count a message that was not taken, and keep what it was."""
        self.strange += 1
        self.reason = what

    def _fail(self, reason: str) -> None:
        self.reason = reason
        if self.down_s is None:
            self.down_s = time.monotonic()

    async def _hang_up(self) -> None:
        self._forget_keys()
        api = self.client.api
        # What is left of the old connection must not be taken for news of the next.
        api.orders = None
        for kept in (api.bidsasks, api.tickers, api.trades):
            kept.clear()
        await api.close_ws_clients()

    def _forget_keys(self) -> None:
        # The next dial asks for a new one; and ccxt's own timer for renewing it finds nothing to renew.
        for held in self.client.api.options.values():
            if isinstance(held, dict) and "listenKey" in held:
                held |= {"listenKey": None, "lastAuthenticatedTime": 0}


def _event(message: dict[str, Any]) -> Any:
    inner = message.get("event")
    return (inner if isinstance(inner, dict) else message).get("e")
