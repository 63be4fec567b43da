"""Publishes backtests and sweeps as Parquet, so that the dashboard and SQL can show them; the batch process calls it.

Each table is one file, replaced as a whole; the next published copy shows it under its own name.
"""

from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from tasks.publish import published_folder

FILLS_RUNS = 200
TABLES = {
    "sweeps": "SELECT * FROM sweeps ORDER BY started_at, sweep_id",
    "backtests": "SELECT * FROM backtests ORDER BY recorded_at, run_id",
    # The newest runs only: a run can be made again from its configuration.
    "backtest_fills": "SELECT * FROM backtest_fills SEMI JOIN (SELECT run_id FROM backtests WHERE sweep_id IS NULL "  # noqa: S608
    f"ORDER BY recorded_at DESC LIMIT {FILLS_RUNS}) AS newest USING (run_id) ORDER BY run_id, seq",
}


def publish_runs(con: duckdb.DuckDBPyConnection, data_dir: Path) -> list[Path]:
    """Write what the market store has of backtests and sweeps; returns the files. Empty tables get none."""
    written: list[Path] = []
    for table, sql in TABLES.items():
        found = con.execute(sql).to_arrow_table()
        if found.num_rows == 0:
            continue
        folder = published_folder(data_dir) / "parquet" / table
        folder.mkdir(parents=True, exist_ok=True)
        target, fresh = folder / "all.parquet", folder / ".all.part"
        pq.write_table(found, fresh, compression="zstd")
        fresh.replace(target)
        written.append(target)
    return written
