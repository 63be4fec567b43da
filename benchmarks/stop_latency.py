"""Measures how long after a stop was detected its exit is sent, in the simulation of tests/simulation, at a 5 s tick.

Detected is the commit of the tick in which a barrier of the grid fires, or a late trade reopens a grid that had stopped;
sent is the first capped market order of the unwind that leaves the machine. Between the two lie the cancels of resting
exits, whose end must be confirmed, lost answers, bans and crashes. Rounds within a tick take milliseconds and count as no
time, so a latency is a multiple of 5 s. Not counted are stops whose inventory was closed by exits that rested already
(`by_exits`), and stops whose store was lost with them (`forgotten`: the barrier then fires anew, and counts from there).
Runs go on until so many stops were seen; each grid has a stop between 0.5 and 2 % and ends with it.

    python -m benchmarks.stop_latency [--stops 1000] [--seed 1] [--slow 30]
"""

import argparse
import json
import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime
from random import Random

from core.engine import BotSpec, Limits, Step
from core.facts import Fact
from core.machines.grid.state import Closed
from core.orders import Role, decode
from tests.core.worlds import D, spec
from tests.simulation.beside import Till
from tests.simulation.hostile import CALM, Faults
from tests.simulation.trading import Trading

# A barrier fired, or ("closing") a late trade is to be closed as well.
WORDS = frozenset({"STOP_LOSS", "TRAILING_STOP", "TIME_LIMIT", "closing"})
TICKS = 200
LIMITS_S = {"calm": (0.99, 8.0), "faulted": (0.999, 30.0)}
STOPS = ("0.005", "0.01", "0.02")


@dataclass(slots=True)
class Timed(Trading):
    """A run that notes when each bot's stop fired, when its exit was sent and when nothing was held any more."""

    fired: dict[str, datetime] = field(default_factory=dict[str, datetime])
    unclosed: dict[str, datetime] = field(default_factory=dict[str, datetime])
    took_s: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    closed_s: list[float] = field(default_factory=list[float])
    apart: Counter[str] = field(default_factory=Counter[str])
    story: list[str] = field(default_factory=list[str])

    def begin(self, account: Till, specs: list[BotSpec], limits: Limits) -> None:
        """Give every grid a stop that the walk is likely to reach."""
        dice = Random(self.seed)
        stopped: list[BotSpec] = []
        for one in specs:
            config = one.plan.config
            barriers = config.triple_barrier.model_copy(update={"stop_loss": D(dice.choice(STOPS))})
            stopped.append(spec(config.model_copy(update={"triple_barrier": barriers}), one.instrument))
        Trading.begin(self, account, stopped, limits)

    def committed(self, step: Step) -> None:
        """Note the stops that are stored from now on."""
        for row in step.journal:
            if row.decision in WORDS:
                self.fired.setdefault(row.bot_id, self.now)
                self.unclosed.setdefault(row.bot_id, self.now)
            if row.bot_id in self.fired:
                self.story.append(f"{self.now:%H:%M:%S} {row.bot_id} {row.subject} {row.decision} {row.reason}")
        Trading.committed(self, step)

    def act(self, step: Step) -> list[Fact]:
        """Send what was decided, and see in the venue's own log what has left, whatever ends the sending."""
        before = len(self.venue.log)
        try:
            return Trading.act(self, step)
        finally:
            for line in self.venue.log[before:]:
                self._look(line)

    def _look(self, line: str) -> None:
        # A line of the log: date, time, what, client id, ...
        _, _, what, cid, *_ = line.split()
        who = decode(cid)
        if what != "place" or who is None or not who.leg_id.startswith(Role.UNWIND.value):
            return
        since = self.fired.pop(who.bot_id, None)
        if since is not None:
            told = "\n    ".join(one for one in self.story if one.split()[1] == who.bot_id)
            self.took_s.append(((self.now - since).total_seconds(), f"seed {self.seed} {who.bot_id}\n    {told}"))
            self.story = [one for one in self.story if one.split()[1] != who.bot_id]

    def restart(self) -> None:
        """Start again; a lost store takes the latched stops with it."""
        lost = self.stores_lost
        Trading.restart(self)
        if self.stores_lost > lost:
            self.apart["forgotten"] += len(self.fired)
            self.fired.clear()
            self.unclosed.clear()

    def settle_stops(self) -> bool:
        """Put away the stops that ended without an unwind; whether every grid has ended."""
        ended = 0
        for bot_id, bot in self.world.bots.items():
            if bot.state is not None and isinstance(bot.state.phase, Closed) and bot.unwind is None:
                ended += 1
                self.apart["by_exits"] += self.fired.pop(bot_id, None) is not None
                since = self.unclosed.pop(bot_id, None)
                self.closed_s += [] if since is None else [(self.now - since).total_seconds()]
        return ended == len(self.world.bots)


def measure(name: str, faults: Faults, stops: int, seed: int, slow_s: float) -> dict[str, object]:
    """Run seeds one after another until enough stops were seen; returns the figures and prints the slow ones."""
    took: list[tuple[float, str]] = []
    closed: list[float] = []
    apart: Counter[str] = Counter()
    runs = 0
    while len(took) < stops:
        run = Timed(seed + runs, faults, step_max=60)
        for _ in range(TICKS):
            run.run(1)
            if run.settle_stops():
                break
        run.apart["unfinished"] += len(run.fired)
        took += run.took_s
        closed += run.closed_s
        apart += run.apart
        runs += 1
        for late_s, story in run.took_s:
            if late_s > slow_s:
                print(f"{late_s:g} s: {story}")
        for bot_id, since in run.fired.items():
            print(f"unfinished after {(run.now - since).total_seconds():g} s: seed {run.seed} {bot_id}")
    share, most = LIMITS_S[name]
    times = sorted(late_s for late_s, _ in took)
    closed.sort()
    at = times[min(int(len(times) * share), len(times) - 1)]
    return {
        "faults": name, "stops": len(times), "runs": runs, "p50_s": times[len(times) // 2],
        "p99_s": times[int(len(times) * 0.99)], f"p{share * 100:g}_s": at, "longest_s": times[-5:],
        "closed_p50_s": closed[len(closed) // 2], "closed_p99_s": closed[int(len(closed) * 0.99)],
        **apart, "limit_s": most, "met": at <= most,
    }  # fmt: skip


def main() -> int:
    """Print a table and one JSON line; 1 where a limit is not met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stops", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--slow", type=float, default=30.0, help="print the story of stops that took longer (s)")
    args = parser.parse_args()
    calm = replace(CALM, partial=0.3)
    rows = [
        measure("calm", calm, args.stops, args.seed, args.slow),
        measure("faulted", Faults(), args.stops, args.seed, args.slow),
    ]
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items()))
    print(json.dumps({"benchmark": "stop_latency", "tick_s": 5, "seed": args.seed, "rows": rows}))
    return 0 if all(row["met"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
