"""What the flow `sweep` does beside the command: a request from a form, the tables as markdown that the UI renders."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from tasks.errors import Refused


def run_sweep(
    portfolio: str, candles: Sequence[str], vary: Sequence[str], *, bot: str | None, draws: int | None, seed: int,
    walk_forward: int | None, from_: datetime | None, to: datetime | None, intrabar: str, fill: str, latency_s: float,
    engine: str, runner: str, processes: int | None, out: str | None, funding: Sequence[str] = (),
) -> dict[str, Any]:  # fmt: skip
    """Run a sweep and return its summary with id and remarks, and with `out` the files; raises `Refused`."""
    from tasks.backtesting import Options
    from tasks.sweep import Request, sweep

    first, end = _naive(from_), _naive(to)
    if first is not None and end is not None and first >= end:
        raise Refused(f"{first} is not before {end}", key="from_", accepted="an earlier time")
    made = sweep(
        Request(
            portfolio=portfolio, bot=bot, candles=tuple(candles), vary=tuple(vary), draws=draws, seed=seed,
            options=Options(intrabar=intrabar, fill=fill, latency_s=latency_s, engine=engine), from_=first, to=end,
            walk_forward=walk_forward, runner=runner, processes=processes, funding=tuple(funding),
        )
    )  # fmt: skip
    said = {"sweep_id": made.name, **made.summary, "warnings": made.remarks}
    if out:
        from tasks.sweep_pictures import write_sweep

        said["files"] = [str(path) for path in write_sweep(made, out)]
    return said


def markdown_of(said: dict[str, Any]) -> str:
    """Show a summary as markdown tables, remarks first."""
    lines = [f"- {_safe(text)}" for text in said["warnings"]]
    spreads = [
        {"net PnL": "in sample", **said["net_pnl_in_sample"]},
        {"net PnL": "out of sample", **said["net_pnl_out_of_sample"]},
    ]
    figures = ["deflated_sharpe", "sharpe_of_luck", "rank_correlation", "profitable_out_of_sample", "trials", "refused"]
    steps = [{k: v for k, v in step.items() if k != "values"} | step["values"] for step in said["walk_forward"]]
    return "\n".join([
        *lines, "", *_table([{name: said[name] for name in figures}]), "", *_table(spreads), "",
        "Chosen on a stretch, tested on the next:", "", *_table(steps), "",
        "Not beaten in both profit and drawdown, in sample:", "", *_table(said["pareto"]),
    ])  # fmt: skip


def key_of(said: dict[str, Any]) -> str:
    """Return the artifact's key."""
    return f"sweep-{said['sweep_id']}"


def _table(rows: Sequence[dict[str, Any]]) -> list[str]:
    head = [f"| {' | '.join(_safe(name.replace('_', ' ')) for name in rows[0])} |", "|" + "---|" * len(rows[0])]
    return head + [f"| {' | '.join(_safe(_cell(v)) for v in row.values())} |" for row in rows]


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _safe(text: str) -> str:
    # One line, and no character that markdown or HTML acts on.
    return re.sub(r"([\\`|<>*_\[\]])", r"\\\1", " ".join(text.split()))


def _naive(at: datetime | None) -> datetime | None:
    return at.astimezone(UTC).replace(tzinfo=None) if at is not None and at.tzinfo is not None else at
