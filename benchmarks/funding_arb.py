"""Walks the funding scanner over recorded rates and lists every stay: when it entered, when it left and why, what it brought.

Rates are those of `../shared/data/funding` (or `--folder`), prices are taken as equal, fees as taker fees at 5 bp a side.

    nice .venv/bin/python -m benchmarks.funding_arb --coin BTC
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from core.funding import ScanRules, Stay, Terms, scan
from core.market import Market
from core.series import ms_to_ts
from tasks.candles_funding import read_funding, with_intervals

FOLDER = Path(__file__).resolve().parents[2] / "shared/data/funding"
TAKER = Decimal("0.0005")
TERMS = Terms(Decimal("0.001"), Decimal(24), Decimal("0.0002"), Decimal("0.01"))


def rates_in(folder: Path, coin: str) -> dict[Market, list[tuple[datetime, Decimal, float]]]:
    """Read every venue's long series of a coin."""
    found: dict[Market, list[tuple[datetime, Decimal, float]]] = {}
    for file in sorted(folder.glob(f"*-{coin}USDT-funding-*-20231231.parquet")):
        rows = with_intervals(read_funding(file))
        found[file.name.partition("-")[0], f"{coin}/USDT:USDT"] = [(ms_to_ts(ms), rate, gap) for ms, rate, gap in rows]
    return found


def shown(stays: Sequence[Stay]) -> None:
    """Print one line a stay, and the sums."""
    costs = 4 * TAKER
    print(
        "| entered | left | long | short | a day at entry | why | funding | after fees |\n|---|---|---|---|---|---|---|---|"
    )
    for one in stays:
        left = f"{one.left:%Y-%m-%d %H:%M}" if one.left else "-"
        print(
            f"| {one.entered:%Y-%m-%d %H:%M} | {left} | {one.long[0]} | {one.short[0]} | {one.edge_h * 24:.4%} | "
            f"{one.reason or 'open'} | {one.funding:.4%} | {one.funding - costs:.4%} |"
        )
    whole = sum((one.funding for one in stays), Decimal(0))
    reasons = Counter(one.reason or "open" for one in stays)
    print(f"\n{len(stays)} stays; funding {whole:.4%}, after fees {whole - costs * len(stays):.4%}; {dict(reasons)}")


def main() -> None:
    """Scan one coin."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--coin", default="BTC")
    parser.add_argument("--min-profit", type=Decimal, default=TERMS.min_profit)
    parser.add_argument("--horizon-hours", type=Decimal, default=TERMS.horizon_h)
    parser.add_argument("--erosion", type=Decimal, default=Decimal("0.5"))
    given = parser.parse_args()
    terms = Terms(given.min_profit, given.horizon_hours, TERMS.slippage, TERMS.max_basis)
    shown(scan(rates_in(given.folder, given.coin), ScanRules(terms, TAKER, erosion_ratio=given.erosion)))


if __name__ == "__main__":
    main()
