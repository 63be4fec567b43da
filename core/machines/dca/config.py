"""Configuration of the `dca` kind, and its plan."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from core.config import (
    Fraction,
    OrderType,
    PlanRefused,
    Positive,
    PriceSource,
    Seconds,
    TrailingStop,
    TripleBarrier,
    WideFraction,
)
from core.executors.config import ExecutorConfig
from core.executors.plan import ONE_TICK, Plan, check_amount, needs_swap_to_short, objection_to_barriers
from core.machine import Prepared
from core.market import Instrument, Market
from core.values import ONE, ZERO, Side, exact_product, plain, ratio

# The original's bounds of a taker entry: the second one is how far the mid price may still be from the level.
TAKER_BOUNDS = (Decimal("0.0001"), Decimal("0.005"))


class DcaConfig(ExecutorConfig):
    """Enters `amounts_quote[i]` at `prices[i]`, in the order of the list; the barriers look at the average of what filled.

    MAKER: limit orders, placed once within the first activation bound and kept. TAKER: from the book, once the mid price is
    within the second bound of the level or beyond it.
    """

    kind: Literal["dca"] = "dca"
    amounts_quote: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=200)]
    prices: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=200)]
    take_profit: WideFraction | None = None
    stop_loss: WideFraction | None = None
    trailing_stop: TrailingStop | None = None
    time_limit: Seconds | None = None
    mode: Literal["MAKER", "TAKER"] = "MAKER"
    activation_bounds: Fraction | tuple[Fraction, Fraction] | None = None
    take_profit_order_type: OrderType | None = None
    price_source: PriceSource | None = None
    allow_wide: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        objection = objection_to_barriers(self.barriers)
        objection = objection.removeprefix("triple_barrier.") if objection is not None else None
        if len(self.amounts_quote) != len(self.prices):
            given, wanted = len(self.amounts_quote), len(self.prices)
            objection = f"amounts_quote: {given} amounts for {wanted} prices; one amount for each price works"
        if objection is not None:
            raise ValueError(objection)
        return self

    @property
    def barriers(self) -> TripleBarrier:
        """The barriers, as one triple barrier."""
        return TripleBarrier(
            stop_loss=self.stop_loss, take_profit=self.take_profit, time_limit=self.time_limit,
            trailing_stop=self.trailing_stop, take_profit_order_type=self.take_profit_order_type,
            price_source=self.price_source, allow_wide=self.allow_wide,
        )  # fmt: skip

    @property
    def bound(self) -> Decimal | None:
        """The activation bound of its mode."""
        given = self.activation_bounds
        if self.mode == "TAKER":
            return (TAKER_BOUNDS if given is None else given)[1] if not isinstance(given, Decimal) else given
        return given[0] if isinstance(given, tuple) else given

    def about_price(self) -> Decimal:
        """The first level's price."""
        return self.prices[0]


def prepare(config: DcaConfig, instruments: Mapping[Market, Instrument]) -> Prepared:
    """Make a DCA ready; raises `PlanRefused` for levels below the exchange's minimum or behind the stop."""
    instrument = instruments[config.venue, config.symbol]
    needs_swap_to_short(config, instrument)
    entries: list[tuple[Decimal, Decimal]] = []
    for index, (amount, price) in enumerate(zip(config.amounts_quote, config.prices, strict=True)):
        if instrument.floor_price(price) != price:
            raise PlanRefused(
                f"prices[{index}]", f"{plain(price)} is no multiple of the tick {plain(instrument.tick_size)}"
            )
        check_amount(f"amounts_quote[{index}]", instrument, price, ratio(amount, price))
        entries.append((price, instrument.floor_qty(ratio(amount, price))))
    _check_stop(config, entries, instrument)
    plan = Plan(
        config=config, instrument=instrument, side=Side(config.side.lower()), entries=tuple(entries),
        barriers=config.barriers, closes=True, market=config.mode == "TAKER", post_only=False,
        slippage=config.max_slippage_bps / 10_000, max_retries=config.max_retries,
    )  # fmt: skip
    capital = config.capital_quote or sum((exact_product(price, qty) for price, qty in entries), ZERO)
    return Prepared(
        plan=plan,
        capital_quote=capital,
        places=plan.places,
        long=config.side == "BUY",
        hears_refusals=True,
        safe_spread=ONE_TICK,
    )


def _check_stop(config: DcaConfig, entries: list[tuple[Decimal, Decimal]], instrument: Instrument) -> None:
    # The stop holds from the first level on: one that fires before the next level could fill would make it vain.
    if config.stop_loss is None:
        return
    sign, fee = (1 if config.side == "BUY" else -1), max(instrument.maker, instrument.taker, ZERO)
    base = quote = ZERO
    for index, (price, qty) in enumerate(entries[:-1]):
        base, quote = base + qty, quote + exact_product(price, qty)
        average, following = ratio(quote, base), entries[index + 1][0]
        stop = average * (ONE - (config.stop_loss - fee) * sign)
        if (stop - following) * sign >= ZERO:
            needed = ratio(abs(average - following), average) + fee
            works = plain(needed.quantize(Decimal("0.0001")) + Decimal("0.0001"))
            raise PlanRefused(
                "stop_loss",
                f"{plain(config.stop_loss)} below the average of the first {index + 1} levels is reached before level "
                f"{index + 1} at {plain(following)}; {works} works",
            )
