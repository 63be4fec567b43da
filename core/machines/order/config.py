"""Configuration of the `order` kind, and its plan."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal, Self

from pydantic import model_validator

from core.config import Fraction, PlanRefused, Positive, Strict, TripleBarrier
from core.executors.config import CAPITAL_DEFAULT, ExecutorConfig
from core.executors.plan import ONE_TICK, Plan, check_amount, check_lot
from core.machine import Prepared
from core.market import Instrument, Market
from core.values import ZERO, Side, exact_product, plain


class ChaserConfig(Strict):
    """How a LIMIT_CHASER follows the near touch: `distance` from it, renewed once it is `refresh_threshold` away (fractions)."""

    distance: Fraction
    refresh_threshold: Fraction

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.refresh_threshold <= self.distance:
            message = (
                f"refresh_threshold: {plain(self.refresh_threshold)} is not more than the distance, so every price would "
                f"renew the order; above {plain(self.distance)} works"
            )
            raise ValueError(message)
        return self


class OrderConfig(ExecutorConfig):
    """Executes `amount` base once. LIMIT and LIMIT_MAKER need `price`, LIMIT_CHASER needs `chaser_config`."""

    kind: Literal["order"] = "order"
    amount: Positive
    execution_strategy: Literal["LIMIT", "LIMIT_MAKER", "MARKET", "LIMIT_CHASER"]
    position_action: Literal["OPEN", "CLOSE"] = "OPEN"
    price: Positive | None = None
    chaser_config: ChaserConfig | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        how, objection = self.execution_strategy, None
        if how in {"LIMIT", "LIMIT_MAKER"} and self.price is None:
            objection = f"price: {how} needs one; MARKET and LIMIT_CHASER work without"
        elif how in {"MARKET", "LIMIT_CHASER"} and self.price is not None:
            objection = f"price: {how} follows the book; leave it out, or use LIMIT or LIMIT_MAKER"
        elif how == "LIMIT_CHASER" and self.chaser_config is None:
            objection = "chaser_config: LIMIT_CHASER needs {distance, refresh_threshold}"
        elif how != "LIMIT_CHASER" and self.chaser_config is not None:
            objection = f"chaser_config: belongs to LIMIT_CHASER, not to {how}"
        if objection is not None:
            raise ValueError(objection)
        return self

    def about_price(self) -> Decimal | None:
        """The price, where one is configured."""
        return self.price


def prepare(config: OrderConfig, instruments: Mapping[Market, Instrument]) -> Prepared:
    """Make an order ready; raises `PlanRefused` where the exchange would refuse it."""
    instrument = instruments[config.venue, config.symbol]
    if config.position_action == "CLOSE":
        raise PlanRefused(
            "position_action", "an order of its own holds nothing that it could close; stop the executor that holds the "
            "position, or use `control BOT flatten`; OPEN works",
        )  # fmt: skip
    price, how = config.price, config.execution_strategy
    if price is not None and instrument.floor_price(price) != price:
        raise PlanRefused("price", f"{plain(price)} is no multiple of the tick {plain(instrument.tick_size)}")
    check_lot(config.amount, instrument)
    if price is not None:
        check_amount("amount", instrument, price, config.amount)
    plan = Plan(
        config=config, instrument=instrument, side=Side(config.side.lower()), entries=((price or ZERO, config.amount),),
        barriers=TripleBarrier(), closes=False, market=how == "MARKET", post_only=how in {"LIMIT_MAKER", "LIMIT_CHASER"},
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
