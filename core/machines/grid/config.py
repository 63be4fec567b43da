"""Configuration of the `grid` kind and the plan computed from it: which price lines, which sizes (RULES 13)."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from itertools import pairwise
from typing import Annotated, Any, Literal, Self, cast

from pydantic import Field, model_validator

from core.config import BotBase, Fraction, NotNegative, PlanRefused, Positive, Seconds, TripleBarrier, to_decimal
from core.machine import Prepared
from core.machines.grid.objections import objection_to
from core.market import Instrument, Market
from core.values import ONE, ZERO, Side, exact_product, nearest_to, plain, ratio

LINES_MAX = 2000
# So many times its lower bound is the last price that an infinite grid has a level for.
INFINITE_REACH = 100


class GridConfig(BotBase):
    """A grid between two prices. `levels` counts entry levels; each buys (or sells) once per cycle and exits one step away.

    NEUTRAL (swaps) enters long below the price at which it starts and short above it. `bot_*` are quote over the whole bot:
    realised + floating - fees + funding. `infinite` has a lower bound and a step (`min_spread_between_orders`) alone and
    holds base of a constant worth; its `end_price` is computed.
    """

    kind: Literal["grid"] = "grid"
    side: Literal["BUY", "SELL", "NEUTRAL"] = "BUY"
    start_price: Positive
    end_price: Positive
    infinite: bool = False
    limit_price: Positive | None = None
    trigger_price: Positive | None = None
    total_amount_quote: Positive | None = None
    amount_base: Positive | None = None
    spacing: Literal["arithmetic", "geometric"] = "arithmetic"
    levels: Annotated[int, Field(ge=1, le=2000)] | None = None
    min_spread_between_orders: Fraction | None = None
    exit: Literal["next_level", "take_profit"] = "next_level"
    exit_from: Literal["level", "fill"] = "level"
    initial_inventory: Literal["market", "resting", "none", "owned"] = "resting"
    owned_base: Positive | None = None
    owned_price: Positive | None = None
    min_order_amount_quote: NotNegative = Decimal(5)
    max_open_orders: Annotated[int, Field(ge=1)] | None = None
    max_orders_per_batch: Annotated[int, Field(ge=1)] | None = None
    order_frequency: Seconds = 0
    activation_bounds: Fraction | tuple[Fraction, Fraction] | None = None
    safe_extra_spread: Fraction = Decimal("0.0001")
    coerce_tp_to_step: bool = False
    deduct_base_fees: Literal[True] = True
    keep_position: bool = False
    trailing_up: Positive | None = None
    trailing_down: Positive | None = None
    on_range_exit: Literal["close", "hold", "reset"] | None = None
    max_resets: Annotated[int, Field(ge=0, le=100)] = 0
    reinvest: bool = False
    bot_take_profit: Positive | None = None
    bot_stop_loss: Positive | None = None
    triple_barrier: TripleBarrier = TripleBarrier()

    @model_validator(mode="before")
    @classmethod
    def _without_end(cls, given: Any) -> Any:
        # An infinite grid names no upper end; the levels are laid so far that it makes none in practice.
        if not isinstance(given, dict):
            return cast("object", given)
        said = dict(cast("dict[str, Any]", given))
        if said.get("infinite") is not True:
            return said
        start = to_decimal(said.get("start_price"))
        if said.get("end_price") is None and isinstance(start, Decimal):
            said["end_price"] = start * INFINITE_REACH
        return said

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        objection = objection_to(self)
        if objection is not None:
            raise ValueError(objection)
        return self

    def about_price(self) -> Decimal:
        """The middle of the range; for one without an upper end, half above the lower."""
        return self.start_price * 3 / 2 if self.infinite else (self.start_price + self.end_price) / 2

    def direction_at(self, market: tuple[str, str]) -> str:  # noqa: ARG002  it has one market
        """The side on which it holds a position; empty for a neutral grid, which takes either."""
        return "" if self.side == "NEUTRAL" else self.side

    @property
    def entry_side(self) -> Side:
        """The side of the entries; a neutral grid's plan shows its lines as purchases."""
        return Side.SELL if self.side == "SELL" else Side.BUY

    @property
    def entry_bound(self) -> Decimal | None:
        """How far from the price entries may rest, as a fraction of it."""
        return self.activation_bounds[0] if isinstance(self.activation_bounds, tuple) else self.activation_bounds

    @property
    def exit_bound(self) -> Decimal | None:
        """How far from the price exits may rest; None: anywhere."""
        return self.activation_bounds[1] if isinstance(self.activation_bounds, tuple) else None

    @property
    def moves(self) -> bool:
        """Whether the range may follow the price."""
        return self.trailing_up is not None or self.trailing_down is not None or self.on_range_exit == "reset"


