"""Turns an ATR grid's plan into the whole numbers that its kernel runs on, refuses what that does not model, and runs it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from math import lcm
from typing import Any

import numpy as np

from core import atr_table as a
from core import grid_table as gt
from core.engine import BotSpec, Limits
from core.kernel import ArraySeries
from core.machines.atr_grid.bag import BUDGET_LEAST
from core.machines.atr_grid.config import ORDER_LEAST, AtrGridConfig, AtrGridPlan
from core.market import TIMEFRAME_S
from core.series import exact_units, places
from core.values import ZERO
from core.wide_kernel import WIDE
from tasks import kernel_native
from tasks.kernel_funding import Due
from tasks.kernel_tables import FEE_SCALE, INT_MAX, Columns, Ints, Units, refuse, to_us

_US = timedelta(microseconds=1)
_PATHS = {"ohlc": gt.HIGH_FIRST, "olhc": gt.LOW_FIRST, "adaptive": gt.NEARER_FIRST, "worst": gt.HIGH_FIRST}
_NANO_PLACES, _FINE_PLACES, _RATE_PLACES_MOST = 9, 18, 17
# The hedge's amounts have some 30 digits, and are multiplied by its fractions' parts: those may have six.
_EVEN_MOST = INT_MAX // 1_000_000


def units_of(spec: BotSpec, series_scale: int) -> Units:
    """Return the units in which every price and quantity of an ATR grid and its candles is a whole number."""
    ticks = [places(one.tick_size) for one in spec.instruments]
    lots = [max(places(one.lot_step), places(one.min_qty)) for one in spec.instruments]
    return Units(max(series_scale, *ticks), max(lots))


def check_supported(spec: BotSpec, options: Any) -> None:
    """Raise `Refused` where a field is set whose effect the kernel does not compute."""
    one = spec.instrument
    said = {
        "futures_venue: the venue of the coins": any(each.venue == one.venue for each in spec.others),
        "venue_stop": spec.venue_stop is not None or spec.venue_stop_price is not None,
        "fee_asset: base": one.fee_in_base,
        "contract_size": any(one.contract_size != 1 for one in spec.instruments),
        "participation": options.participation is not None,
    }
    for field, is_set in said.items():
        if is_set:
            raise refuse(f"{field} is set")


def check_touch(spec: BotSpec, options: Any, columns: Sequence[Columns]) -> None:
    """Raise `Refused` where the spread leaves no bid above zero, on which nothing would be bought."""
    half = Fraction(options.spread) / 2
    for one, candles in zip(spec.instruments, columns, strict=True):
        lowest = Fraction(int(candles.low_1.min()), 10**candles.scale)
        if half and lowest * (1 - half) < one.tick_size:
            raise refuse(f"a spread of {options.spread} around a price of {float(lowest):g}")


@dataclass(frozen=True, slots=True)
class Gauge:
    """Indicators of finished candles, as the kernel reads them, and when each candle ends, in milliseconds."""

    told_ms: Ints
    table: Ints


def gauge_of(bars: ArraySeries, bar_s: int, scale: int, *, wilder: bool) -> Gauge:
    """Compute the indicators of a series of finished candles at a price scale."""
    by = 10 ** (scale - bars.scale)
    table = np.zeros((a.GAUGE_ROWS, len(bars)), dtype=np.int64)
    columns = bars.high * by, bars.low * by, bars.close * by
    kernel_native.atr_gauge(*columns, 10 ** (_NANO_PLACES - scale), wilder, table)
    return Gauge(bars.ts + bar_s * 1000, table)


def parameters_of(
    spec: BotSpec, options: Any, units: Units, columns: Columns, opening: Decimal, opening_2: Decimal, due: Due | None,
    limits: Limits,
) -> Ints:  # fmt: skip
    """Return the kernel's parameters; raises `Refused` where they would not fit 64 bits."""
    plan: AtrGridPlan = spec.plan
    config, one = plan.config, spec.instrument
    tick, lot = exact_units(one.tick_size, units.price_scale), exact_units(one.lot_step, units.qty_scale)
    rates = [places(rate) for one in spec.instruments for rate in (one.maker, one.taker)]
    if units.price_scale > _NANO_PLACES or units.price_scale + units.qty_scale + max(rates) > _FINE_PLACES:
        raise refuse(f"prices of {units.price_scale} and quantities of {units.qty_scale} decimals do not fit 64 bits")
    seconds = TIMEFRAME_S[columns.timeframe]
    atr = Fraction(config.atr_multiplier)
    cap = 1 - Fraction(config.max_slippage_bps) / 10_000
    half, slip = Fraction(options.spread) / 2, Fraction(options.slippage)
    values = dict.fromkeys(range(a.PARAMETERS), 0) | _money(spec, units, opening) | _fractions(config)
    values |= _caps(spec, limits, units)
    values |= _hedge(spec, units, opening_2, due) if plan.futures is not None else {}
    values |= {
        a.LEVELS: config.levels, a.TICK: tick, a.LOT: lot, a.EDGE: tick if options.fill == "cross" else 0,
        a.PATH: _PATHS[options.intrabar], a.LATENCY_US: to_us(options.latency_s),
        a.THIRD_US: timedelta(seconds=seconds) / 3 // _US, a.CLOSE_US: seconds * 1_000_000 - 1000,
        a.MIN_NOTIONAL: exact_units(one.min_notional, units.price_scale + units.qty_scale),
        a.LEAST: exact_units(max(one.min_notional, ORDER_LEAST), units.price_scale + units.qty_scale),
        a.MIN_QTY: exact_units(one.min_qty, units.qty_scale),
        a.CAP_NUM: cap.numerator, a.CAP_DEN: cap.denominator, a.HALF_NUM: half.numerator, a.HALF_DEN: half.denominator,
        a.SLIP_NUM: slip.numerator, a.SLIP_DEN: slip.denominator,
        a.ATR_NUM: atr.numerator, a.ATR_DEN: atr.denominator * 10 * tick * 10 ** (_NANO_PLACES - units.price_scale),
        a.ADJUST_BARS: config.adjust_cooldown_bars, a.RECENTER_BARS: config.recenter_cooldown_bars,
        a.LOSS_SALE: int(config.allow_loss_sale), a.FINE: 10 ** (_FINE_PLACES - units.price_scale),
        a.FINE_PLACES: 10**units.price_scale, a.FINE_VALUE: 10 ** (_FINE_PLACES - units.price_scale - units.qty_scale),
        a.QTY_SCALE: 10**units.qty_scale, a.NANOS: 10 ** (_NANO_PLACES - units.price_scale),
    }  # fmt: skip
    _check_range(values, columns, units)
    return np.array([values[i] for i in range(a.PARAMETERS)], dtype=np.int64)


