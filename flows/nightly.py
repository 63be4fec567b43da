"""The night of a portfolio: backfill, quality, books, backtests, report, backup and upkeep; `tasks.nightly` has the steps."""

from datetime import date
from typing import Annotated, Literal

from prefect import flow
from pydantic import Field

from tasks.nightly import begin
from tasks.nightly_stage import run_shown


@flow(name="nightly", retries=0, persist_result=False)
def nightly(
    portfolio: Annotated[str, Field(description="The portfolio file")],
    days: Annotated[int, Field(ge=1, le=3_660, description="How far candles and backtests go back")] = 30,
    timeframe: Annotated[
        Literal["1m", "5m", "15m", "1h", "4h", "1d"], Field(description="Of the candles asked of exchanges")
    ] = "1m",
    day: Annotated[date | None, Field(description="Which night, UTC; today's when left out")] = None,
    again: Annotated[bool, Field(description="Do every step again, those that are done included")] = False,
) -> None:
    """Do every step of the night that is not done yet. Fails at the end where a step did, naming it.

    Args:
        portfolio: the portfolio file.
        days: how far candles and backtests go back.
        timeframe: of the candles that exchanges are asked for.
        day: which night (UTC); today's when left out.
        again: do every step again.
    """
    run_shown(begin(portfolio, days=days, timeframe=timeframe, day=day, again=again))
