"""Turns a grid's plan into the whole numbers that the compiled kernel runs on, and refuses what it does not model.

Every refusal names the field and says that `--engine core` does it: a kernel result is the core's result or none.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import grid_table as gt
from core.engine import BotSpec, Limits
from core.kernel import ArraySeries
from core.machines.grid.config import GridConfig, GridPlan
from core.market import TIMEFRAME_S, Instrument
from core.series import exact_units, places
from core.values import ONE, ZERO, total
from tasks.errors import Refused
from tasks.kernel_barriers import barrier_values, choice_values

Ints = NDArray[np.int64]
FEE_SCALE = 8  # `core.values.FEE_PLACES`
INT_MAX = 1 << 62
_US = timedelta(microseconds=1)
CORE_DOES_IT = "--engine core"
_PATHS = {"ohlc": gt.HIGH_FIRST, "olhc": gt.LOW_FIRST, "adaptive": gt.NEARER_FIRST}
_INVENTORY = {"market": gt.MARKET, "resting": gt.RESTING, "none": gt.NONE}


def refuse(reason: str) -> Refused:
    """Return the refusal of a run that only the core can do."""
    return Refused(f"the kernel does not do this: {reason}", key="--engine", accepted=CORE_DOES_IT)


@dataclass(frozen=True, slots=True)
class Units:
    """Decimal places of prices and quantities; `cost_mul` and `fee_mul` bring amounts of quote to `scale` places."""

    price_scale: int
    qty_scale: int

    @property
    def scale(self) -> int:
        """Places of sums of costs and fees."""
        return max(self.price_scale + self.qty_scale, FEE_SCALE)

    @property
    def cost_mul(self) -> int:
        """What a price times a quantity is multiplied by."""
        return int(10 ** (self.scale - self.price_scale - self.qty_scale))

    @property
    def fee_mul(self) -> int:
        """What a fee in 1e-8 is multiplied by."""
        return int(10 ** (self.scale - FEE_SCALE))


@dataclass(frozen=True, slots=True)
class Columns:
    """Candles as the kernel reads them: read-only int64, times in milliseconds, prices in 10**-scale.

    `low_1` and `high_1` are the extremes of blocks of bars, for the search. Many runs may share one of these.
    """

    ts: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    low_1: Ints
    high_1: Ints
    highest: int
    scale: int
    timeframe: str

    @property
    def all(self) -> tuple[Ints, ...]:
        """The columns in the kernel's order."""
        return self.ts, self.open, self.high, self.low, self.close, self.low_1, self.high_1


def columns_of(series: ArraySeries, timeframe: str, scale: int | None = None) -> Columns:
    """Return a series' columns at `scale` decimal places (None: its own); raises `Refused` where the kernel cannot read it."""
    wanted = series.scale if scale is None else scale
    step_ms = TIMEFRAME_S[timeframe] * 1000
    if len(series) > 1 and int(np.diff(series.ts).min()) < step_ms:
        raise refuse(f"some candles open less than {timeframe} after the one before")
    if int(np.max(series.high)) * 10 ** (wanted - series.scale) >= INT_MAX:
        raise refuse(f"prices of {wanted} decimals do not fit 64 bits")
    prices = [series.open, series.high, series.low, series.close]
    if wanted != series.scale:
        prices = [column * 10 ** (wanted - series.scale) for column in prices]
    blocks = np.arange(0, len(series), gt.BLOCK)
    columns = [series.ts, *prices, np.minimum.reduceat(prices[2], blocks), np.maximum.reduceat(prices[1], blocks)]
    for column in columns:
        column.flags.writeable = False
    return Columns(*columns, int(columns[-1].max()), wanted, timeframe)


def check_supported(config: GridConfig, spec: BotSpec, limits: Limits, options: Any) -> None:
    """Raise `Refused` where a field is set whose effect the kernel does not compute."""
    plan: GridPlan = spec.plan
    said = {
        "initial_inventory: owned": config.initial_inventory == "owned",
        "infinite": config.infinite,
        "side: NEUTRAL": config.side == "NEUTRAL",
        "trigger_price": config.trigger_price is not None,
        "trailing_up": config.trailing_up is not None,
        "trailing_down": config.trailing_down is not None,
        "on_range_exit: reset": config.on_range_exit == "reset",
        "reinvest": config.reinvest,
        "exit_from: fill": config.exit_from == "fill",
        "triple_barrier.open_order_type": config.triple_barrier.open_order_type == "LIMIT",
        "triple_barrier.take_profit_order_type": config.triple_barrier.take_profit_order_type == "LIMIT",
        "triple_barrier.stop_loss_order_type": config.triple_barrier.stop_loss_order_type == "LIMIT",
        "triple_barrier.time_limit_order_type": config.triple_barrier.time_limit_order_type == "LIMIT",
        "triple_barrier.price_source": config.triple_barrier.price_source in {"last", "mid"},
    }
    for field, is_set in said.items():
        if is_set:
            raise refuse(f"{field} is set")
    # What a short grid's entries are worth depends on the candles: that is looked at with them.
    worth_most = spec.capital_quote if config.side == "BUY" else ZERO
    qty_most = total(line.qty for line in plan.lines) if spec.max_position_size is not None else ZERO
    # An order that closes all at the market and slips beyond its first cap would be sent again within the moment.
    check_account(spec, limits, options, qty_most, worth_most, slips_most=spec.slippage)
    exits = [line.exit_price for line in plan.lines]
    if any(b <= a for a, b in pairwise(exits)):
        raise refuse("two levels exit at one price")


