"""Opens `market.duckdb`, the store of candles and backtests: one writer at a time, the batch process or a command."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from tasks.errors import Busy
from tasks.migrations import migrate

FILE_NAME = "market.duckdb"
SCHEMA = Path(__file__).parents[1] / "sql" / "schema" / "market"


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
