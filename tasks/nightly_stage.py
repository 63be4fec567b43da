"""A night in Prefect: each step a task that the UI shows, a progress bar, and tables of what came of it."""

from collections.abc import Callable
from contextvars import ContextVar
from functools import cache
from typing import Any
from uuid import UUID

from prefect import Task
from prefect.artifacts import create_progress_artifact, create_table_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from tasks.backtest_flow import key_of, safe
from tasks.nightly import Night, end, run_step, steps
from tasks.nightly_steps import OVER, Did, Step

# Beside the task, not as its parameters: Prefect would record what a step holds.
_work: ContextVar[Callable[[], Did]] = ContextVar("gridkeeper-step")


class NightFailed(RuntimeError):
    """Steps failed or were stopped; running the night again repeats these alone."""


class StepFailed(RuntimeError):
    """A step that did not end well, for the state that the UI shows; the night goes on."""


def run_shown(night: Night) -> None:
    """Do every step that is not done as a task, with progress; raises `NightFailed` at the end, naming what went wrong."""
    log = get_run_logger()
    planned = steps(night)
    progress = create_progress_artifact(
        0.0, key=key_of("nightly", night.portfolio.id, "progress"), description="Nightly"
    )
    for count, step in enumerate(planned, start=1):
        try:
            did = _in_task(night, step)
        except StepFailed as failed:
            log.warning("%s: %s", step.name, failed)
        else:
            log.info("%s: %s, %s", step.name, did.status, did.says)
        _advance(progress, 100.0 * count / len(planned))
    show_tables(night)
    bad = end(night)
    if bad:
        raise NightFailed("; ".join(bad))


def show_tables(night: Night) -> None:
    """Write the steps, what the quality gate found, and what the twin says, as tables."""
    rows = [row | {"says": safe(row["says"])} for row in night.record.table()]
    create_table_artifact(rows, key=key_of("nightly", night.portfolio.id), description=f"Nightly {night.run_id}")
    found = night.record.steps.get("quality", {}).get("data", {}).get("table")
    if found:
        create_table_artifact(
            shown(found), key=key_of("quality", night.portfolio.id), description=f"Quality {night.run_id}"
        )
    twin = night.record.steps.get("twin", {}).get("data", {})
    if twin:
        rows = [{"figure": name.replace("_", " "), "value": str(value)} for name, value in twin.items()]
        create_table_artifact(shown(rows), key=key_of("twin", night.portfolio.id), description=f"Twin of {twin['day']}")


def shown(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Make rows fit for a table in the UI: no text in them acts as markup."""
    return [{name: safe(value) if isinstance(value, str) else value for name, value in row.items()} for row in rows]


def _advance(progress: UUID, percent: float) -> None:
    update_progress_artifact(progress, percent)


def _in_task(night: Night, step: Step) -> Did:
    given: list[Did] = []

    def work() -> Did:
        given.append(run_step(night, step))
        return given[0]

    token = _work.set(work)
    try:
        _task(step.name)()
    finally:
        _work.reset(token)
    return given[0]


@cache
def _task(name: str) -> Task[[], None]:
    return Task(fn=_step, name=name, cache_policy=NO_CACHE, persist_result=False, retries=0, log_prints=False)


def _step() -> None:
    did = _work.get()()
    if did.status not in OVER:
        raise StepFailed(f"{did.status}: {did.says}")
