"""A backtest of a bot, or of all together, from the UI or a notebook: as the command, its figures as an artifact."""

from datetime import datetime
from typing import Annotated, Any, Literal

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger
from pydantic import Field

from tasks.backtest_flow import key_of, markdown_of, run_backtest


@flow(name="backtest", retries=0, persist_result=False)
def backtest(
    portfolio: Annotated[str, Field(description="The portfolio file; mode and feed are ignored")],
    candles: Annotated[list[str], Field(min_length=1, description="[VENUE=]PATH of candle files")],
    bot: Annotated[
        str | None, Field(pattern="^[a-z0-9]{1,8}$", description="One bot; all together when left out")
    ] = None,
    from_: Annotated[datetime | None, Field(description="First candle, UTC")] = None,
    to_: Annotated[datetime | None, Field(description="First candle not to use, UTC")] = None,
    intrabar: Literal["adaptive", "ohlc", "olhc", "worst"] = "adaptive",
    fill: Literal["cross", "touch"] = "cross",
    latency_s: Annotated[float, Field(ge=0, le=86_400, description="From a price to an order on the book")] = 6.0,
    engine: Literal["core", "kernel"] = "core",
    funding: Annotated[
        list[str] | None, Field(description="[VENUE[:SYMBOL]=]PATH of funding rates of the swaps")
    ] = None,
    out: Annotated[str | None, Field(description="Folder for fills, equity, report and pictures (core)")] = None,
) -> dict[str, Any]:
    """Backtest over candle files, keep the run and return its figures, money as text.

    Args:
        portfolio: the portfolio file.
        candles: candle files, each as PATH or VENUE=PATH.
        bot: one bot of the file; without it all together, on the accounts that they share.
        from_: first candle, UTC.
        to_: first candle not to use, UTC.
        intrabar: the path inside a bar; adaptive takes the extreme nearer to the open first.
        fill: cross needs a trade through the limit, touch a trade at it.
        latency_s: seconds from a price to an order on the book.
        engine: core, or kernel (compiled, the same result, no files).
        funding: funding files of the swaps, each as PATH, VENUE=PATH or VENUE:SYMBOL=PATH.
        out: folder for fills, equity, report and pictures.
    """
    figures = run_backtest(
        portfolio, candles, bot=bot, from_=from_, to=to_, intrabar=intrabar, fill=fill, latency_s=latency_s,
        engine=engine, out=out, funding=funding or (),
    )  # fmt: skip
    create_markdown_artifact(markdown_of(figures), key=key_of("backtest", portfolio, bot), description="Backtest")
    get_run_logger().info("net PnL %s after %s fills", figures["net_pnl"], figures["fills"])
    return figures
