"""Fills the report of a running portfolio from its published copy, and writes it: HTML and pictures."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from core import metrics
from core.values import ZERO
from tasks.report_beside import beside_of, leverages_of
from tasks.report_data import CANDLE_COLUMNS, BotReport, BotSummary, ReportData
from tasks.report_html import write_html
from tasks.report_money import Money, Span, span_money
from tasks.report_png import write_pngs
from tasks.sql_query import ask, open_published
from tasks.version import code_version

# Prices are sampled once a minute; a bar of the report gathers a quarter of an hour of them.
BAR = "15min"
DAYS_A_YEAR = 365.0


def write_report(
    data_dir: Path | str, out_dir: Path | str, from_: datetime | None = None, to: datetime | None = None
) -> list[Path]:
    """Write `report.html` and the pictures into `out_dir`; raises `QueryRefused` where nothing was published yet."""
    report = report_of(data_dir, from_, to)
    out = Path(out_dir)
    out.mkdir(parents=True, exist_ok=True)
    return [write_html(report, out / "report.html"), *write_pngs(report, out)]


def report_of(data_dir: Path | str, from_: datetime | None = None, to: datetime | None = None) -> ReportData:
    """Read the published copy into what the report's writers take. Bounds are UTC, the end exclusive."""
    con = open_published(data_dir)
    try:
        span = Span(con, from_, to)
        meta = dict(_rows(con, "SELECT key, value FROM meta"))
        leverages = leverages_of(meta.get("config", ""))
        bots = [
            _bot(span, row, leverages.get(row["bot_id"], 1))
            for row in span.table("SELECT * FROM bot_state ORDER BY bot_id")
        ]
        newest = span.table("SELECT max(price_ts) AS at FROM marks")[0]["at"]
        stamps = span.table("SELECT min(ts) AS first, max(ts) AS last FROM equity")[0]
    finally:
        con.close()
    # Played candles are history: their age says nothing.
    dated = newest is not None and meta.get("played") != "true"
    age_s = (datetime.now(UTC).replace(tzinfo=None) - newest).total_seconds() if dated else None
    synthetic = meta.get("synthetic") == "true"
    notes = [f"Prices: {meta['prices']}"] if meta.get("prices") else []
    if span.cut:
        notes.append(
            "Profit, fees and funding are of the span alone; floating is its change within. They are the differences of "
            "the samples at its ends, which are taken every minute. Levels are of now."
        )
    if any(bot.beside for bot in bots):
        notes.append("What is held in a bot's other markets is drawn at the price of the last execution there.")
    return ReportData(
        title=f"Portfolio {meta.get('portfolio', '')}".strip(), mode=meta.get("mode", "paper"), synthetic=synthetic,
        generated_at=datetime.now(UTC).replace(tzinfo=None), data_from=stamps["first"], data_to=stamps["last"],
        data_age_s=age_s, code_version=code_version(), config_yaml=meta.get("config", ""), bots=tuple(bots), notes=tuple(notes),
    )  # fmt: skip


