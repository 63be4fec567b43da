"""DCA on bands: once the price falls below the lower band of its own recent mean, a DCA from there downwards.

The band is mean - width x standard deviation of the last `samples` mid prices, one every `sample_interval` seconds
(Bollinger's rule). No sample is taken from the future: the price that is judged is not among them yet.
"""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from core.config import Fraction, Positive, WideFraction
from core.controllers.protocol import ControllerConfig, Create, Proposals, Scene
from core.values import ONE, ZERO, floor_to, ratio


class DcaBandsConfig(ControllerConfig):
    """Enters at the price and at each of `spreads` below it, sharing the money by `weights`; leaves on the average."""

    controller_name: Literal["dca_bands"] = "dca_bands"
    samples: Annotated[int, Field(ge=5, le=500)] = 20
    sample_interval: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 60
    width: Positive = Decimal(2)
    spreads: Annotated[tuple[Fraction, ...], Field(min_length=1, max_length=20)] = (Decimal(0), Decimal("0.01"))
    weights: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=20)] = (Decimal(1), Decimal(2))
    take_profit: WideFraction
    stop_loss: WideFraction | None = None
    tick_size: Positive

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.spreads) != len(self.weights):
            message = f"weights: {len(self.weights)} for {len(self.spreads)} spreads; one for each works"
            raise ValueError(message)
        return self

    def propose(self, scene: Scene) -> Proposals:
        """Sample the price, and propose a DCA while it lies below the band."""
        prices = [Decimal(text) for text in scene.memory.get("prices", [])]
        at = float(scene.memory.get("sampled_at", 0))
        now_s = (scene.now - scene.now.min).total_seconds()
        band = self.lower_band(prices)
        memory = {"prices": [str(price) for price in prices], "sampled_at": at}
        if now_s - at >= self.sample_interval:
            kept = [*prices, scene.quote.mid][-self.samples :]
            memory = {"prices": [str(price) for price in kept], "sampled_at": now_s}
        if band is None or scene.quote.mid >= band:
            return Proposals((), memory)
        whole = sum(self.weights, ZERO)
        levels = [floor_to(scene.quote.mid * (ONE - spread), self.tick_size) for spread in self.spreads]
        dca = {
            "kind": "dca", "side": "BUY", "prices": levels,
            "amounts_quote": [self.total_amount_quote * weight / whole for weight in self.weights],
            "take_profit": self.take_profit, "stop_loss": self.stop_loss, "take_profit_order_type": "LIMIT",
        }  # fmt: skip
        told = {name: value for name, value in dca.items() if value is not None}
        return Proposals((Create("band", told),), memory)

    def lower_band(self, prices: list[Decimal]) -> Decimal | None:
        """Return mean - width x standard deviation (of the population) of full samples; None until they are full."""
        if len(prices) < self.samples:
            return None
        count = Decimal(len(prices))
        mean = ratio(sum(prices, ZERO), count)
        variance = ratio(sum(((price - mean) ** 2 for price in prices), ZERO), count)
        return mean - self.width * variance.sqrt()
