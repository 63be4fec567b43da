"""Candle files of every shape: read exactly, repaired with a report, or refused in one line."""

import gzip
import json
import zipfile
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import feather

from core.market import Candle
from tasks.candles_read import CandleRefused, find_timeframe, read_candles

D = Decimal
T0 = datetime.fromisoformat("2024-03-01 00:00:00")
T0_S = 1_709_251_200
NOW = datetime.fromisoformat("2026-01-01 00:00:00")
# open, high, low, close, volume as a source writes them; minute by minute from T0.
PRICES = [
    ("61000.10", "61010.5", "60990", "61005.25", "1.5"),
    ("61005.25", "61005.25", "60950.75", "60951", "0"),
    ("60951", "61100", "60951", "61090.01", "2.000125"),
    ("61090.01", "61091", "61000.01", "61044.44", "0.75"),
]
EXPECTED = [
    Candle(T0 + timedelta(minutes=i), *(D(cell) for cell in (o, h, lo, c, v)))
    for i, (o, h, lo, c, v) in enumerate(PRICES)
]


def bars(path: Path, **options: object) -> list[Candle]:
    """Read a file and return its candles."""
    series, _ = read_candles(path, now=NOW, **options)  # type: ignore[arg-type]
    return [series.bar(i) for i in range(len(series))]


def lines(times: list[object], order: str = "ohlcv", extra: str = "", sep: str = ",") -> list[str]:
    """Write the sample as CSV rows with the columns in the given order."""
    return [
        sep.join([str(time), *(row["ohlcv".index(letter)] for letter in order)]) + extra
        for time, row in zip(times, PRICES, strict=True)
    ]


SECONDS = [T0_S + 60 * i for i in range(4)]
ISO = [f"2024-03-01 00:0{i}:00" for i in range(4)]
BINANCE = [f"{line},{1000 * SECONDS[i] + 59999},1,2,3,4,0" for i, line in enumerate(lines([s * 1000 for s in SECONDS]))]

CSV_SHAPES: dict[str, list[str]] = {
    "document 004": ["Time,Open,High,Low,Close,Volume", *lines(ISO)],
    "seconds without header": lines(SECONDS),
    "milliseconds": ["timestamp,open,high,low,close,volume", *lines([s * 1000 for s in SECONDS])],
    "microseconds": ["open_time,open,high,low,close,volume", *lines([s * 10**6 for s in SECONDS])],
    "nanoseconds": ["ts,open,high,low,close,volume", *lines([s * 10**9 for s in SECONDS])],
    "binance dump, 12 columns": BINANCE,
    "kraken dump, 7 columns": lines(SECONDS, extra=",12"),
    "newest first": ["date,open,high,low,close,volume", *reversed(lines(ISO))],
    "bitfinex order": lines(SECONDS, order="ochlv"),
    "coinbase order": lines(SECONDS, order="lhocv"),
    "header names another order": ["time,low,high,open,close,volume", *lines(SECONDS, order="lhocv")],
    "semicolons and zone": ["Time;Open;High;Low;Close;Volume", *lines([f"{t}Z" for t in ISO], sep=";")],
    "other zone": ["Time,Open,High,Low,Close,Volume", *lines([t.replace(" 00:", "T03:") + "+03:00" for t in ISO])],
    "UTC written out": ["Time,Open,High,Low,Close,Volume", *lines([f"{t} UTC" for t in ISO])],
    "address line, quotes, symbol": [
        "https://www.example.org/",
        '"Unix","Date","Symbol","Open","High","Low","Close","Volume BTC","Volume USDT"',
        *(f"{s * 1000},{t},BTC/USDT,{','.join(p)},9" for s, t, p in zip(SECONDS, ISO, PRICES, strict=True)),
    ],
    "headerless with date and symbol": [
        f"{s * 1000},{t},BTC/USDT,{','.join(p)},9,7" for s, t, p in zip(SECONDS, ISO, PRICES, strict=True)
    ],
    "index column, tabs": ["\tdate\topen\thigh\tlow\tclose\tvolume"]
    + [f"{i}\t{line}" for i, line in enumerate(lines(ISO, sep="\t"))],
    "seconds as floats": ["time,open,high,low,close,volume", *lines([f"{s}.0" for s in SECONDS])],
    "day and time apart": ["<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>"]
    + [line.replace(" ", ",", 1) for line in lines(ISO)],
    "a copy and a version": [
        "time,open,high,low,close,volume",
        *lines(SECONDS),
        lines(SECONDS)[2],
        f"{SECONDS[3]},61090.01,61091,61050,61060,0.5",
    ],
    "shuffled": [lines(SECONDS)[i] for i in (2, 0, 3, 1)],
    "seconds and milliseconds mixed": [
        "unix,open,high,low,close,volume",
        *lines([*SECONDS[:2], *(s * 1000 for s in SECONDS[2:])]),
    ],
}


