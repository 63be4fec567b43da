"""Candles and funding of what a portfolio's bots trade, brought up to date in the market store."""

from typing import Annotated, Literal

from prefect import flow
from prefect.logging import get_run_logger
from pydantic import Field

from tasks.backfill_flow import fill, show


@flow(name="backfill", retries=0, persist_result=False)
def backfill(
    portfolio: Annotated[str, Field(description="The portfolio file")],
    days: Annotated[int, Field(ge=1, le=3_660, description="How far back")] = 30,
    timeframe: Annotated[
        Literal["1m", "5m", "15m", "1h", "4h", "1d"], Field(description="Of the candles asked of exchanges")
    ] = "1m",
) -> list[str]:
    """Fetch what is missing; an interrupted run is simply run again. Return a line for each series.

    Args:
        portfolio: the portfolio file.
        days: how far back candles and funding go.
        timeframe: of the candles that exchanges are asked for.
    """
    filled = fill(portfolio, days, timeframe)
    lines = show(portfolio, filled)
    get_run_logger().info("\n".join(lines))
    return lines
