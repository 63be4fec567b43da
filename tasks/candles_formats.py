"""Files of any known shape as raw columns: Parquet, feather, CSV, JSON, bare, gzipped or zipped.

The content decides, not the file's ending: data from exchanges is often misnamed. Nothing is converted here.
"""

import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from tasks.candles_report import CandleRefused

# Unpacked size from which a small file is taken for a broken or hostile archive; 20 years of minutes need 1 GB of CSV.
UNPACKED_BYTES_MAX = 4 << 30
# Names are compared in lower case without anything but letters and digits; the first that is present is taken.
TIME_NAMES = (
    "timestamp", "ts", "opentime", "timeopen", "opentimestamp", "starttime", "start", "unix", "unixtimestamp",
    "timestampms", "time", "datetime", "date", "t", "fundingtime", "calctime", "fundingratetimestamp",
)  # fmt: skip
PRICE_NAMES = (("open", "o"), ("high", "h"), ("low", "l"), ("close", "c"))
VOLUME_NAMES = ("volume", "vol", "v", "basevolume", "volumebase")
SYMBOL_NAMES = ("symbol", "pair", "instrument")


@dataclass(frozen=True, slots=True)
class RawTable:
    """Columns of a file. `names` is empty where the file names none; `day` is the date a LEAN file is named for."""

    format: str
    columns: tuple[pa.ChunkedArray, ...]
    names: tuple[str, ...]
    day: datetime | None = None
    repairs: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Count the rows."""
        return len(self.columns[0]) if self.columns else 0

    def named(self, *names: str) -> pa.ChunkedArray | None:
        """Return the first column that bears one of the names, or None."""
        for name in names:
            if name in self.names:
                return self.columns[self.names.index(name)]
        return None


def load_table(path: Path, wanted: Callable[[str], bool] | None = None) -> RawTable:
    """Read a file's raw columns; of Parquet only those whose plain name is `wanted`.

    Raises `CandleRefused` where the file is absent, empty or of no known format.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(8)
    except OSError as error:
        raise CandleRefused(
            path, f"can't be opened ({error.strerror}); a Parquet, feather, CSV or JSON file is read"
        ) from error
    if not magic:
        raise CandleRefused(path, "is empty (0 bytes); one row per candle would be read")
    try:
        if magic[:4] == b"PAR1":
            return _parquet(path, wanted)
        if magic[:6] == b"ARROW1" or magic[:4] == b"FEA1":
            return _feather(path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise CandleRefused(path, f"is damaged: {str(error).splitlines()[0]}; copy or download it again") from error
    data, name = _unpacked(path, magic)
    start = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:1] in {b"[", b"{"}:
        # Imported where needed: a Parquet backtest should not pay for what it does not read.
        from tasks.candles_json import json_table

        return json_table(path, data)
    from tasks.candles_csv import csv_table

    return csv_table(path, data, day_in(name))


def plain_name(name: str) -> str:
    """Return a column name as it is compared: lower case, letters and digits alone."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def text_columns(rows: Iterable[Iterable[str | None]]) -> tuple[pa.ChunkedArray, ...]:
    """Turn rows of text of equal length into columns."""
    return tuple(pa.chunked_array([pa.array(cells, pa.string())]) for cells in zip(*rows, strict=True))


def day_in(name: str) -> datetime | None:
    """Return the date with which a file name begins, as in LEAN's 20180208_trade.csv; None where there is none."""
    found = re.search(r"(?<!\d)(\d{8})_(?!\d)", name)
    return None if found is None else _date(found.group(1))


def days_in(name: str) -> tuple[datetime, ...]:
    """Return the dates written as eight digits in a file name, in their order."""
    days = (_date(text) for text in re.findall(r"(?<!\d)((?:19|20)\d{6})(?!\d)", name))
    return tuple(day for day in days if day is not None)


def _date(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).replace(tzinfo=None)
    except ValueError:
        return None


def _parquet(path: Path, wanted: Callable[[str], bool] | None) -> RawTable:
    # `pyarrow.parquet.read_table` would import the dataset machinery, which costs more than reading a year of minutes.
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    names = [name for name in file.schema_arrow.names if wanted is not None and wanted(plain_name(name))]
    return _of_table("Parquet", file.read(columns=names or None))


def _feather(path: Path) -> RawTable:
    from pyarrow import feather

    return _of_table("feather", feather.read_table(path))


def _of_table(kind: str, table: pa.Table) -> RawTable:
    return RawTable(kind, tuple(table.columns), tuple(plain_name(name) for name in table.column_names))


def _unpacked(path: Path, magic: bytes) -> tuple[bytes, str]:
    # The file's bytes without gzip or zip, and the name by which its content goes.
    try:
        if magic[:2] == b"\x1f\x8b":
            with gzip.open(path) as packed:
                return _bounded(path, packed), path.name
        if magic[:4] == b"PK\x03\x04":
            with zipfile.ZipFile(path) as archive:
                members = [info for info in archive.infolist() if not info.is_dir()]
                if len(members) != 1:
                    raise CandleRefused(
                        path, f"is a zip with {len(members)} files; a zip with exactly one would be read"
                    )
                with archive.open(members[0]) as packed:
                    return _bounded(path, packed), members[0].filename
        return path.read_bytes(), path.name
    except (EOFError, OSError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        # zipfile raises RuntimeError for a password and NotImplementedError for an unknown compression.
        raise CandleRefused(path, f"is a damaged or locked archive ({error}); copy or download it again") from error


def _bounded(path: Path, packed: io.BufferedIOBase | gzip.GzipFile | zipfile.ZipExtFile) -> bytes:
    data = packed.read(UNPACKED_BYTES_MAX + 1)
    if len(data) > UNPACKED_BYTES_MAX:
        raise CandleRefused(path, f"unpacks to more than {UNPACKED_BYTES_MAX >> 30} GB; split it by year")
    return data