def _money(spec: BotSpec, units: Units, opening: Decimal) -> dict[int, int]:
    plan: AtrGridPlan = spec.plan
    one, config = spec.instrument, plan.config
    rate_places = max(places(one.maker), places(one.taker))
    scale = max(units.price_scale + units.qty_scale + rate_places, FEE_SCALE)
    unit = Fraction(10) ** (FEE_SCALE - units.price_scale - units.qty_scale)
    takers = [plan.futures.taker] if plan.futures is not None else []
    paid = [Fraction(rate) * unit for rate in (one.maker, one.taker, *takers)]
    den = lcm(*(rate.denominator for rate in paid))
    return {
        a.MAKER: exact_units(max(one.maker, ZERO), rate_places), a.TAKER: exact_units(max(one.taker, ZERO), rate_places),
        a.FEE_DEN: 10**rate_places, a.PAID_MAKER: int(paid[0] * den), a.PAID_TAKER: int(paid[1] * den), a.PAID_DEN: den,
        a.PAID_TAKER_2: int(paid[-1] * den),
        a.FINE_FEE: 10 ** (_FINE_PLACES - units.price_scale - units.qty_scale - rate_places),
        a.MONEY_MUL: 10 ** (scale - units.price_scale - units.qty_scale),
        a.MONEY_FEE_MUL: 10 ** (scale - units.price_scale - units.qty_scale - rate_places),
        a.PAID_MUL: 10 ** (scale - FEE_SCALE),
        a.ORDER_QUOTE: 0 if config.order_size_quote is None else exact_units(config.order_size_quote, scale),
        a.CASH: exact_units(plan.grid_quote, scale), a.OPENING: exact_units(opening, scale),
    }  # fmt: skip


