"""Sweeps: many configurations of one bot over the same candles, with what a winner earned where it was not chosen.

In sample every configuration runs over all stretches but the last; the last is out of sample. Without walk-forward there
are two stretches (the first 70 % of the bars, and the rest); `--walk-forward N` makes N + 1 equal ones, and each is the
test of what was chosen on the one before. Every stretch starts afresh, with the whole capital and no position.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from core.portfolio import Portfolio
from tasks.backtest_candles import refuse_strangers
from tasks.backtesting import Options, choose_bot
from tasks.errors import Refused
from tasks.progress import Progress
from tasks.settings import check, data_dir
from tasks.sweep_run import Frame, Job, Row, Shared, shared_of
from tasks.sweep_runners import RUNNERS, Numbered
from tasks.sweep_stats import Trial, summary_of, trials_of
from tasks.sweep_store import SweepStore, sweep_id
from tasks.sweep_vary import Vary, configurations, parse_vary
from tasks.version import code_version
from tasks.yaml_strict import load

IN_SAMPLE = 0.7
# Bars without which a stretch says nothing.
BARS_LEAST = 2
KEEP_EVERY_S = 5.0
_SECRET = ("api_key", "secret", "password", "api_url")
_IGNORED = ("feed", "alerts", "mode")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A sweep as asked for. `draws` configurations at random with `seed`, or all of them where it is None."""

    portfolio: str
    bot: str | None
    candles: tuple[str, ...]
    vary: tuple[str, ...]
    options: Options
    from_: datetime | None = None
    to: datetime | None = None
    draws: int | None = None
    seed: int = 0
    walk_forward: int | None = None
    funding: tuple[str, ...] = ()
    runner: str = "process"
    processes: int | None = None


@dataclass(slots=True)
class Sweep:
    """A finished sweep: its id, rows in order of configuration and stretch, what it says, and remarks."""

    name: str
    varied: list[Vary]
    job: Job
    rows: list[Row]
    trials: list[Trial]
    summary: dict[str, Any]
    resumed: int
    elapsed_s: float
    remarks: list[str] = field(default_factory=list[str])


def sweep(asked: Request) -> Sweep:
    """Run a sweep and keep it in the portfolio's market store; raises `Refused`, and `Busy` where the store is taken."""
    began = time.monotonic()
    raw, portfolio = _read(asked.portfolio)
    refuse_strangers(asked.candles, portfolio.bots)
    index, bot = choose_bot(portfolio, asked.bot)
    varied = [parse_vary(text, type(bot)) for text in asked.vary]
    chosen = configurations(varied, asked.draws, asked.seed)
    job = Job(
        raw={**raw, "bots": [raw["bots"][index]]}, candles=tuple(_absolute(text) for text in asked.candles),
        from_=asked.from_, to=asked.to, options=asked.options, segments=(),
        funding=tuple(_absolute(text) for text in asked.funding),
    )  # fmt: skip
    shared = shared_of(job)
    segments = segments_of(len(shared.series), asked.walk_forward)
    job = replace(job, segments=segments)
    _refuse_hopeless(job, chosen, shared)
    name = sweep_id(job, chosen, code_version())
    place = data_dir(portfolio, asked.portfolio)
    store = SweepStore(place, name, job, shared.timeframe, _times(shared, segments))
    rows = store.begin(varied, len(chosen), _now())
    resumed = len(rows) // len(segments)
    remarks = _compute(asked, job, chosen, rows, store)
    rows.sort(key=lambda row: (row["number"], row["segment"]))
    trials = trials_of(rows, len(segments))
    summary = summary_of(trials, len(segments), len(chosen) - len(trials))
    store.end(rows, summary, _now())
    return Sweep(
        name,
        varied,
        job,
        rows,
        trials,
        summary,
        resumed,
        time.monotonic() - began,
        [*shared.remarks, *remarks, *_remarks(trials, summary)],
    )


