"""Where the stop of a swap position rests, and which configurations stand too near to liquidation (RULES 5, 9e)."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import ROUND_FLOOR, Decimal

from core.config import BotBase, StopAt, TripleBarrier
from core.engine import BotSpec
from core.machines.grid.config import GridPlan
from core.market import Instrument
from core.values import ONE, ZERO, exact_product, plain, ratio
from tasks.errors import Refused

# Maintenance margin as a fraction of notional: the first brackets of Binance USD-M ask 0.4 to 1 %.
MAINTENANCE = Decimal("0.01")
# Loss may reach half of the way to liquidation before an exit acts.
SHARE = Decimal("0.5")
_PLACES = Decimal("0.0001")


def liquidation_distance(leverage: int) -> Decimal:
    """Return how far price may go against an isolated position before it is liquidated, as a fraction of its entry.

    Isolated margin is notional / leverage; liquidation comes when what is left of it is the maintenance margin.
    """
    return ratio(ONE, Decimal(leverage)) - MAINTENANCE


def asked_stop(bot: BotBase, instruments: Iterable[Instrument], *, key: str) -> tuple[Decimal | None, Decimal | None]:
    """Return the stop that a configuration names itself, as (fraction from the average entry, price)."""
    stop = bot.venue_stop
    if isinstance(stop, str):
        return None, None
    if not any(one.swap for one in instruments):
        raise Refused(
            "only a swap position has a stop at the exchange",
            key=f"{key}.venue_stop",
            accepted="auto, none, or a swap venue",
        )
    return (None, stop.price) if isinstance(stop, StopAt) else (stop, None)


def guarded(mode: str, bot: BotBase, spec: BotSpec, *, key: str) -> BotSpec:
    """Give a bot the stop that `auto` means and hold its exits against liquidation; raises `Refused` (RULES 9e)."""
    if not any(one.swap for one in spec.instruments):
        return spec
    distance = liquidation_distance(bot.leverage)
    for name, loss in _exits(bot, spec):
        if loss > distance * SHARE:
            most = plain((distance * SHARE).quantize(_PLACES, rounding=ROUND_FLOOR))
            raise Refused(
                f"an exit {plain(loss.quantize(_PLACES))} away at leverage {bot.leverage}: liquidation is "
                f"{plain(distance.quantize(_PLACES, rounding=ROUND_FLOOR))} away and must be twice as far",
                key=f"{key}.{name}", accepted=f"at most {most} from the entry, or less leverage",
            )  # fmt: skip
    if bot.venue_stop != "auto" or mode not in {"demo", "live"}:
        return spec
    return replace(spec, venue_stop=(distance * SHARE).quantize(_PLACES, rounding=ROUND_FLOOR))


def _exits(bot: BotBase, spec: BotSpec) -> list[tuple[str, Decimal]]:
    """List the bot's exits by loss as (field, fraction of its average entry)."""
    found: list[tuple[str, Decimal]] = []
    barriers = getattr(bot, "triple_barrier", None)
    if isinstance(barriers, TripleBarrier) and barriers.stop_loss is not None:
        found.append(("triple_barrier.stop_loss", barriers.stop_loss))
    if spec.venue_stop is not None:
        found.append(("venue_stop", spec.venue_stop))
    if spec.venue_stop_price is not None:
        far = [ratio(abs(spec.venue_stop_price - entry), entry) for entry in _average_entries(spec)]
        found += [("venue_stop", max(far))] if far else []
    return found


def _average_entries(spec: BotSpec) -> list[Decimal]:
    """List what a full position may have cost on average: one price, or the lowest and highest of a range that moves.

    Lines ascend, so no place of the range between its two ends is farther from a fixed price than one of those.
    """
    lines = [(entry, qty) for entry, _, qty in spec.machine.prices(spec.plan)]
    parts = [lines]
    if isinstance(spec.plan, GridPlan) and spec.plan.config.moves:
        width = spec.plan.window[1] - spec.plan.window[0]
        parts = [lines[:width], lines[-width:]]
    found: list[Decimal] = []
    for part in parts:
        filled = [(entry, qty) for entry, qty in part if entry > ZERO and qty > ZERO]
        held = sum((qty for _, qty in filled), ZERO)
        if held > ZERO:
            found.append(ratio(sum((exact_product(price, qty) for price, qty in filled), ZERO), held))
    return found