@dataclass(frozen=True, slots=True)
class GridLine:
    """One level as planned: where it enters and exits, its base quantity, and which side it enters on."""

    entry_price: Decimal
    exit_price: Decimal
    qty: Decimal
    side: Side = Side.BUY

    @property
    def mirrored(self) -> "GridLine":
        """The same cell traded the other way round: entered where this one exits."""
        return GridLine(self.exit_price, self.entry_price, self.qty, self.side.opposite)


@dataclass(frozen=True, slots=True)
class GridPlan:
    """A grid made ready for its instrument: lines ascend by entry price.

    Lines of a grid whose range may move are laid as far as it may ever go, so that a place is one price for ever; `window`
    (first, one past the last) is where it starts, `funded` how many levels its money is for. An infinite grid's last line
    stands for its opening purchase.
    """

    config: GridConfig
    instrument: Instrument
    lines: tuple[GridLine, ...]
    window: tuple[int, int]
    funded: int

    @property
    def capital_quote(self) -> Decimal:
        """Quote needed when every funded level is filled at its entry price: what profit is measured against."""
        if self.config.infinite:
            return self.config.total_amount_quote or ZERO
        if self.funded == len(self.lines):
            return sum((exact_product(line.entry_price, line.qty) for line in self.lines), ZERO)
        worth = sorted((exact_product(line.entry_price, line.qty) for line in self.lines), reverse=True)
        return sum(worth[: self.funded], ZERO)

    @property
    def opening(self) -> int:
        """The place of an infinite grid's opening purchase; -1 for every other grid."""
        return len(self.lines) - 1 if self.config.infinite else -1

    @property
    def step_min(self) -> Decimal:
        """The smallest distance in price between an entry and its exit."""
        return min(abs(line.exit_price - line.entry_price) for line in self.lines)


def prepare(config: GridConfig, instruments: Mapping[Market, Instrument]) -> Prepared:
    """Make a grid ready for its instrument; raises `PlanRefused` as `make_plan` does."""
    plan = make_plan(config, instruments[config.venue, config.symbol])
    return Prepared(
        plan=plan, capital_quote=plan.capital_quote, places=len(plan.lines), safe_spread=config.safe_extra_spread,
        max_open_orders=config.max_open_orders, step_min=plan.step_min, long=config.side != "SELL",
        nets=config.side == "NEUTRAL",
    )  # fmt: skip


def make_plan(config: GridConfig, instrument: Instrument) -> GridPlan:
    """Compute price lines and sizes; raises `PlanRefused` where the exchange would refuse them, with what would work."""
    if config.side != "BUY" and not instrument.swap:
        raise PlanRefused("side", f"a {config.side} grid opens shorts and needs a swap venue; use BUY on spot")
    if config.infinite:
        return _infinite_plan(config, instrument)
    count = _count(config)
    below, above = _beyond(config, count)
    prices = _lines(config, instrument, count, below, above)
    entries, exits = _entries_and_exits(config, prices, instrument)
    # Only where following the price puts more money in are more levels funded; else what is left behind pays.
    extra = 0 if config.on_range_exit == "reset" else (above if config.side == "SELL" else below)
    extra = max(below, above) if config.side == "NEUTRAL" and config.on_range_exit != "reset" else extra
    funded = count + extra + (count * config.max_resets if config.on_range_exit == "reset" else 0)
    sizes = _sizes(config, entries, instrument, count + extra)
    side = config.entry_side
    lines = tuple(GridLine(a, b, q, side) for a, b, q in zip(entries, exits, sizes, strict=True))
    _check(config, lines, instrument, count + extra)
    return GridPlan(config, instrument, lines, (below, below + count), min(funded, len(lines)))


