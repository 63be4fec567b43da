"""What the flow `backfill` does: fill the market store, publish what is new, show it as a table."""

from collections.abc import Sequence
from pathlib import Path

from prefect.artifacts import create_table_artifact

from tasks.backfill import FUNDING, Filled, backfill
from tasks.backtest_flow import key_of, safe
from tasks.errors import GridkeeperError
from tasks.market_store import open_market, publish_candles
from tasks.nightly import downloader
from tasks.nightly_steps import utc_now
from tasks.settings import data_dir, load_portfolio


class BackfillFailed(GridkeeperError):
    """Series that could not be had; the others were stored."""


def fill(portfolio: str, days: int, timeframe: str) -> list[Filled]:
    """Bring the market store of a portfolio up to date and publish the series that changed."""
    file = Path(portfolio)
    loaded = load_portfolio(file)
    home = data_dir(loaded, file)
    with open_market(home) as con:
        filled = backfill(con, loaded, file, home, days=days, timeframe=timeframe, now=utc_now(), download=downloader())
        for one in filled:
            if one.added and one.key.timeframe != FUNDING:
                publish_candles(con, home, one.key.venue, one.key.symbol, one.key.timeframe)
    return filled


def show(portfolio: str, filled: Sequence[Filled]) -> list[str]:
    """Show what was filled as a table; returns the lines. Raises `BackfillFailed` where a series could not be had."""
    rows = [
        {"venue": one.key.venue, "symbol": safe(one.key.symbol), "series": one.key.timeframe, "new": one.added,
         "ok": one.ok, "says": safe(one.says)}
        for one in filled
    ]  # fmt: skip
    create_table_artifact(rows, key=key_of("backfill", portfolio), description="Backfill")
    failed = [f"{one.key}: {one.says}" for one in filled if not one.ok]
    if failed:
        raise BackfillFailed("; ".join(failed), accepted="the same run again, once the cause is gone")
    return [f"{one.key}: {one.says}" for one in filled]
