"""Refuses kernel runs whose account might not have paid for everything: kernels know no balances and liquidate nothing."""

from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from core import grid_table as gt
from core.engine import Limits
from core.simbook import FillRules
from core.values import ONE, ZERO, plain, ratio
from tasks.kernel_tables import INT_MAX, refuse

if TYPE_CHECKING:
    from tasks.kernel_run import KernelRun


def worth_of_levels(made: "KernelRun", limits: Limits) -> Decimal:
    """Return what all levels of a grid together may be worth: a purchase its own price, a sale what it may be sent at.

    Raises `Refused` where that of a short grid may come to `risk.max_exposure_quote`; a long one's is what was planned.
    """
    spec, columns, most = made.spec, made.columns, limits.max_exposure_quote
    if not spec.instrument.swap:
        return spec.capital_quote
    highest = ZERO
    if made.short:
        sent = Decimal(columns.highest).scaleb(-columns.scale) * (ONE + spec.safe_spread)
        highest = spec.instrument.ceil_price(sent)
    worth = sum((max(line.entry_price, highest) * line.qty for line in spec.plan.lines), ZERO)
    if made.short and most is not None and worth > most:
        raise refuse(f"risk.max_exposure_quote may bind: the levels may come to {plain(worth)}")
    return worth


def check_money(made: "KernelRun", opening: Decimal, worth: Decimal) -> None:
    """Raise `Refused` where the account might not always pay for every order, or a swap's position might be liquidated.

    `worth` is the most in quote that lots and entries come to. A bound: a poor account may be refused that would do.
    """
    units, log, instrument = made.units, made.log, made.spec.instrument
    value_most = 2 * made.columns.highest * int(made.levels[gt.QTY].max())
    if (len(log) + 1) * value_most * units.cost_mul >= INT_MAX:
        raise refuse("sums of so many and so fine amounts do not fit 64 bits")
    least = opening + made.amount(int(made.scalars[gt.S_NET_LEAST]))
    if made.payments is not None:
        least += made.payments.least
    if instrument.swap:
        needed = ratio(worth, Decimal(made.bot.leverage))
        if len(log):
            # The venue's margin is that of an average price, which no lot need have.
            prices, sizes = log[:, gt.FILL_PRICE], log[:, gt.FILL_QTY]
            spread = Decimal(int(prices.max() - prices.min())).scaleb(-units.price_scale)
            held = int(np.cumsum(np.where(log[:, gt.FILL_EXIT] == 1, -sizes, sizes)).max())
            needed += spread * Decimal(held).scaleb(-units.qty_scale)
    else:
        needed = worth * (ONE + max(instrument.maker, instrument.taker, ZERO))
    if needed > least:
        raise refuse(
            f"an account of {plain(opening)} {instrument.quote} may not pay for all its orders at once "
            f"(venues[].balances: {plain(needed - least + opening)} surely would)"
        )
    if instrument.swap and len(log):
        _check_liquidation(made)


def _check_liquidation(made: "KernelRun") -> None:
    # The kernel liquidates nothing: refused where the worst average price that these fills could have, and the extreme
    # of the candles, do not rule it out. Up to a liquidation both engines do the same, so the fills tell.
    prices, share = made.log[:, gt.FILL_PRICE], ratio(ONE, Decimal(made.bot.leverage))
    maintenance = FillRules().maintenance
    if not made.short:
        dearest = Decimal(int(prices.max())).scaleb(-made.units.price_scale)
        edge = ratio(dearest * (ONE - share), ONE - maintenance)
        reached = Decimal(int(made.columns.low_1.min())).scaleb(-made.columns.scale) <= edge
    else:
        cheapest = Decimal(int(prices.min())).scaleb(-made.units.price_scale)
        edge = ratio(cheapest * (ONE + share), ONE + maintenance)
        reached = Decimal(made.columns.highest).scaleb(-made.columns.scale) >= edge
    if reached:
        raise refuse(f"the position may be liquidated at about {plain(edge.quantize(Decimal('0.01')))}")
