"""Measures how long after a stop was detected its exit is sent, in the simulation of tests/simulation, at a 5 s tick.

Detected is the tick in which a barrier of the grid fires; sent is the first capped market order of the unwind that
follows. Between the two lie the cancels of resting exits, whose end must be confirmed. Rounds within a tick take
milliseconds and count as no time, so a latency is a multiple of 5 s. Runs go on until so many stops were seen.

    python benchmarks/stop_latency.py [--stops 300] [--seed 1]
"""

import argparse
import json
import sys
from dataclasses import dataclass, field, replace
from datetime import datetime

from core.engine import Place
from core.engine.world import Step
from core.facts import Fact
from core.orders import Role
from tests.simulation.hostile import CALM, Faults
from tests.simulation.trading import Trading

WORDS = frozenset({"STOP_LOSS", "TRAILING_STOP", "TIME_LIMIT"})
TICKS = 400
LIMITS_S = {"calm": (0.99, 8.0), "faulted": (0.999, 30.0)}


@dataclass(slots=True)
class Timed(Trading):
    """A run that notes when each bot's stop fired and when its exit was sent."""

    fired: dict[str, datetime] = field(default_factory=dict[str, datetime])
    took_s: list[float] = field(default_factory=list[float])

    def act(self, step: Step) -> list[Fact]:
        """Look at what was decided, then send it."""
        for row in step.journal:
            if row.decision in WORDS:
                self.fired.setdefault(row.bot_id, self.now)
            elif row.decision == "DONE" or row.decision == "closed":
                self.fired.pop(row.bot_id, None)  # its resting exits closed everything before
        for intent in step.intents:
            if isinstance(intent, Place) and intent.order.role is Role.UNWIND:
                since = self.fired.pop(intent.order.bot_id, None)
                if since is not None:
                    self.took_s.append((self.now - since).total_seconds())
        return Trading.act(self, step)


def measure(name: str, faults: Faults, stops: int, seed: int) -> dict[str, object]:
    """Run seeds one after another until enough stops were seen; returns the figures."""
    took: list[float] = []
    runs = 0
    while len(took) < stops:
        run = Timed(seed + runs, faults, step_max=60)
        run.run(TICKS)
        took += run.took_s
        runs += 1
    took.sort()
    share, most = LIMITS_S[name]
    at = took[min(int(len(took) * share), len(took) - 1)]
    return {
        "faults": name, "stops": len(took), "runs": runs, "p50_s": took[len(took) // 2], f"p{share * 100:g}_s": at,
        "longest_s": took[-5:], "limit_s": most, "met": at <= most,
    }  # fmt: skip


def main() -> int:
    """Print a table and one JSON line; 1 where a limit is not met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stops", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    calm = replace(CALM, partial=0.3)
    rows = [measure("calm", calm, args.stops, args.seed), measure("faulted", Faults(), args.stops, args.seed)]
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items()))
    print(json.dumps({"benchmark": "stop_latency", "tick_s": 5, "rows": rows}))
    return 0 if all(row["met"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
