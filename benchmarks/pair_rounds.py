"""Plays rounds of XEMM, arbitrage and funding arbitrage against two hostile venues, and tells how long they stood unhedged.

Each round has its own seed: parts, fills during cancels, lost answers, refusals, late trades, thin books. After each one the
bot's books must equal the venues', and what it holds over both markets must be below a lot or named by an incident. An
executor that has not ended by itself is stopped by a person's word; then nothing may be held in either. An imbalance
older than its deadline that no critical incident told is a failure.

    nice .venv/bin/python -m benchmarks.pair_rounds --rounds 100000 --out benchmarks/pair_rounds.json
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from core.engine import BotSpec, Mode
from core.executors.life import CloseType, Status
from core.kinds import AnyBot
from core.machines.arbitrage.config import ArbitrageConfig
from core.machines.xemm.config import XemmConfig
from tasks.orchestrator_info import standing
from tests.core.hostile_pair import Played, check, play, rules_of, spec_of
from tests.core.machines.funding_arb.fundings import shaken
from tests.core.worlds import SYMBOL

MARKETS: dict[str, Any] = {
    "buying_market": {"venue": "a", "symbol": SYMBOL}, "selling_market": {"venue": "b", "symbol": SYMBOL},
}  # fmt: skip
KINDS = ("xemm", "arbitrage", "funding_arb")
# Seconds after which an incident must have told: `hedge_deadline_s`; `timeout_s` (2) to fill, as long again to mend and a
# tick; a pair's opening and close together.
DEADLINE_S = {"xemm": 5.0, "arbitrage": 5.0, "funding_arb": 12.0 + 60.0}


def xemm(side: Literal["BUY", "SELL"]) -> AnyBot:
    """A round that makes on one side and hedges on the other."""
    return XemmConfig(
        id="x", order_amount=Decimal("0.5"), min_profitability=Decimal("0.0005"), maker_side=side,
        target_profitability=Decimal("0.001"), max_profitability=Decimal("0.002"), hedge_deadline_s=DEADLINE_S["xemm"],
        **MARKETS,
    )  # fmt: skip


def arbitrage() -> AnyBot:
    """A round that buys and sells at once."""
    return ArbitrageConfig(
        id="x", order_amount=Decimal("0.5"), min_profitability=Decimal("0.0002"), timeout_s=2,
        **MARKETS,
    )  # fmt: skip


@dataclass(slots=True)
class Found:
    """What the rounds of one kind showed. `ended`: by itself; `ages`: how many imbalances lasted so many seconds."""

    kind: str
    rounds: int = 0
    trades: int = 0
    ended: int = 0
    late_told: int = 0
    residues_told: int = 0
    failures: int = 0
    took_s: float = 0.0
    ages: Counter[float] = field(default_factory=Counter[float])
    faults: Counter[str] = field(default_factory=Counter[str])

    def age_s(self, share: float) -> float:
        """Return the age below which this share of all imbalances was balanced again, in seconds."""
        seen, whole = 0, sum(self.ages.values())
        for age, count in sorted(self.ages.items()):
            seen += count
            if seen >= share * whole:
                return age
        return 0.0

    def plain(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {
            "kind": self.kind, "rounds": self.rounds, "ended": self.ended, "trades": self.trades,
            "faults": dict(sorted(self.faults.items())), "imbalances": sum(self.ages.values()),
            "age_p50_s": self.age_s(0.5), "age_p99_s": self.age_s(0.99), "age_p999_s": self.age_s(0.999),
            "age_max_s": max(self.ages, default=0.0), "deadline_s": DEADLINE_S[self.kind], "late_told": self.late_told,
            "residues_told": self.residues_told, "failures": self.failures, "took_s": round(self.took_s, 1),
        }  # fmt: skip


def rounds_of(kind: str) -> Callable[[int], Played]:
    """Return what plays one round of a kind from its seed."""
    if kind == "funding_arb":
        return shaken
    bots = [xemm("BUY"), xemm("SELL")] if kind == "xemm" else [arbitrage()]
    specs: list[BotSpec] = [spec_of(bot, rules_of(min_notional=Decimal(5))) for bot in bots]
    shake = 0.15 if kind == "xemm" else 0.3
    return lambda seed: play(specs[seed % len(specs)], seed, ended=is_over, shake=shake)


def is_over(run: Played) -> bool:
    """Whether the executor has ended by itself; a funding arbitrage goes on for life."""
    return standing(run.bot)[0] is Status.TERMINATED


def finish(run: Played) -> None:
    """Stop what has not ended by itself."""
    if not is_over(run):
        run.flatten()


def objection(run: Played, kind: str) -> str:
    """Say what is wrong with a round that has come to rest; empty where nothing is."""
    if run.oldest_s > DEADLINE_S[kind] and not run.alarmed:
        return f"unhedged for {run.oldest_s:.0f} s, and no incident told of it"
    if run.off_since is not None:
        return f"left open: {run.bot.state}"
    if not is_over(run):
        return f"has not ended: {standing(run.bot)} {run.bot.state}"
    lot = max(one.lot_step for one in run.spec.instruments)
    left = run.net() if run.bot.mode is Mode.RUN else max(abs(run.bot.inventory), abs(run.net() - run.bot.inventory))
    shown = (
        standing(run.bot)[1] is CloseType.POSITION_HOLD
    )  # stopped by hand: reports show what was too little to close
    if abs(left) >= lot and not run.incidents and not shown:
        return f"{left} are left, and no incident names them"
    return ""


def measure(kind: str, rounds: int, first: int = 0) -> Found:
    """Play the rounds of one kind and count; raises `AssertionError` where books differ, prints what else is wrong."""
    found, one_round = Found(kind), rounds_of(kind)
    began = time.perf_counter()
    for seed in range(first, first + rounds):
        run = one_round(seed)
        found.ended += is_over(run)
        finish(run)
        check(run)
        wrong = objection(run, kind)
        if wrong:
            print(f"{kind}, seed {seed}: {wrong}", file=sys.stderr)
        found.failures += bool(wrong)
        found.rounds += 1
        found.ages.update(run.to_hedge_s)
        found.late_told += run.oldest_s > DEADLINE_S[kind] and run.alarmed
        found.residues_told += run.net() != 0 and bool(run.incidents)
        for venue in run.venues.values():
            found.trades += venue.trades
            found.faults.update(venue.faults)
    found.took_s = time.perf_counter() - began
    return found


def table(all_found: list[Found]) -> str:
    """Return the figures as a table in Markdown."""
    heads = [
        "kind",
        "rounds",
        "trades",
        "parts",
        "fills in cancels",
        "lost answers",
        "imbalances",
        "p50",
        "p99",
        "p99.9",
    ]
    heads += ["slowest", "late, told", "failures"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for one in all_found:
        parts, lost = one.faults["part"] + one.faults["thin"], one.faults["lost_before"] + one.faults["lost_after"]
        ages = [f"{age:.0f} s" for age in (one.age_s(0.5), one.age_s(0.99), one.age_s(0.999), max(one.ages, default=0))]
        lines.append(
            f"| `{one.kind}` | {one.rounds:,} | {one.trades:,} | {parts:,} | {one.faults['during_cancel']:,} | {lost:,} | "
            f"{sum(one.ages.values()):,} | {' | '.join(ages)} | {one.late_told:,} | {one.failures:,} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Play the kinds; exit 1 where anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--rounds", type=int, default=2_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--out", type=Path, help="where the figures go as JSON")
    given = parser.parse_args()
    all_found = [measure(kind, given.rounds, given.first) for kind in given.kind or KINDS]
    print(table(all_found))
    if given.out is not None:
        told = {"benchmark": "pair_rounds", "kinds": [one.plain() for one in all_found]}
        given.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    raise SystemExit(1 if any(one.failures for one in all_found) else 0)


if __name__ == "__main__":
    main()