def check_account(
    spec: BotSpec, limits: Limits, options: Any, qty_most: Decimal, worth_most: Decimal, slips_most: Decimal = ZERO
) -> None:
    """Raise `Refused` where a limit of bot or account might bind, or the venue does what no kernel computes.

    `qty_most` base and `worth_most` quote are the most that a bot's lots and entries may come to, `slips_most` is the
    slippage that its kernel knows. Drawdown limits are looked at after the run (`tasks.kernel_limits`).
    """
    instrument, exposure = spec.instrument, limits.max_exposure_quote
    said = {
        "venue_stop": spec.venue_stop is not None or spec.venue_stop_price is not None,
        "max_position_size": spec.max_position_size is not None and qty_most > spec.max_position_size,
        "risk.max_exposure_quote": exposure is not None and worth_most > exposure,
        "fee_asset: base": instrument.fee_in_base,
        "contract_size": instrument.contract_size != 1,
        "spread": options.spread != ZERO,
        "slippage": options.slippage > slips_most,
        "participation": options.participation is not None,
    }
    for field, is_set in said.items():
        if is_set:
            raise refuse(f"{field} is set")


def units_of(spec: BotSpec, series_scale: int) -> Units:
    """Return the units in which every price and quantity of a grid and its candles is a whole number.

    A plan's prices are multiples of the tick and its quantities of the lot step, so those two say enough.
    """
    plan: GridPlan = spec.plan
    instrument = spec.instrument
    prices = [instrument.tick_size, plan.config.limit_price or ZERO]
    sizes = [instrument.lot_step, instrument.min_qty]
    return Units(max(series_scale, *map(places, prices)), max(map(places, sizes)))


def levels_of(plan: GridPlan, units: Units) -> Ints:
    """Return the kernel's table of levels, with the given rows filled in."""
    table = np.zeros((gt.LEVEL_ROWS, len(plan.lines)), dtype=np.int64)
    short = plan.config.side == "SELL"
    table[gt.ASK if short else gt.BID] = [int(line.entry_price.scaleb(units.price_scale)) for line in plan.lines]
    table[gt.BID if short else gt.ASK] = [int(line.exit_price.scaleb(units.price_scale)) for line in plan.lines]
    table[gt.QTY] = [int(line.qty.scaleb(units.qty_scale)) for line in plan.lines]
    rank_by_name(table)
    return table


def rank_by_name(table: Ints) -> None:
    """Fill in RANK and BY_RANK: orders of one round are sent by the name of their leg, and "10-0" comes before "2-0"."""
    by_name = _by_name(table.shape[1])
    table[gt.BY_RANK] = by_name
    table[gt.RANK, by_name] = np.arange(len(by_name))


@lru_cache(maxsize=256)
def _by_name(count: int) -> Ints:
    found = np.array(sorted(range(count), key=lambda i: f"{i}-"), dtype=np.int64)
    found.flags.writeable = False
    return found


def grid_values(spec: BotSpec, options: Any, units: Units, timeframe: str) -> dict[int, int]:
    """Return a grid's parameters but those that depend on the candles."""
    plan: GridPlan = spec.plan
    barriers = barrier_values(plan, units.price_scale, units.scale)
    given = choice_values(plan.config, len(plan.lines)) | {gt.INVENTORY: _INVENTORY[plan.config.initial_inventory]}
    return market_values(spec, options, units, timeframe) | barriers | given


def parameters_of(spec: BotSpec, values: Mapping[int, int], units: Units, candles: Columns, levels: Ints) -> Ints:
    """Return the kernel's parameters for `grid_values`; raises `Refused` where they would not fit 64 bits."""
    whole = {**values, **_deadline(spec.plan.config, candles)}
    check_range(whole, units, candles, levels)
    return np.array([whole[i] for i in range(gt.PARAMETERS)], dtype=np.int64)


def market_values(spec: BotSpec, options: Any, units: Units, timeframe: str) -> dict[int, int]:
    """Return the parameters that are no strategy's: the instrument's rules and fees, how orders fill; the others are 0."""
    return dict(
        _market_values(
            spec.instrument, spec.long, spec.safe_spread, spec.slippage, options.slippage, options.intrabar, options.fill,
            options.latency_s, units, TIMEFRAME_S[timeframe],
        )
    )  # fmt: skip


