"""What the dashboard shows of backtests and sweeps, as far as they were published: tables that are not there are empty.

A sweep's runs come with the values of the fields that it varied (`at`), so that a heat map needs no configuration.
"""

import json
from typing import Any

from tasks.dashboard_copy import Copy, Row
from tasks.dashboard_data import as_of

RUNS_MAX, POINTS_MAX, FILLS_MAX = 300, 5_000, 2_000
# What a list of runs shows; those of these that a table has not are left out.
SHOWN = (
    "run_id", "sweep_id", "number", "segment", "recorded_at", "bot_id", "kind", "venue", "symbol", "timeframe", "first_ts",
    "last_ts", "intrabar", "fill", "latency_s", "engine", "refused", "bars", "fills", "round_trips", "net_pnl", "grid_profit",
    "fees", "funding", "capital_quote", "final_equity", "exposure_max", "max_drawdown", "sharpe", "sortino", "win_rate",
    "warnings",
)  # fmt: skip


def backtests(copy: Copy) -> Row:
    """The newest backtests of their own, and the sweeps there are; empty where none were published."""
    columns = _columns(copy, "backtests")
    runs: list[Row] = []
    if columns:
        alone = "WHERE sweep_id IS NULL" if "sweep_id" in columns else ""
        runs = copy.rows(
            f"SELECT {_shown(columns)} FROM backtests {alone} {_newest_first(columns)} LIMIT {RUNS_MAX}"  # noqa: S608
        )
    sweeps: list[Row] = []
    if columns := _columns(copy, "sweeps"):
        sweeps = copy.rows(f"SELECT * FROM sweeps {_newest_first(columns)} LIMIT {RUNS_MAX}")  # noqa: S608
    return {"as_of": as_of(copy), "backtests": runs, "sweeps": sweeps}


def backtest(copy: Copy, run_id: str) -> Row | None:
    """One backtest with its configuration and its first fills; None where there is none of that id."""
    if "run_id" not in _columns(copy, "backtests"):
        return None
    found = copy.rows("SELECT * FROM backtests WHERE run_id = ? LIMIT 1", [run_id])
    if not found:
        return None
    fills: list[Row] = []
    if "run_id" in _columns(copy, "backtest_fills"):
        fills = copy.rows(
            "SELECT ts, side, price, qty, fee, fee_asset, maker, trade_id FROM backtest_fills WHERE run_id = ? "  # noqa: S608
            f"ORDER BY ts, trade_id LIMIT {FILLS_MAX}",
            [run_id],
        )
    return {"as_of": as_of(copy), "run": found[0], "fills": fills}


def sweep(copy: Copy, sweep_id: str) -> Row | None:
    """One sweep with its runs, each `at` the values that it tried; None where there is none of that id."""
    columns = _columns(copy, "backtests")
    if "sweep_id" not in _columns(copy, "sweeps") or "sweep_id" not in columns:
        return None
    found = copy.rows("SELECT * FROM sweeps WHERE sweep_id = ? LIMIT 1", [sweep_id])
    if not found:
        return None
    config = ", config" if "config" in columns else ""
    runs = copy.rows(
        f"SELECT {_shown(columns)}{config} FROM backtests WHERE sweep_id = ? ORDER BY run_id LIMIT {POINTS_MAX}",  # noqa: S608
        [sweep_id],
    )
    names = varied_names(found[0].get("varied"))
    for run in runs:
        run["at"] = values_of(run.pop("config", None), names)
    return {"as_of": as_of(copy), "sweep": found[0], "names": names, "runs": runs}


def varied_names(text: str | None) -> list[str]:
    """The names of the fields that a sweep varied, from its JSON: an object's keys, or the `name` of each in a list."""
    value = _json(text)
    if isinstance(value, dict):
        return [str(name) for name in value]
    if isinstance(value, list):
        return [str(one["name"]) for one in value if isinstance(one, dict) and "name" in one]
    return []


def values_of(text: str | None, names: list[str]) -> dict[str, Any]:
    """What a configuration (JSON) has under each name: `a.b` as it stands there, or b inside of a; else None."""
    config = _json(text)
    found: dict[str, Any] = {}
    for name in names:
        value = config
        if isinstance(config, dict) and name in config:
            found[name] = config[name]
            continue
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        found[name] = value
    return found


def _json(text: str | None) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def _shown(columns: list[str]) -> str:
    return ", ".join(name for name in SHOWN if name in columns) or "*"


def _newest_first(columns: list[str]) -> str:
    order = next((name for name in ("recorded_at", "started_at") if name in columns), None)
    return f"ORDER BY {order} DESC" if order else ""


def _columns(copy: Copy, table: str) -> list[str]:
    found = copy.rows(
        "SELECT column_name FROM duckdb_columns() WHERE database_name = 'gridkeeper' AND table_name = ? "
        "ORDER BY column_index",
        [table],
    )
    return [row["column_name"] for row in found]
