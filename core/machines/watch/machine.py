"""A bot that looks and does nothing. Rule: every step answers the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from core.machine import MachineEvent, Outcome, PlaceView, View
from core.machines.watch.config import WatchPlan
from core.orders import Leg
from core.recovery import Past


@dataclass(frozen=True, slots=True)
class WatchState:
    """It remembers nothing."""


def begin(plan: WatchPlan, view: View) -> Outcome:
    """Begin to look."""
    return step(plan, WatchState(), (), view)


def step(plan: WatchPlan, state: WatchState, events: tuple[MachineEvent, ...], view: View) -> Outcome:  # noqa: ARG001
    """Do nothing, at any price and time."""
    return Outcome(state=state, wants={})


def wants(plan: WatchPlan, state: WatchState) -> dict[str, Leg]:  # noqa: ARG001
    """Want nothing."""
    return {}


def prices(plan: WatchPlan) -> tuple[tuple[Decimal, Decimal, Decimal], ...]:  # noqa: ARG001
    """List nothing."""
    return ()


def place(plan: WatchPlan, state: WatchState, index: int) -> PlaceView:  # noqa: ARG001
    """Raise `IndexError`: it has no places."""
    message = f"a watch has no place {index}"
    raise IndexError(message)


def head(state: WatchState) -> dict[str, Any]:  # noqa: ARG001
    """Return nothing."""
    return {}


def restore(plan: WatchPlan, head: Mapping[str, Any], places: Mapping[int, Mapping[str, str]]) -> WatchState:  # noqa: ARG001
    """Build the state back."""
    return WatchState()


def adopt(plan: WatchPlan, past: Past) -> WatchState:  # noqa: ARG001
    """Stand up: no order was ever its own."""
    return WatchState()
