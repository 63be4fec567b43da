"""One budget of request weight per exchange and process. Rule: nobody asks an exchange without passing here.

The budget counts as ccxt does, in milliseconds of an exchange's minute: a request of cost c takes c x rateLimit ms, and
a minute has 60,000 of them. Ordinary requests may use 80 %; the rest is kept for reducing orders and cancels (RULES 7).
What the exchange itself says of the weight used counts where it is more: other programs may share the address.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

MINUTE_MS = 60_000.0
ORDINARY_SHARE = 0.8


class Throttled(Exception):
    """The budget, or a Retry-After, does not allow this request within its patience; nothing was sent."""

    def __init__(self, wait_s: float, reason: str) -> None:
        """Keep how long it would have taken."""
        super().__init__(f"{reason}: free again in {wait_s:.1f} s")
        self.wait_s = wait_s


class Limiter:
    """A rolling window: at most `budget` units within `window_s`, and nothing at all while held."""

    def __init__(self, budget: float, window_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with an empty window; `clock` gives seconds that never jump."""
        self.budget = budget
        self.window_s = window_s
        self.held_until = 0.0
        self.held_for = ""
        self._clock = clock
        self._taken: deque[tuple[float, float]] = deque()
        self._sum = 0.0

    @property
    def used(self) -> float:
        """The share of the budget used within the window, 0 to 1 and above where the exchange says so."""
        self._forget()
        return self._sum / self.budget

    def wait_s(self, cost: float, *, reducing: bool) -> float:
        """Seconds until a request of this cost may go; 0 where it may go now."""
        now = self._clock()
        if self.held_until > now:
            return self.held_until - now
        self._forget()
        room = self.budget * (1.0 if reducing else ORDINARY_SHARE)
        excess = self._sum + min(cost, room) - room
        for at, units in self._taken:
            if excess <= 0:
                break
            excess -= units
            if excess <= 0:
                return max(at + self.window_s - now, 0.001)
        return 0.0

    async def take(self, cost: float, *, reducing: bool, patience_s: float) -> None:
        """Wait for the budget and take from it; raises `Throttled` where that would last longer than `patience_s`."""
        deadline = self._clock() + patience_s
        while (wait_s := self.wait_s(cost, reducing=reducing)) > 0:
            if self._clock() + wait_s > deadline:
                held = self.held_until > self._clock()
                raise Throttled(wait_s, self.held_for if held else "the request budget is used up")
            await asyncio.sleep(wait_s)
        self._note(cost)

    def hold(self, seconds: float, reason: str) -> None:
        """Let nothing pass for this long: the exchange said Retry-After."""
        until = self._clock() + seconds
        if until > self.held_until:
            self.held_until = until
            self.held_for = reason

    def told(self, used: float) -> None:
        """Take the exchange's own figure (share of its budget used this minute) where it is above ours."""
        missing = used * self.budget - self.used * self.budget
        if missing > 0:
            self._note(missing)

    def _note(self, units: float) -> None:
        self._taken.append((self._clock(), units))
        self._sum += units

    def _forget(self) -> None:
        horizon = self._clock() - self.window_s
        while self._taken and self._taken[0][0] <= horizon:
            self._sum -= self._taken.popleft()[1]
        if not self._taken:
            self._sum = 0.0


class Budgets:
    """The limiters of this process, one per base address and purpose, shared by all venues there."""

    def __init__(self) -> None:
        """Start with none."""
        self._limiters: dict[tuple[str, str], Limiter] = {}

    def weight(self, base: str) -> Limiter:
        """The request weight of an exchange, in ccxt's milliseconds per minute."""
        return self._limiters.setdefault((base, "weight"), Limiter(MINUTE_MS, 60.0))

    def orders(self, account: str, limit: int, window_s: float) -> Limiter:
        """The order count of an account, as the exchange limits it."""
        return self._limiters.setdefault((account, "orders"), Limiter(float(limit), window_s))


# One per process: limits are counted by the exchange per address, whatever number of venues a portfolio has.
BUDGETS = Budgets()
