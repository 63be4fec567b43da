"""What a grid's configuration may not say, each with its key and, where a number could work, one that does."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from core.config import StopAt
from core.values import ZERO

if TYPE_CHECKING:
    from core.machines.grid.config import GridConfig


def objection_to(config: "GridConfig") -> str | None:
    """Return the first objection, `key: reason`, or None."""
    for found in (_to_size, _to_owned, _to_barriers, _to_limit, _to_movement, _to_neutral, _to_infinite):
        for objection in found(config):
            return objection
    return None


def _to_size(config: "GridConfig") -> Iterator[str]:
    if config.start_price >= config.end_price:
        yield f"start_price: {config.start_price} must be below end_price {config.end_price}"
    if (config.total_amount_quote is None) == (config.amount_base is None):
        yield "total_amount_quote: give either total_amount_quote (for the whole grid) or amount_base (per level)"
    if config.levels is not None and config.min_spread_between_orders is not None:
        yield "levels: give either levels or min_spread_between_orders, not both"
    if config.levels is None and config.min_spread_between_orders is None:
        yield "levels: one of levels and min_spread_between_orders is needed"
    if config.min_spread_between_orders == ZERO:
        yield "min_spread_between_orders: a fraction above 0 is needed, for example 0.01 for 1 %"
    if isinstance(config.activation_bounds, tuple) and config.activation_bounds[1] == ZERO:
        yield "activation_bounds: the second fraction bounds exits and must be above 0; one fraction bounds entries alone"


def _to_owned(config: "GridConfig") -> Iterator[str]:
    owned = config.initial_inventory == "owned"
    if owned and config.owned_base is None:
        yield "owned_base: with initial_inventory: owned, how much of the coin the grid takes over"
    if owned and config.side != "BUY":
        yield "initial_inventory: only a BUY grid can start with coins that it sells; resting works"
    if not owned and (config.owned_base is not None or config.owned_price is not None):
        yield "owned_base: only with initial_inventory: owned"


def _to_barriers(config: "GridConfig") -> Iterator[str]:
    barriers = config.triple_barrier
    if config.exit == "take_profit" and barriers.take_profit is None:
        yield "triple_barrier.take_profit: needed with exit: take_profit, for example 0.01 for 1 %"
    if config.exit == "next_level" and config.exit_from == "fill":
        yield "exit_from: with exit: next_level a level exits at the next one; fill needs exit: take_profit"
    wide = barriers.too_wide()
    if wide is not None:
        yield f"triple_barrier.{wide}: above 0.2 (20 %) needs allow_wide: true"
    for name in ("open_order_type", "take_profit_order_type"):
        if getattr(barriers, name) == "MARKET":
            yield (
                f"triple_barrier.{name}: a level trades at its own price or better; LIMIT takes what the book has there, "
                "LIMIT_MAKER only rests"
            )
    for name in ("stop_loss_order_type", "time_limit_order_type"):
        if getattr(barriers, name) == "LIMIT_MAKER":
            yield f"triple_barrier.{name}: what protects must not be refused for crossing; MARKET or LIMIT works"


def _to_limit(config: "GridConfig") -> Iterator[str]:
    if config.limit_price is None:
        return
    if config.side == "BUY" and config.limit_price >= config.start_price:
        yield f"limit_price: a BUY grid stops below its start_price {config.start_price}"
    if config.side == "SELL" and config.limit_price <= config.end_price:
        yield f"limit_price: a SELL grid stops above its end_price {config.end_price}"
    if config.side == "NEUTRAL":
        yield "limit_price: a NEUTRAL grid can lose on both sides; use bot_stop_loss or on_range_exit: close"


def _to_movement(config: "GridConfig") -> Iterator[str]:
    if config.trailing_up is not None and config.trailing_up <= config.end_price:
        yield f"trailing_up: the highest price that the range may follow to; above end_price {config.end_price}"
    if config.trailing_down is not None and config.trailing_down >= config.start_price:
        yield f"trailing_down: the lowest price that the range may follow to; below start_price {config.start_price}"
    stop, low, high = config.limit_price, config.trailing_down, config.trailing_up
    if config.side == "BUY" and stop is not None and low is not None and low <= stop:
        yield f"trailing_down: the grid stops at limit_price {stop} before; a limit above it works"
    if config.side == "SELL" and stop is not None and high is not None and high >= stop:
        yield f"trailing_up: the grid stops at limit_price {stop} before; a limit below it works"
    if config.max_resets and config.on_range_exit != "reset":
        yield "max_resets: only with on_range_exit: reset"


def _to_neutral(config: "GridConfig") -> Iterator[str]:
    if config.side != "NEUTRAL":
        return
    if config.exit != "next_level":
        yield "exit: a NEUTRAL grid's levels exit at the next one: next_level"
    if config.initial_inventory == "market":
        yield "initial_inventory: a NEUTRAL grid starts with nothing: resting or none"
    if config.moves:
        key = "on_range_exit" if config.on_range_exit == "reset" else "trailing_up"
        yield f"{key}: a NEUTRAL grid stays where it is; close or hold at its ends, or two grids, work"


def _to_infinite(config: "GridConfig") -> Iterator[str]:
    if not config.infinite:
        return
    if config.end_price != config.start_price * 100:
        yield "end_price: an infinite grid has none; leave it out"
    if config.min_spread_between_orders is None:
        yield "min_spread_between_orders: an infinite grid needs its step, for example 0.01 for 1 %, in place of levels"
    if config.total_amount_quote is None:
        yield "total_amount_quote: an infinite grid needs its whole money; it sizes its levels itself"
    for key, works in (
        ("side", "BUY"),
        ("exit", "next_level"),
        ("spacing", "geometric"),
        ("initial_inventory", "market"),
    ):
        if key in config.model_fields_set and getattr(config, key) != works:
            yield f"{key}: an infinite grid has {works}"
    for key in ("trailing_up", "trailing_down", "reinvest", "activation_bounds", "coerce_tp_to_step"):
        if getattr(config, key):
            yield f"{key}: an infinite grid follows the price by itself and keeps the worth of what it holds; leave it out"
    if isinstance(config.venue_stop, StopAt):
        yield "venue_stop: a fixed price stays behind while the grid follows the market; a fraction works"
    if config.on_range_exit == "reset":
        yield "on_range_exit: an infinite grid can only leave its range below; close or hold works"
