"""Plays rounds of XEMM and arbitrage against two hostile venues and measures how long a quantity stood unhedged.

Each round has its own seed: parts, fills during cancels, lost answers, refusals, late trades, thin books. After each one the
bot's books must equal the venues'. An imbalance older than the deadline is a failure unless an incident told of it.

    nice .venv/bin/python -m benchmarks.xemm_rounds --rounds 100000
"""

import argparse
import time
from collections import Counter
from decimal import Decimal
from typing import Any

from core.kinds import AnyBot
from core.machines.arbitrage.config import ArbitrageConfig
from core.machines.xemm.config import XemmConfig
from tests.core.hostile_pair import Played, check, play, rules_of, spec_of
from tests.core.worlds import SYMBOL

MARKETS: dict[str, Any] = {
    "buying_market": {"venue": "a", "symbol": SYMBOL}, "selling_market": {"venue": "b", "symbol": SYMBOL},
}  # fmt: skip
DEADLINE_S = 5.0


def xemm(side: str) -> AnyBot:
    """A round that makes on one side and hedges on the other."""
    return XemmConfig(
        id="x", order_amount=Decimal("0.5"), min_profitability=Decimal("0.0005"), maker_side=side,  # type: ignore[arg-type]
        target_profitability=Decimal("0.001"), max_profitability=Decimal("0.002"), hedge_deadline_s=DEADLINE_S, **MARKETS,
    )  # fmt: skip


def arbitrage() -> AnyBot:
    """A round that buys and sells at once."""
    return ArbitrageConfig(
        id="x", order_amount=Decimal("0.5"), min_profitability=Decimal("0.0002"), timeout_s=2, **MARKETS
    )


def over(run: Played) -> bool:
    """Whether the executor has ended."""
    return run.bot.state is not None and type(run.bot.state.phase).__name__ == "Ended"


def measure(name: str, bots: list[AnyBot], shake: float, rounds: int, first: int) -> int:
    """Play the rounds of one kind and print what was found; returns the number of failures."""
    specs = [spec_of(bot, rules_of(min_notional=Decimal(5))) for bot in bots]
    ages: Counter[float] = Counter()
    found: Counter[str] = Counter()
    began = time.perf_counter()
    for seed in range(first, first + rounds):
        run = play(specs[seed % len(specs)], seed, ended=over, shake=shake)
        check(run)
        ages.update(run.to_hedge_s)
        found["faults"] += sum(one.faults for one in run.venues.values())
        found["trades"] += sum(one.trades for one in run.venues.values())
        found["ended"] += over(run)
        if run.oldest_s > DEADLINE_S:
            found["late, with an incident" if run.alarmed else "LATE"] += 1
        if run.off_since is not None:
            found["LEFT OPEN"] += 1
            print(f"  seed {seed} was left open: {run.bot.state}")
    hedges = sum(ages.values())
    slow = sum(count for age, count in ages.items() if age > 1)
    print(
        f"{name}: {rounds} rounds in {time.perf_counter() - began:.0f} s, "
        + ", ".join(f"{v} {k}" for k, v in found.items())
    )
    print(f"  balanced again within 1 s: {hedges - slow} of {hedges}; the slowest took {max(ages, default=0):.0f} s")
    return found["LATE"] + found["LEFT OPEN"]


def main() -> None:
    """Play both kinds; exit 1 where a deadline was missed in silence."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=2_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    given = parser.parse_args()
    failed = measure("xemm", [xemm("BUY"), xemm("SELL")], 0.15, given.rounds, given.first)
    failed += measure("arbitrage", [arbitrage()], 0.3, given.rounds, given.first)
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