def _caps(spec: BotSpec, limits: Limits, units: Units) -> dict[int, int]:
    # Floored: what they are held against is a whole number of these units.
    qty, quote, finer = spec.max_position_size, limits.max_exposure_quote, units.price_scale + units.qty_scale
    base = a.UNBOUNDED if qty is None else min(int(Fraction(qty) * 10**units.qty_scale), a.UNBOUNDED)
    values = {
        a.MOST_QTY: base,
        a.FINE_NINES: (_FINE_PLACES - finer) // 9,
        a.FINE_REST: 10 ** ((_FINE_PLACES - finer) % 9),
    }
    if quote is None or quote * 10**finer >= a.UNBOUNDED:
        return values
    fine = int(Fraction(quote) * 10**_FINE_PLACES)
    return values | {a.CAPPED: 1, a.MOST_QUOTE: fine // WIDE, a.MOST_QUOTE_LOW: fine % WIDE}


def _fractions(config: AtrGridConfig) -> dict[int, int]:
    hedge = config.hedge
    values: dict[int, int] = {}
    for place, value in (
        (a.WILD_NUM, config.wild_from), (a.CALM_NUM, config.calm_below), (a.ADJUST_NUM, config.adjust_from),
        (a.DRIFT_NUM, config.drift), (a.CONSUMED_NUM, config.consumed_from), (a.SALE_NUM, config.down_sale),
        (a.ZONE_NUM, ZERO), (a.PENDING_NUM, hedge.pending_ratio), (a.BREAK_NUM, hedge.break_ratio),
        (a.DANGER_NUM, hedge.danger_ratio), (a.BREAK_ATR_NUM, hedge.break_atr), (a.LEAVE_ATR_NUM, hedge.leave_atr),
        (a.BAND_NUM, hedge.deadband), (a.STOP_NUM, hedge.stop_distance), (a.PROFIT_NUM, hedge.take_profit),
        (a.COST_NUM, hedge.cost_multiple), (a.TURN_NUM, hedge.reversal_loss), (a.FROM_NUM, hedge.recovery_from),
        (a.UNTIL_NUM, hedge.recovery_until), (a.SALE_FROM_NUM, hedge.recovery_sale_from), (a.REDUCE_NUM, hedge.recovery_sale),
    ):  # fmt: skip
        exact = Fraction(value)
        values |= {place: exact.numerator, place + 1: exact.denominator}
    return values


def _hedge(spec: BotSpec, units: Units, opening: Decimal, due: Due | None) -> dict[int, int]:
    plan: AtrGridPlan = spec.plan
    config, one = plan.config, spec.others[0]
    rate_places = places(one.taker)
    values = {
        a.TAKER_2: exact_units(max(one.taker, ZERO), rate_places), a.FEE_DEN_2: 10**rate_places,
        a.FINE_FEE_2: 10 ** (_FINE_PLACES - units.price_scale - units.qty_scale - rate_places),
        a.HEDGE: 1, a.TICK_2: exact_units(one.tick_size, units.price_scale),
        a.LOT_2: exact_units(one.lot_step, units.qty_scale), a.MIN_QTY_2: exact_units(one.min_qty, units.qty_scale),
        a.MIN_NOTIONAL_2: exact_units(one.min_notional, units.price_scale + units.qty_scale),
        a.LEVERAGE: config.leverage, a.COOL_BARS: config.hedge.cooldown_bars, a.CUT_US: to_us(config.hedge.cut_after_s),
    }  # fmt: skip
    if due is not None:
        finer = units.price_scale + units.qty_scale + _rate_scale(due) - FEE_SCALE
        values |= {a.RATES: len(due.bar), a.RATE_NINES: finer // 9, a.RATE_REST: 10 ** (finer % 9)}
    for place, amount in (
        (a.CAPITAL, config.initial_capital), (a.MARGIN, plan.margin_quote), (a.OPENING_2, opening),
        (a.LOSS_MOST, config.hedge.max_loss * config.initial_capital), (a.BUDGET_LEAST, BUDGET_LEAST * config.initial_capital),
    ):  # fmt: skip
        fine = exact_units(amount, _FINE_PLACES)
        values |= {place: fine // WIDE, place + 1: fine % WIDE}
    return values


def _rate_scale(due: Due) -> int:
    # Places of the rates, so many that a payment has at least eight of them.
    return max(due.scale, FEE_SCALE)


def rates_of(due: Due | None) -> Ints:
    """Lay the funding that falls due out as the kernel reads it; raises `Refused` for rates that are too fine."""
    if due is None:
        return np.zeros((a.RATE_ROWS, 0), dtype=np.int64)
    scale = _rate_scale(due)
    if scale > _RATE_PLACES_MOST or due.most > 10**due.scale:
        raise refuse(f"funding rates of {due.scale} decimals, or above 1, do not fit 64 bits")
    return np.stack([due.bar, due.rate * 10 ** (scale - due.scale), np.zeros_like(due.bar)])


def _check_range(values: dict[int, int], columns: Columns, units: Units) -> None:
    # The largest numbers that the kernel ever makes; the run itself ends where an account grows beyond GROWTH.
    price, nanos = columns.highest, 10 ** (_NANO_PLACES - units.price_scale)
    money = a.GROWTH * values[a.OPENING] + values[a.CASH]
    largest = {
        "initial_capital": money,
        "levels": 90 * (values[a.LEVELS] + 1) * price * values[a.LOT] * values[a.MONEY_MUL],
        "fees": money // values[a.MONEY_MUL] * max(abs(values[a.PAID_MAKER]), abs(values[a.PAID_TAKER]), 1),
        "candles": max(price * nanos * 500, price * TIMEFRAME_S[columns.timeframe] * 1_000_000),
        "wild_from": price * nanos * max(values[a.WILD_NUM], values[a.WILD_DEN]),
        "calm_below": price * nanos * max(values[a.CALM_NUM], values[a.CALM_DEN]),
        "atr_multiplier": max(price * nanos * values[a.ATR_NUM] * 20, values[a.ATR_DEN]),
        "drift": price * max(values[a.DRIFT_NUM], values[a.DRIFT_DEN]),
        "adjust_from": price * max(values[a.ADJUST_NUM], values[a.ADJUST_DEN]),
        "spread": 2 * price * values[a.HALF_DEN] * max(values[a.TICK], values[a.TICK_2]),
        "slippage": 2 * price * (values[a.SLIP_DEN] + values[a.SLIP_NUM]) * max(values[a.TICK_2], 1),
        "max_slippage_bps": price * values[a.CAP_DEN] * values[a.TICK],
        "down_sale": money // values[a.MONEY_MUL] * max(values[a.SALE_NUM], values[a.SALE_DEN]),
        "hedge.break_atr": price * nanos * max(values[k] for k in range(a.BREAK_ATR_NUM, a.LEAVE_ATR_DEN + 1)),
        # The short is worth its margin times the leverage, and is liquidated before it is worth three times that.
        "funding": 4 * (values[a.MARGIN] + 1) * values[a.LEVERAGE] * 10**FEE_SCALE if values[a.RATES] else 0,
        "hedge": _EVEN_MOST
        * max(values[k] for k in range(a.ZONE_NUM, a.REDUCE_DEN + 1) if k not in (a.COOL_BARS, a.CUT_US)),
    }
    for field, number in largest.items():
        if number >= INT_MAX:
            raise refuse(f"{field} with so fine prices and quantities does not fit 64 bits")


@dataclass(slots=True)
class Tables:
    """The memory of one run, and what came of it."""

    scalars: Ints
    levels: Ints
    legs: Ints
    lots: Ints
    lines: Ints
    queue: Ints
    due: Ints
    due_2: Ints
    news: Ints
    news_2: Ints
    rates: Ints

    @property
    def all(self) -> tuple[Ints, ...]:
        """The tables in the kernel's order."""
        return (
            self.scalars, self.levels, self.legs, self.lots, self.lines, self.queue, self.due, self.due_2, self.news, self.news_2,
            self.rates,
        )  # fmt: skip


def tables_of(levels: int, rates: Ints) -> Tables:
    """Make room for a grid of so many levels; two places more are the hedge's."""
    rooms = levels + 2
    legs = rooms * 2 * a.SLOTS

    def zeros(*shape: int) -> Ints:
        return np.zeros(shape, dtype=np.int64)

    table = zeros(a.LEVEL_ROWS, rooms)
    by_name = sorted(range(rooms), key=lambda i: f"{i}-")
    table[a.L_RANK, by_name] = np.arange(rooms)
    return Tables(
        zeros(a.SCALARS), table, zeros(a.LEG_ROWS, legs), zeros(a.LOT_ROWS, rooms * a.SLOTS),
        zeros(a.LINES_A_LEVEL * rooms + a.LINES_MORE), zeros(a.QUEUE_ROWS, legs), zeros(2 * legs, a.DUE_COLUMNS),
        zeros(2 * legs, a.DUE_COLUMNS), zeros(2 * legs, a.NEWS_COLUMNS), zeros(2 * legs, a.NEWS_COLUMNS),
        rates,
    )  # fmt: skip
