"""Funding files: exact rates, jitter taken out, everything else refused."""

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.candles_funding import funding_gaps, read_funding
from tasks.candles_report import CandleRefused, Gap

D = Decimal
T0_MS = 1_709_251_200_000
STEP_MS = 8 * 3_600_000


def test_jitter_goes_and_rates_stay_exact(tmp_path: Path) -> None:
    """A payment stamped 47 ms late belongs to the full hour; a float rate is the number it was written as."""
    times = pa.array([T0_MS + STEP_MS + 47, T0_MS, T0_MS + 2 * STEP_MS - 3, T0_MS]).cast(pa.timestamp("ms", "UTC"))
    path = tmp_path / "funding.parquet"
    pq.write_table(pa.table({"timestamp": times, "funding_rate": [-0.00012359, 0.0001, 6.818e-05, 0.0001]}), path)
    assert read_funding(path) == [
        (T0_MS, D("0.0001")),
        (T0_MS + STEP_MS, D("-0.00012359")),
        (T0_MS + 2 * STEP_MS, D("0.00006818")),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Symbol,Date,Funding Rate\nBTC,2024-03-01 00:00:00,0.0001\nBTC,2024-03-01 08:00:00,0.000313\n",
        f"calc_time,funding_interval_hours,last_funding_rate\n{T0_MS},8,0.0001\n{T0_MS + STEP_MS},8,0.000313\n",
        f"{T0_MS // 1000},0.0001\n{(T0_MS + STEP_MS) // 1000},3.13E-4\n",
        json.dumps(
            [
                {"fundingTime": T0_MS, "fundingRate": "0.0001"},
                {"fundingTime": T0_MS + STEP_MS, "fundingRate": "0.000313"},
            ]
        ),
    ],
)
def test_every_shape_gives_the_same_payments(tmp_path: Path, text: str) -> None:
    """Dumps with names, without, and an exchange's answer."""
    path = tmp_path / "funding.csv"
    path.write_text(text, encoding="utf-8")
    assert read_funding(path) == [(T0_MS, D("0.0001")), (T0_MS + STEP_MS, D("0.000313"))]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"time,rate\n{T0_MS},0.0001\n{T0_MS},0.0002\n", "one rate per time"),
        (f"time,rate\n{T0_MS},1.5\n", "row 1 has the rate '1.5'"),
        (f"time,rate\n{T0_MS},NaN\n", "row 1 has the rate None"),
        (f"time,rate\n{T0_MS},often\n", "row 1 has the rate 'often'"),
        ("time,rate\nnever,0.0001\n", "ISO times"),
        ("time,price\n1,2\n", "has columns time, price"),
        ("1,2,3\n", "3 columns without names"),
        ("time,rate\n", "0 rows"),
    ],
)
def test_what_is_no_funding_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """One line names the row and what would be read."""
    path = tmp_path / "funding.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CandleRefused) as refused:
        read_funding(path)
    assert said in refused.value.reason
    assert "\n" not in str(refused.value)


def test_a_missing_payment_is_a_gap() -> None:
    """Holes are measured in the usual interval; two payments show none."""
    payments = [(T0_MS + i * STEP_MS, D(0)) for i in (0, 1, 2, 5, 6)]
    after, before = datetime.fromisoformat("2024-03-01 16:00"), datetime.fromisoformat("2024-03-02 16:00")
    assert funding_gaps(payments) == (Gap(after, before, 2),)
    assert funding_gaps(payments[:2]) == ()


def test_recorded_funding_is_read(market_data: Path) -> None:
    """Four years of one venue have a hole of a month, and every file is on the full hour."""
    for path in sorted((market_data / "funding").iterdir()):
        payments = read_funding(path)
        assert all(ms % 3_600_000 == 0 for ms, _ in payments), path
    gate = read_funding(market_data / "raw_defects" / "funding-BTC-USDT_gate.csv.gz")
    assert [gap.missing for gap in funding_gaps(gate)] == [93]
    with pytest.raises(CandleRefused, match="0 rows"):
        read_funding(market_data / "raw_defects" / "empty-BTC_USDT_-8h-funding_rate.feather")