def _rows(con: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    return ask(con, sql)[1]


def _bot(span: Span, state: dict[str, Any], leverage: int) -> BotReport:
    bot_id = state["bot_id"]
    samples = _frame(
        span.of_bot("SELECT * FROM equity WHERE bot_id = ? AND ts >= ? AND ts < ? ORDER BY ts", bot_id),
        ["ts", "equity", "price", "inventory"],
    )
    fills = span.of_bot("SELECT * FROM fills WHERE bot_id = ? AND ts >= ? AND ts < ? ORDER BY ts, trade_id", bot_id)
    own = [row for row in fills if (row["venue"], row["symbol"]) == (state["venue"], state["symbol"])]
    levels = span.table("SELECT * FROM levels WHERE bot_id = ? ORDER BY level", [bot_id])
    money = span_money(span, state)
    base, _, rest = state["symbol"].partition("/")
    return BotReport(
        bot_id=bot_id, kind=state["kind"], venue=state["venue"], symbol=state["symbol"], side=_side(levels),
        quote_asset=rest.partition(":")[0], base_asset=base, capital_quote=money.capital, candles=_candles(samples),
        levels=_levels(levels), fills=_fills(own), equity=_equity(samples, money.capital),
        summary=_summary(span, state, fills, samples, money), beside=beside_of(span, state, money), leverage=leverage,
    )  # fmt: skip


def _side(levels: list[dict[str, Any]]) -> str:
    return "SELL" if levels and levels[0]["exit_price"] < levels[0]["entry_price"] else "BUY"


def _frame(rows: list[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame([{c: row[c] for c in columns} for row in rows], columns=columns)
    for column in columns:
        frame[column] = pd.to_datetime(frame[column]) if column == "ts" else frame[column].astype(float)
    return frame


def _candles(samples: pd.DataFrame) -> pd.DataFrame:
    if samples.empty:
        return pd.DataFrame(columns=list(CANDLE_COLUMNS)).astype({"ts": "datetime64[ms]"})
    bars = samples.set_index("ts")["price"].resample(BAR).ohlc().dropna().reset_index()
    return bars.assign(volume=0.0)[list(CANDLE_COLUMNS)]


def _levels(rows: list[dict[str, Any]]) -> pd.DataFrame:
    columns = ["level", "entry_price", "exit_price", "state", "reason", "qty"]
    frame = pd.DataFrame([{c: row[c] for c in columns} for row in rows], columns=columns)
    return frame.astype({"entry_price": float, "exit_price": float, "qty": float})


def _fills(rows: list[dict[str, Any]]) -> pd.DataFrame:
    made = [
        {
            "ts": row["ts"], "side": row["side"], "role": row["role"], "price": float(row["price"]), "qty": float(row["qty"]),
            "fee_quote": float(row["fee_quote"] or 0), "leg_id": row["leg_id"],
            "realized_pnl": None if row["realized"] is None else float(row["realized"]),
        }
        for row in rows
    ]  # fmt: skip
    columns = ["ts", "side", "role", "price", "qty", "fee_quote", "realized_pnl", "leg_id"]
    frame = pd.DataFrame(made, columns=columns)
    return frame.assign(ts=pd.to_datetime(frame["ts"]))


def _equity(samples: pd.DataFrame, capital: Decimal) -> pd.DataFrame:
    equity = samples["equity"]
    first = float(samples["price"].iloc[0]) if len(samples) else 1.0
    peak = equity.cummax()
    return pd.DataFrame(
        {
            "ts": samples["ts"], "equity": equity, "hold_equity": float(capital) * samples["price"] / first,
            "drawdown": ((peak - equity) / peak).fillna(0.0), "exposure_quote": samples["inventory"] * samples["price"],
            "inventory_base": samples["inventory"],
        }
    )  # fmt: skip


def _summary(
    span: Span, state: dict[str, Any], fills: list[dict[str, Any]], samples: pd.DataFrame, money: Money
) -> BotSummary:
    bot_id = state["bot_id"]
    closed = [
        row["realized"] - row["fees"]
        for row in span.of_bot(
            "SELECT realized, fees FROM lots WHERE bot_id = ? AND qty = 0 AND updated_at >= ? AND updated_at < ?",
            bot_id,
        )
    ]
    daily = samples.set_index("ts")["equity"].resample("1D").last().dropna().tolist() if len(samples) else []
    curve = [float(money.capital), *daily]
    returns = metrics.simple_returns(curve) if min(curve) > 0 else []
    fall = metrics.max_drawdown(samples["equity"].tolist())
    return BotSummary(
        net_pnl=money.realized + money.unrealized - money.fees + money.funding, realized_pnl=money.realized,
        unrealized_pnl=money.unrealized, grid_profit=money.grid_profit, floating=money.floating, hedge=money.hedge,
        fees=money.fees, funding=money.funding, round_trips=len(closed) if span.cut else state["round_trips"],
        fills=len(fills), fills_initial=sum(1 for row in fills if row["role"] == "entry" and not row["maker"]),
        win_rate=metrics.win_rate(closed), max_drawdown=fall.fraction if fall is not None else None,
        sharpe=metrics.sharpe(returns, DAYS_A_YEAR), sortino=metrics.sortino(returns, DAYS_A_YEAR),
        exposure_max=Decimal(str((samples["inventory"] * samples["price"]).abs().max())) if len(samples) else ZERO, apr=None,
        started_at=state["started_at"],
    )  # fmt: skip
