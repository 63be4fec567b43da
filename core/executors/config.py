"""The fields that every executor's configuration has beside those of a bot."""

from typing import Annotated, Literal

from pydantic import Field

from core.config import BotBase, Positive, Seconds

# What profit is measured against where no price is configured from which it could be computed (quote).
CAPITAL_DEFAULT = 1000


class ExecutorConfig(BotBase):
    """An executor: one task with a beginning and an end.

    `timestamp` (Unix seconds) is when its time begins to count; without it, its first tick, stamped and kept. `max_retries`
    bounds refusals of an entry in a row. `capital_quote` is what percentages and drawdown are measured against: amount
    times price where the configuration says a price, else 1000.
    """

    side: Literal["BUY", "SELL"]
    timestamp: Seconds | None = None
    controller_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] = "main"
    level_id: Annotated[str, Field(max_length=64)] | None = None
    max_retries: Annotated[int, Field(ge=0, le=1000)] = 10
    capital_quote: Positive | None = None

    def direction_at(self, market: tuple[str, str]) -> str:  # noqa: ARG002  it has one market
        """Its own side: the position only ever stands there."""
        return self.side
