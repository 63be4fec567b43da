"""The budget of requests: a share kept for exits, Retry-After honoured, the exchange's own count believed."""

import asyncio

import pytest

from tasks.exchange_limiter import BUDGETS, Limiter, Throttled


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def limiter(clock: Clock) -> Limiter:
    return Limiter(100.0, 60.0, clock)


def take(budget: Limiter, cost: float, *, reducing: bool = False) -> None:
    asyncio.run(budget.take(cost, reducing=reducing, patience_s=0))


def test_ordinary_requests_leave_a_fifth_for_reducing_ones() -> None:
    """At 80 % an ordinary request waits while a reducing one passes, and at 100 % that one waits too."""
    budget = limiter(Clock())
    take(budget, 80)
    with pytest.raises(Throttled):
        take(budget, 1)
    take(budget, 20, reducing=True)
    with pytest.raises(Throttled):
        take(budget, 1, reducing=True)


def test_the_window_rolls() -> None:
    """What was taken is free again one window later, not before."""
    clock = Clock()
    budget = limiter(clock)
    take(budget, 50)
    clock.now_s += 30
    take(budget, 30)
    assert budget.wait_s(40, reducing=False) == pytest.approx(30)
    clock.now_s += 30
    take(budget, 40)
    assert budget.used == pytest.approx(0.7)


def test_a_hold_stops_even_reducing_requests() -> None:
    """After Retry-After nothing leaves until it is over, and the wait is told."""
    clock = Clock()
    budget = limiter(clock)
    budget.hold(45, "binance answered 418")
    with pytest.raises(Throttled, match=r"binance answered 418: free again in 45\.0 s"):
        take(budget, 1, reducing=True)
    clock.now_s += 45
    take(budget, 1)


def test_the_exchanges_own_count_is_believed_where_it_is_higher() -> None:
    """Another program at the same address uses the same budget."""
    budget = limiter(Clock())
    take(budget, 10)
    budget.told(0.79)
    budget.told(0.2)
    assert budget.used == pytest.approx(0.79)
    with pytest.raises(Throttled):
        take(budget, 2)


def test_a_request_larger_than_the_budget_passes_an_empty_window() -> None:
    """A request that could never fit would wait for ever."""
    take(limiter(Clock()), 500)


def test_a_patient_request_waits_for_its_turn() -> None:
    """Within its patience a request waits instead of failing."""

    async def scene() -> float:
        budget = Limiter(10.0, 0.05)
        await budget.take(8, reducing=False, patience_s=0)
        await budget.take(8, reducing=False, patience_s=1)
        return budget.used

    assert asyncio.run(scene()) == pytest.approx(0.8)


def test_venues_at_one_address_share_one_budget() -> None:
    """The exchange counts by address; so does this process."""
    assert BUDGETS.weight("https://one.example/spot") is BUDGETS.weight("https://one.example/spot")
    assert BUDGETS.weight("https://one.example/spot") is not BUDGETS.weight("https://one.example/swap")
