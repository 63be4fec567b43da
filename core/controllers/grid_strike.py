"""Grid strike: one grid while the price is inside its range; laid anew after it ended, not before the cooldown is over."""

from typing import Literal, Self

from pydantic import model_validator

from core.config import Fraction, Positive
from core.controllers.protocol import ControllerConfig, Create, Proposals, Scene


class GridStrikeConfig(ControllerConfig):
    """Runs a `grid` between `start_price` and `end_price` while the mid price lies in between; `limit_price` stops it."""

    controller_name: Literal["grid_strike"] = "grid_strike"
    side: Literal["BUY", "SELL"] = "BUY"
    start_price: Positive
    end_price: Positive
    limit_price: Positive | None = None
    min_spread_between_orders: Fraction
    min_order_amount_quote: Positive | None = None
    max_open_orders: int | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.start_price >= self.end_price:
            message = f"start_price: {self.start_price} is not below end_price {self.end_price}"
            raise ValueError(message)
        return self

    def propose(self, scene: Scene) -> Proposals:
        """Propose the grid while the price is inside; nothing outside of it."""
        if not self.start_price <= scene.quote.mid <= self.end_price:
            return Proposals()
        grid = {
            "kind": "grid", "side": self.side, "start_price": self.start_price, "end_price": self.end_price,
            "limit_price": self.limit_price, "total_amount_quote": self.total_amount_quote,
            "min_spread_between_orders": self.min_spread_between_orders, "max_open_orders": self.max_open_orders,
            "min_order_amount_quote": self.min_order_amount_quote,
        }  # fmt: skip
        return Proposals((Create("grid", {name: value for name, value in grid.items() if value is not None}),))
