"""Configuration of the `twap` kind, and its plan."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from core.config import Fraction, PlanRefused, Positive, TripleBarrier
from core.executors.config import ExecutorConfig
from core.executors.plan import ONE_TICK, Plan
from core.machine import Prepared
from core.market import Instrument, Market
from core.values import ZERO, Side, plain

SLICES_MAX = 2000


class TwapConfig(ExecutorConfig):
    """Executes `total_amount_quote` in floor(total_duration / order_interval) + 1 slices; times in seconds.

    TAKER takes each slice from the book. MAKER lets it rest `limit_order_buffer` from the mid price, moved there again
    after `order_resubmission_time`. What has not executed one interval after the last slice is withdrawn.
    """

    kind: Literal["twap"] = "twap"
    total_amount_quote: Positive
    total_duration: Annotated[float, Field(ge=0, le=31_536_000, allow_inf_nan=False)]
    order_interval: Annotated[float, Field(gt=0, le=31_536_000, allow_inf_nan=False)]
    mode: Literal["TAKER", "MAKER"] = "TAKER"
    limit_order_buffer: Fraction | None = None
    order_resubmission_time: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        objection = None
        if self.mode == "MAKER" and self.limit_order_buffer is None:
            objection = (
                "limit_order_buffer: MAKER needs one: how far from the mid price its orders rest, for example 0.0005"
            )
        elif self.mode == "TAKER" and self.limit_order_buffer is not None:
            objection = "limit_order_buffer: belongs to mode MAKER"
        elif self.mode == "TAKER" and self.order_resubmission_time is not None:
            objection = "order_resubmission_time: belongs to mode MAKER"
        elif self.slices > SLICES_MAX:
            objection = f"order_interval: makes {self.slices} slices; at most {SLICES_MAX} are possible"
        if objection is not None:
            raise ValueError(objection)
        return self

    @property
    def slices(self) -> int:
        """How many slices there are."""
        return int(self.total_duration // self.order_interval) + 1


def prepare(config: TwapConfig, instruments: Mapping[Market, Instrument]) -> Prepared:
    """Make a TWAP ready; raises `PlanRefused` where a slice would be below the exchange's minimum."""
    instrument = instruments[config.venue, config.symbol]
    share = config.total_amount_quote / config.slices
    if share < instrument.min_notional:
        most = int(config.total_amount_quote / instrument.min_notional)
        raise PlanRefused(
            "order_interval" if most else "total_amount_quote",
            f"{config.slices} slices of {plain(share.quantize(Decimal('0.01')))} {instrument.quote} are below the minimum order "
            f"of {plain(instrument.min_notional)}; " + (f"at most {most} slices work" if most else "more money works"),
        )
    plan = Plan(
        config=config, instrument=instrument, side=Side(config.side.lower()), entries=((ZERO, ZERO),) * config.slices,
        barriers=TripleBarrier(), closes=False, market=config.mode == "TAKER", post_only=config.mode == "MAKER",
        slippage=config.max_slippage_bps / 10_000, max_retries=config.max_retries, slices=True,
    )  # fmt: skip
    return Prepared(
        plan=plan, capital_quote=config.capital_quote or config.total_amount_quote, places=plan.places,
        long=config.side == "BUY", hears_refusals=True, safe_spread=ONE_TICK,
    )  # fmt: skip
