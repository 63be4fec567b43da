"""Configuration of the `watch` kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

from pydantic import Field, model_validator

from core.config import BotBase, ConnectorPair, led_by
from core.machine import Prepared
from core.market import Instrument, Market
from core.values import ONE


class WatchConfig(BotBase):
    """Opens markets for controllers: prices of `legs` are read, and executors may be created there. It never trades."""

    kind: Literal["watch"] = "watch"
    legs: Annotated[tuple[ConnectorPair, ...], Field(min_length=1, max_length=200)]

    @model_validator(mode="before")
    @classmethod
    def _of_its_first(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        said = cast("dict[str, Any]", given)
        legs = said.get("legs")
        return led_by(said, legs[0]) if isinstance(legs, list | tuple) and legs else said

    def markets(self) -> tuple[Market, ...]:
        """Every market that it opens, each once."""
        return tuple(dict.fromkeys(leg.market for leg in self.legs))


@dataclass(frozen=True, slots=True)
class WatchPlan:
    """A configuration made ready: there is nothing to prepare."""

    config: WatchConfig


def prepare(config: WatchConfig, instruments: Mapping[Market, Instrument]) -> Prepared:  # noqa: ARG001  the kind's port
    """Make it ready. It has one quote of capital, for there is no bot without any, and never uses it."""
    return Prepared(plan=WatchPlan(config), capital_quote=ONE, places=0)