def _infinite_plan(config: GridConfig, instrument: Instrument) -> GridPlan:
    # Lines one step apart up to the reach, and one for the opening purchase. Sizes depend on the price at the start: those
    # of the lines are for a start at the lower bound, the largest there can be.
    step, worth = config.min_spread_between_orders or ZERO, config.total_amount_quote or ZERO
    count = int(ratio(Decimal(INFINITE_REACH).ln(), (ONE + step).ln()))
    if count + 1 > LINES_MAX:
        works = (Decimal(INFINITE_REACH) ** (ONE / (LINES_MAX - 1)) - ONE).quantize(Decimal("0.0001"), ROUND_CEILING)
        raise PlanRefused(
            "min_spread_between_orders", f"{step} lays {count} levels and {LINES_MAX - 1} are possible; {works} works"
        )
    prices = [nearest_to(config.start_price * (ONE + step) ** i, instrument.tick_size) for i in range(count + 2)]
    if prices[1] <= prices[0]:
        works = ratio(instrument.tick_size, config.start_price).quantize(Decimal("0.0001"), ROUND_CEILING)
        raise PlanRefused("min_spread_between_orders", f"{step} is less than one tick at start_price; {works} works")
    lines = tuple(
        GridLine(a, b, instrument.floor_qty(worth / a - worth / b), config.entry_side) for a, b in pairwise(prices)
    )
    least = max(instrument.min_notional, config.min_order_amount_quote, instrument.min_qty * prices[0])
    if worth * step / (ONE + step) < least:
        works = plain((least * (ONE + step) / step).quantize(ONE, ROUND_CEILING))
        raise PlanRefused(
            "total_amount_quote",
            f"a step of {step} of {worth} is below the minimum order of {least} {instrument.quote}; {works} is the least, "
            "and more the higher the price stands above start_price",
        )
    _refuse_fees(lines[0], instrument, "min_spread_between_orders")
    return GridPlan(config, instrument, lines, (0, count), count + 1)


def _count(config: GridConfig) -> int:
    if config.levels is not None:
        return config.levels
    spread = config.min_spread_between_orders or ZERO
    if config.spacing == "arithmetic":
        steps = ratio(config.end_price - config.start_price, config.start_price * spread)
    else:
        steps = ratio((config.end_price / config.start_price).ln(), (ONE + spread).ln())
    count = int(steps) + (1 if config.exit == "take_profit" else 0)
    if config.total_amount_quote is not None and config.min_order_amount_quote > 0:
        count = min(count, int(config.total_amount_quote / config.min_order_amount_quote))
    if count < 1:
        width = plain(ratio(config.end_price - config.start_price, config.start_price).quantize(Decimal("0.0001")))
        raise PlanRefused(
            "min_spread_between_orders", f"{spread} leaves no level in a range of width {width}; at most {width} fits"
        )
    return count


def _raw(config: GridConfig, index: int, steps: int) -> Decimal:
    # The price of line `index`, 0 being start_price and `steps` being end_price; it goes on beyond both.
    if config.spacing == "arithmetic":
        return config.start_price + (config.end_price - config.start_price) * index / steps
    return config.start_price * (config.end_price / config.start_price) ** (Decimal(index) / steps)


def _beyond(config: GridConfig, count: int) -> tuple[int, int]:
    """Return how many lines are laid below start_price and above end_price for a range that may move."""
    steps = count if config.exit == "next_level" else count - 1
    if not config.moves or steps == 0:
        return 0, 0
    low, high = config.trailing_down, config.trailing_up
    if config.on_range_exit == "reset":
        low = config.start_price / 4 if low is None else low
        high = config.end_price * 4 if high is None else high
    below = above = 0
    while low is not None and below <= LINES_MAX and _raw(config, -below - 1, steps) >= low:
        below += 1
    while high is not None and above <= LINES_MAX and _raw(config, steps + above + 1, steps) <= high:
        above += 1
    if below + count + above > LINES_MAX:
        key = "trailing_up" if above >= below else "trailing_down"
        raise PlanRefused(
            key, f"{below + count + above} levels lie between the limits; {LINES_MAX} are possible: nearer limits work"
        )
    return below, above


