"""A stage of a tick as a Prefect task, so that the UI shows what a busy tick did and how long each part took."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import cache
from typing import Any

from prefect import State, Task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed

from tasks.ticking import TickSummary

# The work travels beside the task, not as its parameters: Prefect walks through parameters and results of every type
# it is given and would record them, and connections or order books have no business there.
_work: ContextVar[Callable[[], Awaitable[Any]]] = ContextVar("gridkeeper-stage")


async def as_task(name: str, fn: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    """Await `fn(*args)` as a Prefect task called `name` and return what it gives; its errors pass unchanged.

    Never retried, never cached, never persisted: it may place orders.
    """
    given: list[Any] = []

    async def work() -> None:
        given.append(await fn(*args))

    token = _work.set(work)
    try:
        await _task(name)()
    finally:
        _work.reset(token)
    return given[0]


@cache
def _task(name: str) -> Task[[], Any]:
    return Task(fn=_stage, name=name, cache_policy=NO_CACHE, persist_result=False, retries=0, log_prints=False)


async def _stage() -> None:
    await _work.get()()


def outcome(summary: TickSummary) -> State:
    """The final state of a tick's run: COMPLETED, with what the tick did as the message the UI shows."""
    counted = {
        "placed": summary.orders_placed,
        "cancelled": summary.orders_cancelled,
        "fills": summary.fills,
        "incidents": summary.incidents,
    }
    did = ", ".join(f"{count} {what}" for what, count in counted.items() if count)
    return Completed(message=f"Tick {summary.tick_id}: {did or 'quiet'} ({summary.duration_s * 1_000:.0f} ms)")