@pytest.mark.parametrize("shape", CSV_SHAPES)
def test_every_csv_shape_gives_the_same_exact_candles(tmp_path: Path, shape: str) -> None:
    """Header or not, any unit of time, any order of columns: the same four candles to the last digit."""
    path = tmp_path / "candles.csv"
    path.write_text("\n".join(CSV_SHAPES[shape]) + "\n", encoding="utf-8")
    assert bars(path) == EXPECTED


def write_parquet(path: Path, time: pa.Array, kind: pa.DataType, name: str = "timestamp") -> None:
    """Write the sample with prices of one type."""
    columns = list(zip(*PRICES, strict=True))
    data = {name: time}
    for label, cells in zip(("open", "high", "low", "close", "volume"), columns, strict=True):
        text = pa.array(cells)
        data[label] = text.cast(pa.float64()) if kind == pa.float64() else text.cast(kind)
    pq.write_table(pa.table(data), path, row_group_size=3)


STAMPS = pa.array([s * 1000 for s in SECONDS])


@pytest.mark.parametrize(
    ("time", "kind", "name"),
    [
        (STAMPS.cast(pa.timestamp("ms", "UTC")), pa.decimal128(18, 6), "timestamp"),
        (STAMPS.cast(pa.timestamp("ms")).cast(pa.timestamp("ns")), pa.float64(), "date"),
        (STAMPS, pa.decimal128(38, 18), "open_time"),
        (STAMPS.cast(pa.timestamp("ms")).cast(pa.timestamp("us")), pa.string(), "ts"),
        (STAMPS, pa.decimal256(60, 18), "time"),
    ],
)
def test_parquet_of_every_type_is_exact(tmp_path: Path, time: pa.Array, kind: pa.DataType, name: str) -> None:
    """Decimals, floats and text, in several row groups, with each name of the time."""
    path = tmp_path / "candles.parquet"
    write_parquet(path, time, kind, name)
    assert bars(path) == EXPECTED


def test_parquet_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    """The columns that are there are named; a time beyond the calendar is refused by row."""
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"a": [1], "b": [2]}), path)
    with pytest.raises(CandleRefused, match="has columns a, b"):
        read_candles(path)
    write_parquet(path, pa.array([2**60] * 4).cast(pa.timestamp("ms")), pa.float64())
    with pytest.raises(CandleRefused, match="row 1 is not between 1970 and 9999"):
        read_candles(path)


