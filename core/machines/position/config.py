"""Configuration of the `position` kind, and its plan."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal, Self

from pydantic import model_validator

from core.config import Fraction, PlanRefused, Positive, TripleBarrier
from core.executors.config import CAPITAL_DEFAULT, ExecutorConfig
from core.executors.plan import ONE_TICK, Plan, check_amount, check_lot, needs_swap_to_short, objection_to_barriers
from core.machine import Prepared
from core.market import Instrument, Market
from core.values import ZERO, Side, exact_product, plain


class PositionConfig(ExecutorConfig):
    """Enters `amount` base at `entry_price` (default: the near touch at its first tick) and leaves by its barriers.

    `activation_bounds`: a limit entry rests only within the first fraction of the mid price; a market entry is sent once
    the mid price is within (first below, second above) of `entry_price`, mirrored for a short.
    """

    kind: Literal["position"] = "position"
    entry_price: Positive | None = None
    amount: Positive
    triple_barrier: TripleBarrier
    activation_bounds: Fraction | tuple[Fraction, Fraction] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        objection = objection_to_barriers(self.triple_barrier)
        if objection is None and self.activation_bounds is not None and self.entry_price is None:
            objection = "activation_bounds: need an entry_price from which the distance is measured"
        if objection is not None:
            raise ValueError(objection)
        return self

    def about_price(self) -> Decimal | None:
        """The entry price, where one is configured."""
        return self.entry_price

    @property
    def bounds(self) -> tuple[Decimal, Decimal] | None:
        """Both activation bounds; one fraction counts for both."""
        given = self.activation_bounds
        return given if isinstance(given, tuple) or given is None else (given, given)


def prepare(config: PositionConfig, instruments: Mapping[Market, Instrument]) -> Prepared:
    """Make a position ready; raises `PlanRefused` where the exchange would refuse its order."""
    instrument = instruments[config.venue, config.symbol]
    needs_swap_to_short(config, instrument)
    price = config.entry_price
    if price is not None and instrument.floor_price(price) != price:
        raise PlanRefused("entry_price", f"{plain(price)} is no multiple of the tick {plain(instrument.tick_size)}")
    check_lot(config.amount, instrument)
    if price is not None:
        check_amount("amount", instrument, price, config.amount)
    opens = config.triple_barrier.open_order_type or "LIMIT"
    plan = Plan(
        config=config, instrument=instrument, side=Side(config.side.lower()), entries=((price or ZERO, config.amount),),
        barriers=config.triple_barrier, closes=True, market=opens == "MARKET", post_only=opens == "LIMIT_MAKER",
        slippage=config.max_slippage_bps / 10_000, max_retries=config.max_retries,
    )  # fmt: skip
    capital = config.capital_quote or (
        Decimal(CAPITAL_DEFAULT) if price is None else exact_product(price, config.amount)
    )
    return Prepared(
        plan=plan,
        capital_quote=capital,
        places=plan.places,
        long=config.side == "BUY",
        hears_refusals=True,
        safe_spread=ONE_TICK,
    )