def _lines(config: GridConfig, instrument: Instrument, count: int, below: int, above: int) -> list[Decimal]:
    # next_level needs one line more than levels: the last exit is end_price.
    steps = count if config.exit == "next_level" else count - 1
    if steps == 0:
        return [nearest_to((config.start_price + config.end_price) / 2, instrument.tick_size)]
    lines = [nearest_to(_raw(config, i, steps), instrument.tick_size) for i in range(-below, steps + 1 + above)]
    if any(b <= a for a, b in pairwise(lines)):
        most = int((config.end_price - config.start_price) / instrument.tick_size)
        raise PlanRefused(
            "levels", f"{count} levels stand closer than one tick ({instrument.tick_size}); at most {most} fit"
        )
    return lines


def _entries_and_exits(
    config: GridConfig, prices: list[Decimal], instrument: Instrument
) -> tuple[list[Decimal], list[Decimal]]:
    long = config.side != "SELL"
    if config.exit == "next_level":
        return (prices[:-1], prices[1:]) if long else (prices[1:], prices[:-1])
    profit = config.triple_barrier.take_profit or ZERO
    if config.coerce_tp_to_step and len(prices) > 1:
        profit = max(profit, ratio(prices[1] - prices[0], prices[0]))
    if long:
        return prices, [instrument.ceil_price(price * (ONE + profit)) for price in prices]
    return prices, [instrument.floor_price(price * (ONE - profit)) for price in prices]


def _sizes(config: GridConfig, entries: list[Decimal], instrument: Instrument, shares: int) -> list[Decimal]:
    if config.amount_base is not None:
        return [config.amount_base] * len(entries)
    share = (config.total_amount_quote or ZERO) / shares
    return [instrument.floor_qty(share / price) for price in entries]


def _check(config: GridConfig, lines: tuple[GridLine, ...], instrument: Instrument, shares: int) -> None:
    least = max(instrument.min_notional, config.min_order_amount_quote)
    fee_rate = 2 * max(instrument.maker, ZERO)
    for line in lines:
        if line.qty % instrument.lot_step != 0:
            raise PlanRefused("amount_base", f"{line.qty} is no multiple of the lot step {instrument.lot_step}")
        # The cheaper of the two prices decides: an exit below the minimum could never be placed.
        price = min(line.entry_price, line.exit_price)
        if price <= ZERO:
            raise PlanRefused("start_price", f"a level at {price} is not positive")
        notional = instrument.notional(price, line.qty)
        if line.qty < instrument.min_qty or notional < least:
            _refuse_small(config, shares, price, least, instrument)
        if abs(line.exit_price - line.entry_price) <= fee_rate * line.entry_price:
            _refuse_fees(line, instrument, "levels")


def _refuse_fees(line: GridLine, instrument: Instrument, key: str) -> None:
    distance = abs(line.exit_price - line.entry_price)
    fees = 2 * max(instrument.maker, ZERO) * line.entry_price
    if distance <= fees:
        needed = plain(instrument.ceil_price(fees))
        raise PlanRefused(
            key, f"a step of {plain(distance)} loses against two maker fees of {plain(fees)}; above {needed} earns"
        )


def _refuse_small(config: GridConfig, count: int, price: Decimal, least: Decimal, instrument: Instrument) -> None:
    # One lot step of head-room: the size is floored to the step after the money is divided.
    base = max(instrument.min_qty, least / price) + instrument.lot_step
    if config.amount_base is not None:
        raise PlanRefused(
            "amount_base",
            f"below the minimum order of {least} {instrument.quote} at {price}; {plain(instrument.floor_qty(base))} works",
        )
    works = (base * max(config.end_price, price) * count).quantize(ONE) + 1
    fewer = int((config.total_amount_quote or ZERO) / (base * config.end_price))
    raise PlanRefused(
        "total_amount_quote",
        f"{config.total_amount_quote} over {count} levels is below the minimum order of {least} {instrument.quote} each; "
        f"{plain(works)} works, or at most {fewer} levels",
    )