def test_feather_gzip_zip_and_json_are_told_by_content(tmp_path: Path) -> None:
    """The bytes decide how a file is read, not its ending."""
    text = "\n".join(CSV_SHAPES["document 004"])
    rows = [[s * 1000, *(float(cell) for cell in row)] for s, row in zip(SECONDS, PRICES, strict=True)]
    files = {name: tmp_path / name for name in ("a.txt", "b.csv", "c.dat", "d.csv", "e.json", "f.json")}
    files["a.txt"].write_bytes(gzip.compress(text.encode()))
    with zipfile.ZipFile(files["b.csv"], "w") as archive:
        archive.writestr("inner.csv", text)
    files["c.dat"].write_text(json.dumps(rows), encoding="utf-8")
    write_parquet(tmp_path / "p.parquet", STAMPS.cast(pa.timestamp("ms", "UTC")), pa.float64())
    feather.write_feather(pq.read_table(tmp_path / "p.parquet"), str(files["d.csv"]))
    objects = [
        {"t": s, "o": o, "h": h, "l": low, "c": c, "v": v} for s, (o, h, low, c, v) in zip(SECONDS, PRICES, strict=True)
    ]
    files["e.json"].write_text(json.dumps({"code": 0, "result": {"list": objects}}), encoding="utf-8")
    kraken = [[s, *row[:4], row[0], row[4], 7] for s, row in zip(SECONDS, PRICES, strict=True)]
    files["f.json"].write_text(json.dumps({"result": {"XXBTZUSD": kraken, "last": 5}}), encoding="utf-8")
    for path in files.values():
        assert bars(path) == EXPECTED, path


def test_lean_counts_milliseconds_of_the_day_in_its_name(tmp_path: Path) -> None:
    """The date comes from the name of the member, and a part of a day is remarked."""
    path = tmp_path / "20240301_trade.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("20240301_btcusdt_minute_trade.csv", "\n".join(lines([0, 60_000, 120_000, 180_000])))
    assert bars(path) == EXPECTED
    assert "runs from 00:00:00 to 00:03:00 only" in read_candles(path, now=NOW)[1].lines()[1]


def csv_of(*rows: str) -> str:
    """Put a header before rows."""
    return "\n".join(["time,open,high,low,close,volume", *rows])


def many(count: int, change: Callable[[int], str | None]) -> str:
    """Write `count` quiet minutes, with single rows replaced by `change`."""
    quiet = [f"{T0_S + 60 * i},10,11,9,10.5,1" for i in range(count)]
    return csv_of(*(change(i) or line for i, line in enumerate(quiet)))


REPAIRS: dict[str, tuple[str, int, str]] = {
    "zero price": (
        many(400, lambda i: f"{T0_S + 60 * i},0,11,9,10,1" if i == 7 else None),
        399,
        "price of zero or less",
    ),
    "not a number": (
        many(400, lambda i: f"{T0_S + 60 * i},NaN,11,9,10,1" if i == 7 else None),
        399,
        "without a number",
    ),
    "high below close": (
        many(400, lambda i: f"{T0_S + 60 * i},10,10,9,10.5,1" if i == 7 else None),
        399,
        "contradicts",
    ),
    "broken line": (many(400, lambda i: f"{T0_S + 60 * i},10,11" if i == 399 else None), 399, "broken rows"),
    "copies": (many(400, lambda i: f"{T0_S},10,11,9,10.5,1" if i == 1 else None), 399, "1 copies"),
    "versions": (many(400, lambda i: f"{T0_S},10,12,9,10.5,7" if i == 1 else None), 399, "earlier versions"),
    "overlap": (many(400, lambda i: f"{T0_S + 60 * i - 20},10,11,9,10.5,1" if i == 9 else None), 399, "overlap"),
}


@pytest.mark.parametrize("case", REPAIRS)
def test_a_few_bad_rows_are_left_out_and_said(tmp_path: Path, case: str) -> None:
    """A repair always leaves a candle out, lists it, and the hole becomes a gap of the series."""
    text, rows, said = REPAIRS[case]
    path = tmp_path / "candles.csv"
    path.write_text(text, encoding="utf-8")
    series, report = read_candles(path, now=NOW)
    assert len(series) == report.rows == rows
    assert any(said in line for line in report.repairs), report.repairs
    assert report.missing == (0 if case == "broken line" else 1)


