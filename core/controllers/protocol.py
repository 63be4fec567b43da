"""What a controller is: `propose(scene) -> Proposals`. Rule: the same scene always gives the same proposals.

A controller sees quotes, its own executors and what it remembers; it returns configurations to create and ids to stop. It
sends no order and starts nothing: `decide` below holds its proposals against its limits, and the orchestrator carries out
what is left. So a new controller is one file: a model with its fields and a `propose`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from core.config import Positive, Seconds, Strict
from core.executors.life import CloseType, Status
from core.facts import RateSeen
from core.market import Market, Quote

# Ends after which a controller rests for its cooldown.
BAD_ENDS = frozenset({CloseType.STOP_LOSS, CloseType.FAILED, CloseType.INSUFFICIENT_BALANCE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mine:
    """One executor of a controller: where it stands, since when, and what it won in quote (held positions included).

    `holds`: it has open lots; one that is over keeps them as a held position.
    """

    id: str
    level_id: str
    status: Status
    close_type: CloseType | None
    created_at: datetime | None
    closed_at: datetime | None
    net_pnl_quote: Decimal
    is_trading: bool
    holds: bool = False

    @property
    def over(self) -> bool:
        """Whether it is over; one that is shutting down is not, so nothing takes its place too early."""
        return self.status is Status.TERMINATED


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All that a controller may look at. `memory` is what it returned last time, JSON-ready.

    `quote` is its own market's, no older than `max_price_age_s`; `quotes` are the newest of every market that is traded, of
    any age, and `rates` the newest funding rates of those that it asked for.
    """

    now: datetime
    quote: Quote
    mine: tuple[Mine, ...] = ()
    memory: Mapping[str, Any] = field(default_factory=dict[str, Any])
    quotes: Mapping[Market, Quote] = field(default_factory=dict[Market, Quote])
    rates: Mapping[Market, RateSeen] = field(default_factory=dict[Market, RateSeen])
    max_price_age_s: float = 15.0


@dataclass(frozen=True, slots=True)
class Create:
    """Create an executor: a configuration without id, venue, symbol and controller, which are filled in."""

    level_id: str
    config: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop an executor. With `close_hold` what one that is over still holds is closed too."""

    executor_id: str
    keep_position: bool = False
    reason: str = ""
    close_hold: bool = False


@dataclass(frozen=True, slots=True)
class Proposals:
    """What a controller wants now, and what it wants to remember."""

    actions: tuple[Create | Stop, ...] = ()
    memory: Mapping[str, Any] = field(default_factory=dict[str, Any])


class ControllerConfig(Strict):
    """What every controller has: its market, its money, and limits that hold whatever it proposes.

    `cooldown_time` (s) passes after an executor ended badly before another is created. `max_drawdown_quote`: fallen so far
    below its best profit, held positions included, it creates nothing any more and closes all it has, these too; latched.
    `manual_kill_switch: true` does the same at once.
    """

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,3}$")]
    venue: str
    symbol: str
    total_amount_quote: Positive
    max_executors: Annotated[int, Field(ge=1, le=100)] = 20
    cooldown_time: Seconds = 60
    max_drawdown_quote: Positive | None = None
    manual_kill_switch: bool = False

    def wants_rates(self) -> tuple[Market, ...]:
        """Markets whose funding rates it wants to see in `Scene.rates`, of those that are traded; none unless it says so."""
        return ()

    def propose(self, scene: Scene) -> Proposals:  # noqa: ARG002  what every controller answers in its own way
        """Return what is wanted now: nothing, unless a controller says so. Pure."""
        return Proposals()


def decide(controller: ControllerConfig, scene: Scene) -> Proposals:
    """Hold a controller's proposals against its limits: kill switch, drawdown, cooldown, one executor per level, cap.

    The memory under "peak" and "killed" is this function's own; "won" is the profit of executors that were stored.
    """
    profit = sum((one.net_pnl_quote for one in scene.mine), Decimal(str(scene.memory.get("won", "0"))))
    peak = max(Decimal(str(scene.memory.get("peak", "0"))), profit)
    most = controller.max_drawdown_quote
    killed = str(scene.memory.get("killed", ""))
    if not killed and most is not None and peak - profit > most:
        killed = f"drawdown of {peak - profit} from a profit of {peak}; max_drawdown_quote {most}"
    latch = {"peak": str(peak), "killed": killed}
    reason = "manual_kill_switch" if controller.manual_kill_switch else killed
    alive = [one for one in scene.mine if not one.over]
    if reason:
        stops = [
            Stop(one.id, reason=reason, close_hold=one.over)
            for one in scene.mine
            if one.status in {Status.NOT_STARTED, Status.RUNNING} or (one.over and one.holds)
        ]
        kept = {name: value for name, value in scene.memory.items() if name not in latch}
        return Proposals(tuple(stops), kept | latch)
    told = controller.propose(scene)
    actions: list[Create | Stop] = [one for one in told.actions if isinstance(one, Stop)]
    taken = {one.level_id for one in alive}
    room = controller.max_executors - len(alive)
    if not _resting(controller, scene):
        for one in told.actions:
            if isinstance(one, Create) and one.level_id not in taken and room > 0:
                actions.append(one)
                taken.add(one.level_id)
                room -= 1
    return Proposals(tuple(actions), {**told.memory, **latch})


def _resting(controller: ControllerConfig, scene: Scene) -> bool:
    bad = [one.closed_at for one in scene.mine if one.close_type in BAD_ENDS and one.closed_at is not None]
    return bool(bad) and (scene.now - max(bad)).total_seconds() < controller.cooldown_time
