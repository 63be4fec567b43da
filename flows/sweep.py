"""Many configurations of one bot, from the UI or a notebook: the same as the command, with its tables as an artifact."""

from datetime import datetime
from typing import Annotated, Any, Literal

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger
from pydantic import Field

from tasks.sweep_form import key_of, markdown_of, run_sweep


@flow(name="sweep", retries=0, persist_result=False)
def sweep(
    portfolio: Annotated[str, Field(description="The portfolio file; mode and feed are ignored")],
    candles: Annotated[list[str], Field(min_length=1, description="[VENUE=]PATH of candle files")],
    vary: Annotated[list[str], Field(min_length=1, description="NAME=FROM:TO:COUNT or NAME=X,Y,Z, one a line")],
    bot: Annotated[
        str | None, Field(pattern="^[a-z0-9]{1,8}$", description="Which bot, where there are several")
    ] = None,
    draws: Annotated[int | None, Field(ge=1, description="So many combinations at random, in place of all")] = None,
    seed: Annotated[int, Field(description="Of the random combinations")] = 0,
    walk_forward: Annotated[int | None, Field(ge=1, le=100, description="Choose and test so many times")] = None,
    from_: Annotated[datetime | None, Field(description="First candle, UTC")] = None,
    to_: Annotated[datetime | None, Field(description="First candle not to use, UTC")] = None,
    intrabar: Literal["adaptive", "ohlc", "olhc", "worst"] = "adaptive",
    fill: Literal["cross", "touch"] = "cross",
    latency_s: Annotated[float, Field(ge=0, le=86_400, description="From a price to an order on the book")] = 6.0,
    engine: Literal["core", "kernel"] = "kernel",
    runner: Literal["process", "dask", "ray"] = "process",
    processes: Annotated[int | None, Field(ge=1, le=1024, description="Workers; one a processor when left out")] = None,
    out: Annotated[str | None, Field(description="Folder for all runs, the heat map and a page")] = None,
    funding: Annotated[
        list[str] | None, Field(description="[VENUE[:SYMBOL]=]PATH of funding rates of the swaps")
    ] = None,
) -> dict[str, Any]:
    """Run a sweep and keep it in the market store. Return what it says, money as text.

    Args:
        portfolio: the portfolio file.
        candles: candle files, each as PATH or VENUE=PATH.
        vary: fields of the bot and their values, each as NAME=FROM:TO:COUNT or NAME=X,Y,Z.
        bot: which bot, where the file has several.
        draws: so many combinations at random; all of them when left out.
        seed: of the random combinations.
        walk_forward: how often a winner is chosen on one stretch and tested on the next.
        from_: first candle, UTC.
        to_: first candle not to use, UTC.
        intrabar: the path inside a bar.
        fill: cross needs a trade through the limit, touch a trade at it.
        latency_s: seconds from a price to an order on the book.
        engine: kernel where it can do a configuration, else the core.
        runner: processes of this machine, Dask or Ray.
        processes: how many workers; one a processor when left out.
        out: folder for files.
        funding: funding files of the swaps, each as PATH, VENUE=PATH or VENUE:SYMBOL=PATH.
    """
    said = run_sweep(
        portfolio, candles, vary, bot=bot, draws=draws, seed=seed, walk_forward=walk_forward, from_=from_, to=to_,
        intrabar=intrabar, fill=fill, latency_s=latency_s, engine=engine, runner=runner, processes=processes, out=out,
        funding=funding or (),
    )  # fmt: skip
    create_markdown_artifact(markdown_of(said), key=key_of(said), description="Sweep")
    get_run_logger().info("sweep %s: %d configurations", said["sweep_id"], said["trials"])
    return said
