"""Pays the funding of a finished kernel run, exactly as the simulated venue does between the points of a backtest.

A run is only accepted where its account can never bind, and where nothing that the bot does depends on what was paid: so
payments change money alone, and the log of fills says all that they depend on (RULES 18b).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core import grid_table as gt
from core.market import Market
from core.series import exact_units, places
from tasks.kernel_tables import FEE_SCALE, INT_MAX, Columns, Ints, refuse

if TYPE_CHECKING:
    from tasks.kernel_run import KernelRun

RateRow = tuple[int, Decimal, float]


@dataclass(frozen=True, slots=True)
class Due:
    """Payments that fall due over candles: time in ms, the bar at whose opening each is paid, rate in 10**-scale.

    What fell due by the first opening met no position and is left out, and so is what no bar follows. `most` is the
    largest rate either way; rates are Python's whole numbers where 64 bits do not hold them.
    """

    ms: Ints
    bar: Ints
    rate: NDArray[Any]
    scale: int
    most: int


@dataclass(frozen=True, slots=True)
class Payments:
    """What a run was paid (> 0) or paid: time in ms and amount in 1e-8 quote of each, and the log of fills with them in it.

    In that log a payment is an execution of nothing, with a fee of the other sign.
    """

    ms: Ints
    amount: Ints
    log: Ints

    @property
    def total(self) -> Decimal:
        """All payments in quote."""
        return Decimal(int(self.amount.sum())).scaleb(-FEE_SCALE)

    @property
    def least(self) -> Decimal:
        """The least that all payments up to some moment ever came to, in quote; at most zero."""
        return Decimal(min(int(np.cumsum(self.amount).min(initial=0)), 0)).scaleb(-FEE_SCALE)


def due_of(rows: Sequence[RateRow], columns: Columns) -> Due:
    """Lay out a swap's funding rows, rising in time, along the candles of a bot's first market."""
    ms = np.array([row[0] for row in rows], dtype=np.int64)
    bar = np.searchsorted(columns.ts, ms, side="left")
    keep = np.flatnonzero((bar > 0) & (bar < len(columns.ts)))
    rates = [rows[k][1] for k in keep.tolist()]
    scale = max(map(places, rates), default=0)
    units = [exact_units(rate, scale) for rate in rates]
    most = max(map(abs, units), default=0)
    return Due(ms[keep], bar[keep], np.array(units, dtype=np.int64 if most < INT_MAX else object), scale, most)


def dues_of(rates: Mapping[Market, Sequence[RateRow]], columns: Columns) -> dict[Market, Due]:
    """Lay out the funding of several swaps along the candles of a bot's first market."""
    return {market: due_of(rows, columns) for market, rows in rates.items()}


def pay(made: "KernelRun", dues: Mapping[Market, Due] | None) -> None:
    """Pay a run of one market what fell due while it held a position; raises `Refused` for amounts beyond 64 bits.

    Also for a bot that acts by what it was paid: a recovery with a budget of losses, a stop or target over the bot's profit.
    """
    due = None if dues is None else dues.get(made.spec.instrument.market)
    if due is None or not len(due.ms) or not len(made.log):
        return
    log, columns = made.log, made.columns
    # Before the path moves on to the opening: what happens between the last close and it comes after the payment.
    before = np.searchsorted(log[:, gt.FILL_US], made.closes_us(due.bar - 1), side="right")
    held = np.append(0, np.cumsum(made.sizes))[before]
    some = np.flatnonzero(held)
    if len(some):
        bot = made.bot
        if bot.kind == "rolling_grid" and bot.recovery_loss_budget is not None:
            raise refuse("recovery_loss_budget counts what funding brings")
        if bot.kind == "grid" and (bot.bot_stop_loss is not None or bot.bot_take_profit is not None):
            raise refuse("bot_stop_loss and bot_take_profit count what funding brings")
        amounts = _amounts(made, held[some], columns.close[due.bar[some] - 1], due, some)
        made.payments = Payments(due.ms[some], amounts, merged(log, columns, due.ms[some], amounts))


def _amounts(made: "KernelRun", held: Ints, price: Ints, due: Due, some: Ints) -> Ints:
    # As `core.simpurse.Purse.fund` rounds: floored, so that what is owed is never rounded in the payer's favour.
    shift = FEE_SCALE - made.units.qty_scale - made.columns.scale - due.scale
    times, parts = 10 ** max(shift, 0), 10 ** max(-shift, 0)
    largest = int(np.abs(held).max()) * int(price.max()) * max(due.most, 1) * times
    rate = due.rate[some]
    if max(largest, parts) >= INT_MAX:
        held, rate = held.astype(object), rate.astype(object)
    amounts = -held * price * rate * times // parts
    if int(np.abs(amounts).max()) * len(amounts) >= INT_MAX:
        raise refuse("funding payments of so fine prices and quantities do not fit 64 bits")
    return amounts.astype(np.int64)


def merged(log: Ints, columns: Columns, ms: Ints, amounts: Ints) -> Ints:
    """Put payments into a log of fills, in the order and at the bars in which `tasks.backtest_figures.lines_of` adds them up."""
    # By milliseconds as floats have them, fills first.
    rows = np.zeros((len(ms), gt.FILL_COLUMNS), dtype=np.int64)
    stamps = _stamps(ms * 1000)
    rows[:, gt.FILL_US], rows[:, gt.FILL_LEVEL], rows[:, gt.FILL_FEE] = ms * 1000, -1, -amounts
    rows[:, gt.FILL_BAR] = np.searchsorted(columns.ts, stamps, side="right") - 1
    at = np.searchsorted(_stamps(log[:, gt.FILL_US]), stamps, side="right")
    return np.ascontiguousarray(np.insert(log, at, rows, axis=0))


def _stamps(us: Ints) -> Ints:
    return (us / 1e6 * 1000).astype(np.int64)
