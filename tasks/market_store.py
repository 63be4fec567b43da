"""Opens `market.duckdb`, the store of candles and backtests: one writer at a time, the batch process or a command."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from tasks.candles_indicators import fill_indicators, kept_smoothings
from tasks.errors import Busy
from tasks.migrations import migrate
from tasks.publish import published_folder

FILE_NAME = "market.duckdb"
SCHEMA = Path(__file__).parents[1] / "sql" / "schema" / "market"


def publish_candles(con: duckdb.DuckDBPyConnection, data_dir: Path, venue: str, symbol: str, timeframe: str) -> Path:
    """Write one series' candles as Parquet for readers, put in place at once; the next published copy shows `ohlcv`.

    Where the series has indicators beside it, they are brought up to date and written too (`ohlcv_indicators`).
    """
    smoothings = kept_smoothings(con, venue=venue, symbol=symbol, timeframe=timeframe)
    for smoothing in smoothings:
        fill_indicators(con, venue=venue, symbol=symbol, timeframe=timeframe, smoothing=smoothing)
    tables = ["ohlcv", *(["ohlcv_indicators"] if smoothings else [])]
    name = re.sub(r"[^A-Za-z0-9]+", "-", f"{venue}-{symbol}-{timeframe}")
    for table in reversed(tables):
        folder = published_folder(data_dir) / "parquet" / table
        folder.mkdir(parents=True, exist_ok=True)
        target, fresh = folder / f"{name}.parquet", folder / f".{name}.part"
        asked = f"SELECT * FROM {table} WHERE venue = ? AND symbol = ? AND timeframe = ? ORDER BY ts"  # noqa: S608  own names
        pq.write_table(con.execute(asked, [venue, symbol, timeframe]).to_arrow_table(), fresh, compression="zstd")
        fresh.replace(target)
    return target


@contextmanager
def open_market(data_dir: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the market store for writing and bring it to this program's schema; raises `Busy` while another has it."""
    data_dir.mkdir(parents=True, exist_ok=True)
    try:
        con = duckdb.connect(str(data_dir / FILE_NAME))
    except duckdb.IOException as fault:
        raise Busy(str(fault).splitlines()[0], key="data_dir", accepted="one batch process at a time") from None
    try:
        migrate(con, SCHEMA)
        yield con
    finally:
        con.close()
