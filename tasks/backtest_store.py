"""Keeps finished backtests in the market store of a portfolio, with their fills: tables `backtests` and `backtest_fills`.

A backtest is kept where the portfolio's data folder exists. It never fails because it can't be: the store of a batch
process that is at work stays that process's, and the one who asked is told.
"""

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from core.facts import Fill
from tasks.backtesting import Run
from tasks.errors import GridkeeperError
from tasks.kernel_run import KernelRun
from tasks.market_store import open_market
from tasks.migrations import MigrationRefused
from tasks.portfolio_backtest import PortfolioRun
from tasks.runs_publish import publish_runs
from tasks.sweep_run import FIGURES
from tasks.sweep_store import MONEY, arrow_schema, instant

Finished = Run | KernelRun


def keep_backtest(made: Finished | PortfolioRun, place: Path, portfolio_id: str) -> tuple[str | None, str | None]:
    """Keep a finished backtest in a data folder; returns its run id, or None and why it was not kept.

    Of a whole portfolio each bot is a run of its own; its id stands in that bot's figures.
    """
    parts = list(made.runs.values()) if isinstance(made, PortfolioRun) else [made]
    try:
        with open_market(place) as con:
            now = datetime.now(UTC).replace(tzinfo=None)
            ids = [write_backtest(con, one, portfolio_id, now) for one in parts]
            publish_runs(con, place)
            if not isinstance(made, PortfolioRun):
                return ids[0], None
            for one, run_id in zip(parts, ids, strict=True):
                one.figures["run_id"] = run_id
            return None, None
    except (GridkeeperError, MigrationRefused, duckdb.Error, OSError) as fault:
        return None, f"this run is not kept in the market store: {str(fault).splitlines()[0]}"


def write_backtest(con: duckdb.DuckDBPyConnection, made: Finished, portfolio_id: str, now: datetime) -> str:
    """Write one run and its fills in one transaction; returns its id."""
    run_id = uuid.uuid4().hex[:16]
    fills = made.fills() if isinstance(made, KernelRun) else made.fills
    con.begin()
    try:
        _insert(con, "backtests", [_row(made, run_id, portfolio_id, now)])
        _insert(con, "backtest_fills", [_fill(run_id, i, made.bot.id, fill) for i, fill in enumerate(fills)])
    except duckdb.Error:
        con.rollback()
        raise
    con.commit()
    return run_id


def _insert(con: duckdb.DuckDBPyConnection, table: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        con.register("fresh", pa.Table.from_pylist(rows, schema=arrow_schema(con, table)))
        con.table("fresh").insert_into(table)
        con.unregister("fresh")


def _row(made: Finished, run_id: str, portfolio_id: str, now: datetime) -> dict[str, Any]:
    figures: Mapping[str, Any] = made.figures
    stamps: Any = made.columns.ts if isinstance(made, KernelRun) else made.series.ts  # type: ignore[attr-defined]  an ArraySeries
    bot = made.bot
    row: dict[str, Any] = {
        "run_id": run_id, "sweep_id": None, "number": 0, "segment": 0, "recorded_at": now, "portfolio_id": portfolio_id,
        "bot_id": bot.id, "kind": bot.kind, "venue": bot.venue, "symbol": bot.symbol, "timeframe": figures["timeframe"],
        "first_ts": instant(int(stamps[0])), "last_ts": instant(int(stamps[-1])), "config": bot.model_dump_json(),
        "intrabar": figures["intrabar"], "fill": figures["fill"], "latency_s": figures["latency_s"],
        "engine": figures["engine"], "refused": None, "bars": figures["bars"], "returns_sums": None,
        "warnings": json.dumps(made.remarks),
    }  # fmt: skip
    for name in FIGURES:
        value = figures[name]
        row[name] = Decimal(value) if name in MONEY and value is not None else value
    return row


def _fill(run_id: str, seq: int, bot_id: str, fill: Fill) -> dict[str, Any]:
    return {
        "run_id": run_id, "seq": seq, "ts": fill.ts, "venue": fill.venue, "symbol": fill.symbol, "bot_id": bot_id,
        "client_id": fill.client_id, "trade_id": fill.trade_id, "side": fill.side.value, "price": fill.price,
        "qty": fill.qty, "fee": fill.fee, "fee_asset": fill.fee_asset, "maker": fill.maker,
    }  # fmt: skip
