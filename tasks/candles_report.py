"""What reading a candle file found: the report that goes with the series, and the refusal that replaces it."""

from dataclasses import dataclass
from datetime import datetime

# A person reads these lines; the whole list stays in `ReadReport.gaps`.
GAPS_SHOWN = 10


class CandleRefused(ValueError):
    """A file that can't be read as candles. `reason` is one line: what, in which rows, and what would be accepted."""

    def __init__(self, path: object, reason: str) -> None:
        """Name the file and the reason."""
        self.path = str(path)
        self.reason = reason
        super().__init__(f"{path}: {reason}")


@dataclass(frozen=True, slots=True)
class Gap:
    """A hole in the series: `missing` candles between those that open at `after` and `before` (UTC, both present)."""

    after: datetime
    before: datetime
    missing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadReport:
    """Everything that was seen and done while a file became a series. Times are naive UTC open times.

    `repairs` changed or left out something that was in the file; `remarks` only say what the file is like.
    """

    path: str
    format: str
    timeframe: str
    rows_read: int
    rows: int
    first: datetime
    last: datetime
    scale: int
    volume_scale: int
    zero_volume: int
    gaps: tuple[Gap, ...]
    repairs: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def missing(self) -> int:
        """Count the candles that are missing in the gaps."""
        return sum(gap.missing for gap in self.gaps)

    def lines(self) -> list[str]:
        """Say it in lines for a person: what it is, what was repaired, what is missing."""
        said = [f"{self.rows:,} candles of {self.timeframe} from {self.first} to {self.last} UTC, {self.format}"]
        said += [f"repaired: {text}" for text in self.repairs]
        said += [f"note: {text}" for text in self.remarks]
        if self.zero_volume:
            said.append(f"note: {self.zero_volume:,} candles have no volume")
        if self.gaps:
            said.append(
                f"gaps: {self.missing:,} candles missing in {len(self.gaps):,} gaps; "
                "the series jumps over them, none are invented"
            )
            longest = sorted(self.gaps, key=lambda gap: -gap.missing)[:GAPS_SHOWN]
            said += [f"gap: {gap.missing:,} missing after {gap.after} (next {gap.before})" for gap in longest]
            if len(self.gaps) > GAPS_SHOWN:
                said.append(f"gap: {len(self.gaps) - GAPS_SHOWN:,} shorter ones not shown")
        return said
