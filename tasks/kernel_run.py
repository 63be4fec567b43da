"""Backtests one grid with the compiled kernel, and counts what any kernel gives: the core's fills and figures, no journal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import grid_table as gt
from core.engine import BotSpec, Limits
from core.facts import Fill
from core.kinds import AnyBot
from core.lots import Lot
from core.machines.grid.config import GridConfig
from core.market import TIMEFRAME_S, Market
from core.orders import Role, client_id, leg_id
from core.values import ZERO, Side, exact_product, plain, share_of_cost
from tasks import kernel_native
from tasks.equity import (
    Closes,
    Curve,
    Line,
    Ratios,
    day_ends,
    equity_curve,
    line_at,
    ratios_along,
    ratios_of_days,
)
from tasks.kernel_funding import Due, Payments, pay
from tasks.kernel_limits import check_drawdown
from tasks.kernel_lots import booked
from tasks.kernel_money import check_money, worth_of_levels
from tasks.kernel_tables import (
    FEE_SCALE,
    Columns,
    Ints,
    Units,
    check_supported,
    grid_values,
    levels_of,
    parameters_of,
    refuse,
    units_of,
)

_EPOCH = datetime(1970, 1, 1)
_US = timedelta(microseconds=1)
STATUS: Mapping[int, str] = {
    gt.BELOW_MINIMUM: "an order behind the touch is below the exchange's minimum and has to wait",
    gt.ROUNDING: "the price moves so far inside a bar that the division of its path rounds",
    gt.QUEUE_FULL: "too many orders are on their way at once",
    gt.WOULD_CROSS: "safe_extra_spread is 0 and an order would cross",
    gt.CHAINED: "max_orders_per_batch sends too many batches in one moment",
    gt.UNDECIDED: "the profit comes so near to the trailing stop that floats cannot tell",
}
# Room for fills at first; a run that needs more is repeated with what it needs.
_LOG_ROWS = 1 << 14


class Room:
    """What runs one after the other share: memory for the log of fills, good until the next run, and the last bot's tables."""

    def __init__(self) -> None:
        """Start small."""
        self.log = np.empty((_LOG_ROWS, gt.FILL_COLUMNS), dtype=np.int64)
        self._asked: tuple[Any, ...] = ()
        self._made: tuple[Any, ...] = ()

    def once(self, asked: tuple[Any, ...], make: Callable[[], tuple[Any, ...]]) -> tuple[Any, ...]:
        """Return what was made for the same bot and options the last time, or make it; a sweep runs several stretches."""
        if asked != self._asked:
            self._made = make()
            self._asked = asked
        return self._made

    def grow(self, rows: int) -> None:
        """Make room for so many fills."""
        self.log = np.empty((rows + rows // 4, gt.FILL_COLUMNS), dtype=np.int64)


@dataclass(slots=True)
class KernelRun:
    """A finished kernel run: the log of fills in whole units, and what was counted from it.

    `payments` is what funding brought, None where none was paid.
    """

    bot: AnyBot
    spec: BotSpec
    options: Any
    columns: Columns
    units: Units
    log: Ints
    scalars: Ints
    levels: Ints
    figures: dict[str, Any] = field(default_factory=dict[str, Any])
    remarks: list[str] = field(default_factory=list[str])
    payments: Payments | None = None

    @property
    def kinds(self) -> set[str]:
        """The kind of its bot."""
        return {self.bot.kind}

    @property
    def short(self) -> bool:
        """Whether its entries sell."""
        return not self.spec.long

    @property
    def entry_side(self) -> Side:
        """The side of its entries."""
        return Side.SELL if self.short else Side.BUY

    def amount(self, units: int) -> Decimal:
        """Return quote of whole units of `units.scale` places."""
        return Decimal(units).scaleb(-self.units.scale)

    @property
    def funding(self) -> Decimal:
        """All funding of a run of one market, in quote; above zero it was received."""
        return ZERO if self.payments is None else self.payments.total

    @property
    def cash_log(self) -> Ints:
        """The log of fills with the payments between them: all that moved money."""
        return self.log if self.payments is None else self.payments.log

    @property
    def sizes(self) -> Ints:
        """The signed quantity of every fill: above zero where it bought."""
        qty = self.log[:, gt.FILL_QTY]
        return np.where((self.log[:, gt.FILL_EXIT] == 1) == self.short, qty, -qty)

    def closes_us(self, bars: Ints) -> Ints:
        """Return when the path comes to the close of some bars: a millisecond before the next one may open."""
        return self.columns.ts[bars] * 1000 + TIMEFRAME_S[self.columns.timeframe] * 1_000_000 - 1000

    def own_sums(self) -> "Sums | None":
        """Add it up where its kind does so in its own way."""
        return None

    def lines(self) -> list[Line]:
        """Return what was traded, along the bars, to the last bit as `tasks.backtest_figures.lines_of` does."""
        log = self.cash_log
        return [line_in(self, log, (log[:, gt.FILL_EXIT] == 1) == self.short, self.columns, self.spec.capital_quote)]

    def fills(self) -> list[Fill]:
        """Build the fills as the core reports them, client ids, trade ids and settled cash included."""
        return _fills(self)


def run_grid(
    bot: GridConfig, spec: BotSpec, columns: Columns, options: Any, limits: Limits, opening_quote: Decimal,
    room: Room | None = None, rates: Mapping[Market, Due] | None = None,
) -> KernelRun:  # fmt: skip
    """Run a made-ready grid over columns at the right scale; raises `Refused` for what only the core can do.

    `rates` is the funding that falls due over the columns.
    """
    room = Room() if room is None else room

    def ready() -> tuple[Units, Ints, dict[int, int]]:
        check_supported(bot, spec, limits, options)
        units = units_of(spec, columns.scale)
        return units, levels_of(spec.plan, units), grid_values(spec, options, units, columns.timeframe)

    asked = ("grid", id(spec), spec, options, limits, columns.scale, columns.timeframe)
    units, levels, values = room.once(asked, ready)
    g = levels.copy()
    p = parameters_of(spec, values, units, columns, g)
    s = np.zeros(gt.SCALARS, dtype=np.int64)
    due = np.empty((4 * g.shape[1] + 64, gt.DUE_COLUMNS), dtype=np.int64)
    log = finished(lambda log: kernel_native.run_grid(columns.all, p, s, g, due, log), s, room)
    made = KernelRun(bot, spec, options, columns, units, log, s, g)
    pay(made, rates)
    check_drawdown(made, limits, p)
    check_money(made, opening_quote, worth_of_levels(made, limits))
    return made


def finished(run: Callable[[Ints], int], s: Ints, room: Room | None, ends: Mapping[int, str] = STATUS) -> Ints:
    """Run a kernel with a log that is large enough; returns the log.

    Raises `Refused` for an end that only the core knows; `ends` says what each means.
    """
    room = Room() if room is None else room
    status = run(room.log)
    if status == gt.LOG_FULL:
        room.grow(int(s[gt.S_FILLS]))
        status = run(room.log)
    if status != gt.DONE:
        raise refuse(ends[status])
    return room.log[: s[gt.S_FILLS]]


@dataclass(frozen=True, slots=True)
class Sums:
    """Quote amounts of a run, exact; `won` of `round_trips` closed lots earned more than their fees.

    `funding` above zero was received.
    """

    realized: Decimal
    grid_profit: Decimal
    floating: Decimal
    fees: Decimal
    round_trips: int
    won: int
    funding: Decimal = ZERO

    @property
    def net(self) -> Decimal:
        """Realised and floating profit after fees and funding (RULES 15)."""
        return self.realized + self.floating - self.fees + self.funding


def sums_of(made: KernelRun) -> Sums:
    """Add a run up."""
    own = made.own_sums()
    if own is not None:
        return own
    s, g, units = made.scalars, made.levels, made.units
    grid = made.amount(int(s[gt.S_PROFIT]) * units.cost_mul)
    paid = made.amount(int(s[gt.S_PAID]) * units.fee_mul)
    unwinds = np.flatnonzero(made.log[:, gt.FILL_LEVEL] < 0)
    if len(unwinds) and (unwinds[0] < len(made.log) - 1 or s[gt.S_INVENTORY]):
        # Closed in parts, some of them of lots whose own exits were still on their way: booked fill by fill.
        mark = Decimal(int(made.columns.close[-1])).scaleb(-made.columns.scale)
        lots = booked(made.fills(), mark, _in_view(made))
        return Sums(lots.realized, lots.grid_profit, lots.floating, paid, lots.trips, lots.won, made.funding)
    trips, won = int(s[gt.S_TRIPS]), int(s[gt.S_WON])
    held = g[gt.HOLDING] == 1
    profit, winners = _unwound(made, held) if s[gt.S_EPISODE] else (ZERO, 0)
    mark = int(made.columns.close[-1]) * 10 ** (units.price_scale - made.columns.scale)
    value = int((mark * g[gt.QTY, held] - g[gt.LOT_COST, held]).sum())
    sign = -1 if made.short else 1
    floating = made.amount(value * sign * units.cost_mul)
    closed = int((g[gt.HOLDING] == 1).sum() - held.sum())
    return Sums(grid + profit, grid, floating, paid, trips + closed, won + winners, made.funding)


def _in_view(made: KernelRun) -> Callable[[Fill, Lot], bool]:
    # The engine hears of an exit's end at the point of the path that follows it, and books a fill at the point that follows
    # that: an exit was in view until then, unless its end was told at a point before.
    g, columns = made.levels, made.columns
    third_us = timedelta(seconds=TIMEFRAME_S[columns.timeframe]) / 3 // _US
    offsets = np.array([0, third_us, 2 * third_us, TIMEFRAME_S[columns.timeframe] * 1_000_000 - 1000])
    points = (columns.ts[:, None] * 1000 + offsets).ravel()

    def in_view(fill: Fill, lot: Lot) -> bool:
        level = int(lot.lot_id.partition("-")[0])
        if g[gt.CANCELING, level] <= (lot.opened_at - _EPOCH) // _US:
            return False  # what was called back was the entry
        at = int(np.searchsorted(points, (fill.ts - _EPOCH) // _US, side="left"))
        return int(g[gt.ENDED, level]) > int(points[at - 1])

    return in_view


def _unwound(made: KernelRun, held: NDArray[np.bool_]) -> tuple[Decimal, int]:
    # Profit of the lots that unwinds closed, and how many of them earned more than their fees; takes them out of `held`.
    # As `core.engine.booking.book_fill` spreads an unwind over the open lots: the oldest first, the last pays the rest.
    log, sign = made.log, -1 if made.short else 1
    # The last fill of a level that holds is the entry of its lot.
    entries = [int(np.flatnonzero(log[:, gt.FILL_LEVEL] == i)[-1]) for i in np.flatnonzero(held)]
    lots = sorted((int(log[k, gt.FILL_US]), f"{log[k, gt.FILL_LEVEL]}-{log[k, gt.FILL_CYCLE]}", k) for k in entries)
    profit, winners = ZERO, 0
    for row in np.flatnonzero(log[:, gt.FILL_LEVEL] < 0):
        price, whole, fee = _amounts(made, row)
        left, fee_left = whole, fee
        while left > ZERO:
            k = lots.pop(0)[2]
            entry, qty, paid = _amounts(made, k)
            left -= qty
            share = share_of_cost(fee, qty, whole) if left else fee_left
            fee_left -= share
            gain = exact_product(price - entry, qty) * sign
            profit += gain
            winners += gain > paid + share
            held[log[k, gt.FILL_LEVEL]] = False
    return profit, winners


def _amounts(made: KernelRun, k: int) -> tuple[Decimal, Decimal, Decimal]:
    # Price, quantity and fee of a row of the log.
    row, units = made.log[k], made.units
    return (
        Decimal(int(row[gt.FILL_PRICE])).scaleb(-units.price_scale),
        Decimal(int(row[gt.FILL_QTY])).scaleb(-units.qty_scale),
        Decimal(int(row[gt.FILL_FEE])).scaleb(-FEE_SCALE),
    )


def _fills(made: KernelRun) -> list[Fill]:
    instrument, log = made.spec.instrument, made.log
    entry = made.entry_side
    found: list[Fill] = []
    for k in range(len(log)):
        row = log[k]
        price, qty, fee = _amounts(made, k)
        level = int(row[gt.FILL_LEVEL])
        role = Role.UNWIND if level < 0 else (Role.EXIT if row[gt.FILL_EXIT] else Role.ENTRY)
        leg = leg_id(role, max(level, 0), int(row[gt.FILL_CYCLE]))
        found.append(
            Fill(
                venue=instrument.venue, symbol=instrument.symbol, trade_id=str(row[gt.FILL_TRADE]),
                client_id=client_id(made.bot.id, made.spec.token, leg, int(row[gt.FILL_ATTEMPT])),
                side=entry if role is Role.ENTRY else entry.opposite, price=price, qty=qty, fee=fee,
                fee_asset=instrument.quote, ts=_EPOCH + timedelta(microseconds=int(row[gt.FILL_US])),
                maker=bool(row[gt.FILL_MAKER]),
            )
        )  # fmt: skip
    return found


def line_in(made: KernelRun, log: Ints, bought: NDArray[np.bool_], columns: Columns, start: Decimal) -> Line:
    """Lay out a market's fills along its bars; `bought` says which of them were purchases."""
    units = made.units
    sign = np.where(bought, 1.0, -1.0)
    qty = log[:, gt.FILL_QTY] / 10.0**units.qty_scale
    price = log[:, gt.FILL_PRICE] / 10.0**units.price_scale
    cash = -price * qty * sign - log[:, gt.FILL_FEE] / 10.0**FEE_SCALE
    return line_at(log[:, gt.FILL_BAR], Closes(columns.close, 10.0**columns.scale), qty * sign, cash, float(start))


def drawdown_of(made: KernelRun) -> tuple[float, float]:
    """Return the deepest fall from a peak of equity at bar closes, a fraction, and the largest exposure in quote."""
    return equity_in_one_pass(made, np.zeros(0, dtype=np.int64))[:2]


def equity_in_one_pass(made: KernelRun, asked: Ints) -> tuple[float, float, NDArray[np.float64]]:
    """Return fall and exposure as `drawdown_of`, and the equity at the bars `asked`, in rising order.

    For runs of one market; no curve is made, and every number is that of the curve.
    """
    columns, units = made.columns, made.units
    return kernel_native.drawdown(
        (columns.close, columns.low_1, columns.high_1), made.cash_log, asked, short=made.short,
        price_unit=10.0**units.price_scale, qty_unit=10.0**units.qty_scale, close_unit=10.0**columns.scale,
        start=float(made.spec.capital_quote),
    )  # fmt: skip


def curve_of(made: KernelRun) -> Curve:
    """Return the equity curve at bar closes."""
    return equity_curve(made.columns.ts, made.lines())


def ratios_in(made: KernelRun) -> Ratios:
    """Return the figures of the equity curve, to the last bit; those of one market in the one compiled pass."""
    ts_ms = made.columns.ts
    if made.spec.others:
        return ratios_along(ts_ms, made.lines())
    fall, exposure, daily = equity_in_one_pass(made, np.append(0, day_ends(ts_ms)))
    return ratios_of_days(fall, exposure, daily.tolist())


def figures_of(made: KernelRun, elapsed_s: float) -> dict[str, Any]:
    """Return the same figures as a backtest by the core engine, under the same names."""
    log, capital = made.log, made.spec.capital_quote
    sums = sums_of(made)
    shown = ratios_in(made)
    return {
        "bars": len(made.columns.ts),
        "fills": len(log),
        "fills_initial": int(made.scalars[gt.S_INITIAL]),
        "round_trips": sums.round_trips,
        "net_pnl": plain(sums.net),
        "realized_pnl": plain(sums.realized),
        "unrealized_pnl": plain(sums.floating),
        "grid_profit": plain(sums.grid_profit),
        "fees": plain(sums.fees),
        "funding": plain(sums.funding),
        "final_equity": plain(capital + sums.net),
        "max_drawdown": shown.max_drawdown,
        "sharpe": shown.sharpe,
        "sortino": shown.sortino,
        "win_rate": sums.won / sums.round_trips if sums.round_trips else None,
        "exposure_max": plain(Decimal(repr(shown.exposure_max)).quantize(Decimal("0.01"))),
        "elapsed_s": round(elapsed_s, 6),
        "engine": "kernel",
        "capital_quote": plain(capital),
        "visited_bars": int(made.scalars[gt.S_VISITED]),
        "symbol": made.bot.symbol,
        "timeframe": made.columns.timeframe,
        "intrabar": made.options.intrabar,
        "fill": made.options.fill,
        "latency_s": made.options.latency_s,
    }