def segments_of(bars: int, walk_forward: int | None) -> tuple[tuple[int, int], ...]:
    """Cut bars into stretches; raises `Refused` where there are too few."""
    cuts = [0, int(bars * IN_SAMPLE), bars]
    if walk_forward is not None:
        cuts = [bars * i // (walk_forward + 1) for i in range(walk_forward + 2)]
    found = tuple(pairwise(cuts))
    if any(last - first < BARS_LEAST for first, last in found):
        raise Refused(
            f"{bars} candles are too few for {len(found)} stretches",
            key="--candles",
            accepted="more candles, or fewer stretches",
        )
    return found


def _read(file: str) -> tuple[dict[str, Any], Portfolio]:
    # As a portfolio for backtests: no keys, no feed. What is left may travel to other machines.
    path = Path(file)
    if not path.is_file():
        raise Refused(f"no file {path}", key="portfolio", accepted="the path of a YAML file")
    raw = load(path.read_text(encoding="utf-8"), path.name)
    if not isinstance(raw, dict):
        raise Refused(f"{path.name} holds no mapping", key="portfolio", accepted="keys such as venues and bots")
    bare: dict[str, Any] = {key: value for key, value in raw.items() if key not in _IGNORED}
    bare["mode"] = "backtest"
    venues = bare.get("venues")
    if isinstance(venues, list):
        bare["venues"] = [
            {k: v for k, v in one.items() if k not in _SECRET} if isinstance(one, dict) else one for one in venues
        ]
    return bare, check(bare, os.environ)


def _absolute(text: str) -> str:
    # Workers may run in other folders. Files that are not there are refused by the reader.
    name, is_named, path = text.partition("=")
    return f"{name}={Path(path).resolve()}" if is_named else str(Path(text).resolve())


def _refuse_hopeless(job: Job, chosen: Sequence[dict[str, str]], shared: Shared) -> None:
    # Where no configuration is allowed, the first one's reason is the sweep's, before anything is written; and so is what
    # does not fit of the funding files.
    first: Refused | None = None
    frame = Frame(job.raw)
    for values in chosen:
        try:
            _, spec = frame.prepare(values)
        except Refused as refused:
            first = first or refused
        else:
            shared.rates_of(job.funding, spec)
            return
    if first is not None:
        raise Refused(f"no configuration is allowed; the first: {first.reason}", key=first.key, accepted=first.accepted)


def _compute(
    asked: Request, job: Job, chosen: Sequence[dict[str, str]], rows: list[Row], store: SweepStore
) -> list[str]:
    # Adds what is missing to `rows`, and keeps it as it comes.
    done = {row["number"] for row in rows}
    todo: list[Numbered] = [(number, values) for number, values in enumerate(chosen) if number not in done]
    fresh: list[Row] = []
    kept = time.monotonic()
    runner: Callable[..., Iterator[list[Row]]] = RUNNERS[asked.runner]
    with Progress("configurations", len(todo)) as progress:
        for part in runner(job, todo, asked.processes):
            rows += part
            fresh += part
            progress.show(len(rows) // len(job.segments) - len(done))
            if time.monotonic() - kept > KEEP_EVERY_S and store.keep(fresh, _now()):
                fresh, kept = [], time.monotonic()
    cored = sum(row["engine"] == "core" for row in rows)
    if asked.options.engine == "kernel" and cored:
        return [f"{cored} of {len(rows)} runs needed the core engine: the kernel does not do their configuration"]
    return []


def _remarks(trials: Sequence[Trial], summary: dict[str, Any]) -> list[str]:
    said: list[str] = []
    if summary["refused"]:
        said.append(f"{summary['refused']} configurations were refused; their reasons stand in `backtests.refused`")
    deflated = summary["deflated_sharpe"]
    if deflated is None:
        said.append("too few days or trials for a deflated Sharpe ratio: nothing is shown about luck")
    elif deflated < 0.95:
        said.append(f"the winner may be luck: its deflated Sharpe ratio is {deflated:.2f}, 0.95 is the usual bar")
    if sum(t.fills for t in trials) == 0:
        said.append("no configuration traded")
    return said


def _times(shared: Shared, segments: Sequence[tuple[int, int]]) -> list[tuple[int, int, int]]:
    return [(shared.series.ts_ms(a), shared.series.ts_ms(b - 1), b - a) for a, b in segments]


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
