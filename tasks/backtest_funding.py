"""Funding files of a backtest as rows by market: a rate is known at its time only, its interval comes from the times."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

from core.engine import BotSpec
from core.market import Market
from tasks.errors import Refused

# (time in ms, rate as a fraction of the position's value, positive when longs pay, interval in seconds)
Rates = Mapping[Market, Sequence[tuple[int, Decimal, float]]]
# What a lone row is taken to be for: the usual eight hours.
INTERVAL_S = 28_800.0


def read_rates(funding: Sequence[str], spec: BotSpec) -> Rates:
    """Read `[VENUE[:SYMBOL]=]PATH` files for the swaps that a bot trades; raises `Refused` for what does not fit.

    A path without a venue is meant for the only swap.
    """
    return read_rates_of(funding, [one.market for one in spec.instruments if one.swap], spec.bot_id)


def read_rates_of(funding: Sequence[str], swaps: Sequence[Market], who: str) -> Rates:
    """Read funding files for swaps that `who` trades, as `read_rates` does."""
    found: dict[Market, Sequence[tuple[int, Decimal, float]]] = {}
    for text in funding:
        name, is_named, path = text.partition("=")
        wanted = [m for m in swaps if not is_named or name in {m[0], f"{m[0]}:{m[1]}"}]
        known = ", ".join(f"{venue}:{symbol}" for venue, symbol in swaps)
        if not wanted:
            reason = f"{who} trades no swap at {name}" if is_named else f"{who} trades no swap"
            raise Refused(reason, key="--funding", accepted=known or "a bot that trades swaps")
        if len(wanted) > 1 or wanted[0] in found:
            raise Refused(f"{text}: which swap is meant is not clear", key="--funding", accepted=known)
        found[wanted[0]] = _read(Path(path if is_named else text))
    return found


def with_intervals(payments: Sequence[tuple[int, Decimal]]) -> list[tuple[int, Decimal, float]]:
    """Give every payment the seconds since the one before; the first takes the second's."""
    steps = [(b[0] - a[0]) / 1000 for a, b in pairwise(payments)]
    steps = [steps[0] if steps else INTERVAL_S, *steps]
    return [(ms, rate, step) for (ms, rate), step in zip(payments, steps, strict=True)]


def _read(path: Path) -> list[tuple[int, Decimal, float]]:
    from tasks.candles_funding import read_funding
    from tasks.candles_report import CandleRefused

    if not path.is_file():
        raise Refused(f"no file {path}", key="--funding", accepted="a CSV, Parquet or feather file of funding rates")
    try:
        return with_intervals(read_funding(path))
    except CandleRefused as refused:
        raise Refused(str(refused), key="--funding") from None