REFUSED: dict[str, tuple[bytes, str]] = {
    "no bytes": (b"", "is empty"),
    "only a header": (b"time,open,high,low,close,volume\n", "0 rows"),
    "other columns": (b"a,b\n1,2\n", "has columns a, b"),
    "funding": (b"time,funding_rate\n1,2\n", "--funding"),
    "text for a price": (csv_of(f"{T0_S},1O.5,11,9,10,1").encode(), "'1O.5' in row 1 is no number"),
    "text for a time": (csv_of("yesterday,10,11,9,10,1").encode(), "ISO times"),
    "too many contradictions": (
        many(400, lambda i: f"{T0_S + 60 * i},10,10,9,12,1" if i < 9 else None).encode(),
        "9 whose high",
    ),
    "times of receipt": (
        csv_of(*(f"{(T0_S + 4 * i) * 1000 + 37 * i % 91},10,11,9,10,1" for i in range(50))).encode(),
        "times of receipt",
    ),
    "one row": (csv_of(f"{T0_S},10,11,9,10,1").encode(), "name the timeframe"),
    "ten minutes": (csv_of(*(f"{T0_S + 600 * i},10,11,9,10,1" for i in range(9))).encode(), "600 s apart"),
    "two symbols": (
        f"time,symbol,open,high,low,close\n{T0_S},A,1,1,1,1\n{T0_S + 60},B,1,1,1,1\n".encode(),
        "2 symbols",
    ),
    "too fine": (csv_of(f"{T0_S},0.1234567890123456789,1,0.1,0.2,1").encode(), "at most 18"),
    "too large": (csv_of(f"{T0_S},99999999999.1234567891,1,0.1,0.2,1").encode(), "64 bits"),
    "half JSON": (b"[[1709251200, 1, 1, 1, 1, 1], [17092", "no valid JSON"),
    "uneven JSON": (b"[[1709251200, 1, 1, 1, 1, 1], [1709251260, 1]]", "row 2 is not a list of 6"),
    "year 99999": (csv_of(f"{T0_S * 10**9}00,10,11,9,10,1").encode(), "seconds, ms, us or ns since 1970"),
    "half Parquet": (b"PAR1 and nothing more", "damaged"),
    "half gzip": (gzip.compress(csv_of("1,2,3,4,5,6").encode())[:20], "damaged"),
    "half zip": (b"PK\x03\x04 and nothing more", "damaged"),
    "wrong century": (csv_of("12,10,11,9,10,1").encode(), "before 1973"),
    "not all zoned": (csv_of(f"{ISO[0]}Z,1,1,1,1,1", f"{ISO[1]},1,1,1,1,1").encode(), "has no zone while others"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_candle_file_is_refused_in_one_line(tmp_path: Path, case: str) -> None:
    """The line names the file, what is wrong, and what would be read."""
    data, said = REFUSED[case]
    path = tmp_path / "candles.bin"
    path.write_bytes(data)
    with pytest.raises(CandleRefused) as refused:
        read_candles(path, now=NOW)
    assert said in refused.value.reason
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith(str(path))


HEALTHY = [
    ("\n".join(CSV_SHAPES["document 004"])).encode(),
    ("\n".join(CSV_SHAPES["binance dump, 12 columns"])).encode(),
    json.dumps([[s, 10, 11, 9, 10, 1] for s in SECONDS]).encode(),
    gzip.compress(("\n".join(CSV_SHAPES["newest first"])).encode(), mtime=0),
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    healthy=st.sampled_from(HEALTHY),
    cut=st.integers(0, 300),
    put=st.sampled_from([b"", b"\x00", b"\xff\xfe", b",", b"\n", b'"', b"-", b"e9", b"NaN", b"9" * 25, b"[", b"PAR1"]),
    skip=st.integers(0, 40),
)
def test_a_damaged_file_is_refused_or_read_but_never_crashes(
    tmp_path: Path, healthy: bytes, cut: int, put: bytes, skip: int
) -> None:
    """Bytes lost, added or changed anywhere end in sane candles or in one line, never in another error."""
    path = tmp_path / "damaged"
    path.write_bytes(healthy[:cut] + put + healthy[cut + skip :])
    try:
        read = bars(path)
    except CandleRefused as refused:
        said, read = str(refused), []
    else:
        said = ""
    assert "\n" not in said
    assert all(0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in read)


def test_a_number_with_an_absurd_exponent_is_refused(tmp_path: Path) -> None:
    """It is refused by its row, before a gigabyte of zeros is written out."""
    path = tmp_path / "candles.csv"
    rows = [f"{1709251200000 + 60000 * i},61000,61010,60990,61005,1.5" for i in range(5)]
    path.write_text("\n".join([rows[0], "1709251260000,61000,6e9999999999,60990,61005,1", *rows[2:]]))
    with pytest.raises(CandleRefused, match="exponent"):
        bars(path)


def test_a_spreadsheet_in_utf_16_is_read(tmp_path: Path) -> None:
    """Its byte order mark tells."""
    path = tmp_path / "candles.csv"
    path.write_text("\n".join(CSV_SHAPES["document 004"]), encoding="utf-16")
    assert bars(path) == EXPECTED


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    """A wrong path is a refusal like any other."""
    with pytest.raises(CandleRefused, match="No such file"):
        read_candles(tmp_path / "absent.parquet")


def test_the_candle_in_the_making_is_left_out(tmp_path: Path) -> None:
    """While its interval lasts the last candle is not finished; one of a simulated future stays, with a remark."""
    path = tmp_path / "candles.csv"
    path.write_text(csv_of(*lines(SECONDS)), encoding="utf-8")
    during, at_end, before = (read_candles(path, now=T0 + timedelta(seconds=s)) for s in (239, 240, -1))
    assert (len(during[0]), len(at_end[0]), len(before[0])) == (3, 4, 4)
    assert "not finished" in during[1].repairs[0]
    assert any("lie in the future" in line for line in before[1].remarks)


def test_only_the_asked_span_is_returned(tmp_path: Path) -> None:
    """`from_` is inside, `to` is not; an empty span is refused."""
    path = tmp_path / "candles.csv"
    path.write_text(csv_of(*lines(SECONDS)), encoding="utf-8")
    minute = timedelta(minutes=1)
    assert bars(path, from_=T0 + minute, to=T0 + 3 * minute) == EXPECTED[1:3]
    with pytest.raises(CandleRefused, match="asked span"):
        read_candles(path, from_=NOW)


def test_timeframe_and_scale_are_held_to_what_is_asked(tmp_path: Path) -> None:
    """A finer scale is granted, a coarser one and another timeframe are refused."""
    path = tmp_path / "candles.csv"
    path.write_text(csv_of(*lines(SECONDS)), encoding="utf-8")
    assert read_candles(path, timeframe="1m", price_scale=8)[0].scale == 8
    with pytest.raises(CandleRefused, match=r"61005\.25 in row 2 has more than 1 decimals"):
        read_candles(path, price_scale=1)
    with pytest.raises(CandleRefused, match="holds candles of 1m, not of 1h"):
        read_candles(path, timeframe="1h")
    with pytest.raises(CandleRefused, match="'7m' is not known"):
        read_candles(path, timeframe="7m")


def test_gaps_are_listed_and_no_candle_is_invented(tmp_path: Path) -> None:
    """The report names each hole with its size; the series jumps over it."""
    path = tmp_path / "candles.csv"
    kept = [i for i in range(100) if i not in {5, 6, 7, 50}]
    path.write_text(csv_of(*(f"{T0_S + 60 * i},10,11,9,10,1" for i in kept)), encoding="utf-8")
    series, report = read_candles(path, now=NOW)
    assert [(gap.after, gap.missing) for gap in report.gaps] == [
        (T0 + timedelta(minutes=4), 3),
        (T0 + timedelta(minutes=49), 1),
    ]
    assert (len(series), report.missing, report.timeframe) == (96, 4, "1m")


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [([0, 1, 2], "1m"), ([0, 2, 6], "1m"), ([0, 60, 180], "1h"), ([0, 1440], "1d"), ([0, 10, 20], None), ([0], None)],
)
def test_timeframe_is_found_from_the_spacing(minutes: list[int], expected: str | None) -> None:
    """Missing candles do not hide the timeframe; an unknown even spacing is none."""
    stamps = pa.array([(T0_S + 60 * m) * 1000 for m in minutes]).to_numpy()
    assert find_timeframe(stamps) == expected
