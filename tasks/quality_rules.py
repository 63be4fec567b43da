"""What good candles are: a data frame of a series, and the rules that it is held against.

Prices of stored series are whole numbers of their smallest decimal place, so every comparison is exact. A rule is an
error (a backtest on the series would be wrong, or is not what was asked for) or a warning (what markets and exchanges
do, and a person should have seen).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from core.market import TIMEFRAME_S

# A candle is compared with the median close of this many candles around it, itself included.
NEIGHBOURS = 11
# A wick this far from its neighbours, as a fraction, at one minute; it grows with the root of the timeframe, as
# random walks do. The deepest in three years of BTC minutes is 0.14.
OUTLIER_1M, OUTLIER_MAX = 0.05, 1.0
# A price off by this factor less one is damage. The deepest real wicks of hourly ETH halve the price for a moment.
DAMAGE_FINE, DAMAGE_COARSE, FINE_S = 1.0, 3.0, 900
COVERAGE_MIN = 0.9
CROSS_MAX, CROSS_SHARE_MIN = 0.05, 0.99
PRICES = ["open", "high", "low", "close"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One expectation of Great Expectations by name, with its arguments; `says` is its claim in words.

    `mostly` is the share of rows that have to hold.
    """

    name: str
    severity: str
    says: str
    expectation: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is asked of a series beyond its shape. `max_age_s` None asks for no freshness.

    `coverage_min` and `cross_share_min` are shares of rows; `cross_max` is the largest fraction between two venues.
    """

    max_age_s: float | None = None
    stale_is_error: bool = True
    coverage_min: float = COVERAGE_MIN
    cross_max: float = CROSS_MAX
    cross_share_min: float = CROSS_SHARE_MIN


def frame_of(series: Any) -> pd.DataFrame:
    """Turn a stored series into a frame of `ts` (UTC) and whole-number columns; nothing is copied twice."""
    columns = {name: np.asarray(getattr(series, name)) for name in (*PRICES, "volume")}
    return pd.DataFrame({"ts": pd.to_datetime(np.asarray(series.ts), unit="ms"), **columns})


def prepare(frame: pd.DataFrame, timeframe: str, other: pd.DataFrame | None = None) -> pd.DataFrame:
    """Add what the rules look at to a frame of ts, open, high, low, close, volume, in the order given.

    Adds `top`, `bottom`, `least`, `step_s` (since the row before), `missing` (candles between), `off_grid_ms`,
    `deviation` (a fraction: how far the highest or lowest price lies from the median close around it) and, with the
    frame of another venue, `cross` (a fraction: how far the closes of the same moment lie apart; absent where the
    other has none).
    Both frames have to count prices in the same unit.
    """
    step_s = TIMEFRAME_S[timeframe]
    made = frame.copy(deep=False)
    made["top"] = np.maximum(made["open"], made["close"])
    made["bottom"] = np.minimum(made["open"], made["close"])
    made["least"] = np.minimum(np.minimum(made["low"], made["high"]), made["bottom"])
    since = made["ts"].diff().dt.total_seconds()
    made["step_s"] = since.fillna(step_s)
    made["missing"] = np.maximum(np.ceil(made["step_s"] / step_s) - 1, 0).astype("int64")
    made["off_grid_ms"] = (made["ts"].astype("datetime64[ms]").astype("int64")) % (step_s * 1000)
    median = made["close"].rolling(NEIGHBOURS, center=True, min_periods=1).median()
    with np.errstate(divide="ignore", invalid="ignore"):
        made["deviation"] = np.maximum(np.maximum(made["high"], made["top"]) / median, median / made["least"]) - 1
        if other is not None:
            theirs = other.drop_duplicates("ts").set_index("ts")["close"].reindex(made["ts"]).to_numpy(dtype=float)
            made["cross"] = np.abs(made["close"].to_numpy(dtype=float) / theirs - 1)
    return made


def rules_for(timeframe: str, frame: pd.DataFrame, limits: Limits, now: datetime) -> list[Rule]:
    """List the rules of a prepared frame; `now` (UTC) is what freshness is measured against."""
    step_s = TIMEFRAME_S[timeframe]
    if frame.empty:
        says = "there is at least one candle"
        return [Rule("rows", "error", says, "ExpectTableRowCountToBeBetween", {"min_value": 1})]
    rules = [*_shape(step_s), *_prices(step_s), *_rhythm(frame)]
    expected = _expected_rows(frame, step_s)
    rules.append(
        Rule(
            "coverage", "error",
            f"at least {limits.coverage_min:.0%} of the {expected:,} candles between first and last are there",
            "ExpectTableRowCountToBeBetween", {"min_value": int(np.ceil(limits.coverage_min * expected))},
        )
    )  # fmt: skip
    if limits.max_age_s is not None:
        oldest = now - timedelta(seconds=step_s + limits.max_age_s)
        severity = "error" if limits.stale_is_error else "warning"
        says = f"the last candle opened at {oldest:%Y-%m-%d %H:%M:%S} UTC or later"
        rules.append(
            Rule("freshness", severity, says, "ExpectColumnMaxToBeBetween", {"column": "ts", "min_value": oldest})
        )
    if "cross" in frame:
        says = f"another venue's close of the same moment lies within {limits.cross_max:.0%}"
        bounds = {"column": "cross", "max_value": limits.cross_max, "mostly": limits.cross_share_min}
        rules.append(Rule("cross_venue", "error", says, "ExpectColumnValuesToBeBetween", bounds))
    return rules


def _expected_rows(frame: pd.DataFrame, step_s: int) -> int:
    return int((frame["ts"].max() - frame["ts"].min()).total_seconds() // step_s) + 1


def _shape(step_s: int) -> list[Rule]:
    between, absent = "ExpectColumnValuesToBeBetween", "ExpectColumnValuesToNotBeNull"
    return [
        Rule("time_absent", "error", "every row has a time", absent, {"column": "ts"}),
        *(Rule(f"{name}_absent", "error", f"every row has {name}", absent, {"column": name}) for name in PRICES),
        Rule("duplicate", "error", "no two rows are of the same time", "ExpectColumnValuesToBeUnique", {"column": "ts"}),
        Rule(
            "order", "error", "every row is later than the one before", between,
            {"column": "step_s", "min_value": 0, "strict_min": True},
        ),
        Rule(
            "overlap", "error", "no candle opens before the one before is over", between,
            {"column": "step_s", "min_value": step_s},
        ),
    ]  # fmt: skip


def _prices(step_s: int) -> list[Rule]:
    between, pair = "ExpectColumnValuesToBeBetween", "ExpectColumnPairValuesAToBeGreaterThanB"
    outlier = min(OUTLIER_MAX, OUTLIER_1M * (step_s / 60) ** 0.5)
    damage = DAMAGE_FINE if step_s <= FINE_S else DAMAGE_COARSE
    return [
        Rule(
            "price", "error", "every price is above zero", between,
            {"column": "least", "min_value": 0, "strict_min": True},
        ),
        Rule(
            "high", "error", "high is the highest of the four prices", pair,
            {"column_A": "high", "column_B": "top", "or_equal": True},
        ),
        Rule(
            "low", "error", "low is the lowest of the four prices", pair,
            {"column_A": "bottom", "column_B": "low", "or_equal": True},
        ),
        Rule(
            "damage", "error", f"no price is {damage + 1:g} times or {1 / (damage + 1):.2g} of those around it", between,
            {"column": "deviation", "max_value": damage},
        ),
        Rule(
            "outlier", "warning", f"no high or low is more than {outlier:.0%} from the closes around it", between,
            {"column": "deviation", "max_value": outlier},
        ),
    ]  # fmt: skip


def _rhythm(frame: pd.DataFrame) -> list[Rule]:
    between = "ExpectColumnValuesToBeBetween"
    missing = int(frame["missing"].sum())
    return [
        Rule("volume", "error", "no volume is negative", between, {"column": "volume", "min_value": 0}),
        Rule("no_volume", "warning", "something was traded in every candle", between,
             {"column": "volume", "min_value": 0, "strict_min": True}),
        Rule("off_grid", "warning", "candles open on the grid of their timeframe", between,
             {"column": "off_grid_ms", "max_value": 0}),
        Rule("gap", "warning", f"no candle is missing ({missing:,} are)", between, {"column": "missing", "max_value": 0}),
    ]  # fmt: skip