@lru_cache(maxsize=64)
def _market_values(
    instrument: Instrument, long: bool, safe_spread: Decimal, slippage: Decimal, slips: Decimal, intrabar: str, fill: str,
    latency_s: float, units: Units, seconds: int,
) -> Mapping[int, int]:  # fmt: skip
    # The configurations of a sweep have most often the same of all these.
    tick = exact_units(instrument.tick_size, units.price_scale)
    path = intrabar
    if path == "worst":
        path = "ohlc" if long else "olhc"
    safe, slip = _parts(safe_spread), _parts(slippage)
    slipped = _parts(ONE - slips if long else ONE + slips)
    # Fee in 1e-8 = price units x quantity units x rate x 10**(8 - price places - quantity places), over one divisor.
    unit = Fraction(10) ** (FEE_SCALE - units.price_scale - units.qty_scale)
    maker, taker = Fraction(instrument.maker) * unit, Fraction(instrument.taker) * unit
    rate_den = math.lcm(maker.denominator, taker.denominator)
    return dict.fromkeys(range(gt.PARAMETERS), 0) | {
        gt.TICK: tick, gt.EDGE: tick if fill == "cross" else 0,
        gt.SHORT: int(not long), gt.PATH: _PATHS[path], gt.LATENCY_US: to_us(latency_s),
        gt.THIRD_US: timedelta(seconds=seconds) / 3 // _US, gt.CLOSE_US: seconds * 1_000_000 - 1000,
        gt.MIN_NOTIONAL: _ceil_units(instrument.min_notional, units.price_scale + units.qty_scale),
        gt.MIN_QTY: exact_units(instrument.min_qty, units.qty_scale),
        gt.COST_MUL: units.cost_mul, gt.FEE_MUL: units.fee_mul,
        gt.SAFE_LESS: safe[1] - safe[0], gt.SAFE_MORE: safe[1] + safe[0], gt.SAFE_DEN: safe[1],
        gt.SLIP_NUM: slip[0], gt.SLIP_DEN: slip[1], gt.SLIPPED_NUM: slipped[0], gt.SLIPPED_DEN: slipped[1],
        gt.MAKER: int(maker * rate_den), gt.TAKER: int(taker * rate_den), gt.RATE_DEN: rate_den,
        gt.DEADLINE_US: gt.FAR, gt.DEADLINE_BAR: gt.FAR,
    }  # fmt: skip


def _deadline(config: GridConfig, candles: Columns) -> dict[int, int]:
    # The bar that holds the deadline is looked at, point by point.
    limit_s = config.triple_barrier.time_limit
    if limit_s is None:
        return {gt.DEADLINE_US: gt.FAR, gt.DEADLINE_BAR: gt.FAR}
    at_us = int(candles.ts[0]) * 1000 + to_us(limit_s)
    bar = int(np.searchsorted(candles.ts, at_us // 1000 + 1, side="left")) - 1
    return {gt.DEADLINE_US: at_us, gt.DEADLINE_BAR: max(bar, 0)}


def check_range(values: dict[int, int], units: Units, candles: Columns, levels: Ints) -> None:
    """Raise `Refused` where the largest numbers that a kernel ever makes do not fit 64 bits."""
    # A price moved behind the touch is at most half above it.
    price = 2 * max(candles.highest, int(levels[[gt.BID, gt.ASK]].max()))
    value = price * sum(levels[gt.QTY].tolist())
    trail = max(values[gt.TRAIL_DEN], values[gt.TRAIL_FROM], values[gt.TRAIL_DELTA])
    largest = {
        "fees": value * max(abs(values[gt.MAKER]), abs(values[gt.TAKER]), 1) + values[gt.RATE_DEN],
        "stop_loss": 4 * value * units.cost_mul * max(values[gt.STOP_DEN], 1),
        "trailing_stop": 4 * value * units.cost_mul * trail,
        "activation_bounds": 2 * price * max(values[gt.ENTRY_DEN], values[gt.EXIT_DEN]),
        "safe_extra_spread": 2 * price * values[gt.SAFE_DEN] * values[gt.TICK],
        "max_slippage_bps": 4 * price * values[gt.SLIP_DEN] * values[gt.TICK],
        "slippage": 4 * price * max(values[gt.SLIPPED_NUM], values[gt.SLIPPED_DEN]) * values[gt.TICK],
        "--latency": price * max(values[gt.LATENCY_US], 1),
    }
    for field, number in largest.items():
        if number >= INT_MAX:
            raise refuse(f"{field} with so fine prices and quantities does not fit 64 bits")


def _parts(fraction: Decimal) -> tuple[int, int]:
    exact = Fraction(fraction)
    return exact.numerator, exact.denominator


def _ceil_units(value: Decimal, scale: int) -> int:
    return math.ceil(Fraction(value) * 10**scale)


def to_us(seconds: float) -> int:
    """Return microseconds as `timedelta` rounds them, for that is what the core adds to its times."""
    return timedelta(seconds=seconds) // _US
