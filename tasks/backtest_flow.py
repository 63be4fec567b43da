"""What the flow `backtest` does beside the command: options from a form, figures as a table that the UI renders."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tasks.errors import Refused

# Figures of the table, in its order; what a run has beside them stands below in alphabetical order.
ORDER = (
    "symbol", "timeframe", "bars", "fills", "fills_initial", "round_trips", "net_pnl", "grid_profit", "realized_pnl",
    "unrealized_pnl", "fees", "funding", "final_equity", "capital_quote", "max_drawdown", "sharpe", "sortino", "win_rate",
    "exposure_max", "intrabar", "fill", "latency_s", "engine", "elapsed_s",
)  # fmt: skip
FRACTIONS = {"max_drawdown", "win_rate"}
IN_QUOTE = {
    "net_pnl", "grid_profit", "realized_pnl", "unrealized_pnl", "fees", "funding", "final_equity", "capital_quote",
    "exposure_max",
}  # fmt: skip


def run_backtest(
    portfolio: str, candles: Sequence[str], *, bot: str | None, from_: datetime | None, to: datetime | None, intrabar: str,
    fill: str, latency_s: float, engine: str, out: str | None, funding: Sequence[str] = (),
) -> dict[str, Any]:  # fmt: skip
    """Run one backtest and return its figures with `warnings` and, with `out`, `files`.

    Times with a zone are taken as that instant, without one as UTC. Raises `Refused` where something does not fit.
    """
    from tasks.backtesting import Options, backtest

    first, end = naive(from_), naive(to)
    if first is not None and end is not None and first >= end:
        raise Refused(f"{first} is not before {end}", key="from_", accepted="an earlier time")
    if engine == "kernel" and out:
        raise Refused("the kernel keeps no journal to report from", key="out", accepted="engine: core")
    options = Options(intrabar=intrabar, fill=fill, latency_s=latency_s, engine=engine)
    made = backtest(portfolio, bot, candles, options, first, end, funding)
    run_id = _keep(made, portfolio)
    figures = {**made.figures, "run_id": run_id, "warnings": list(made.remarks)}
    if out:
        from tasks.portfolio_files import write_any

        figures["files"] = [str(path) for path in write_any(made, out)]
    return figures


def _keep(made: Any, file: str) -> str | None:
    # As the command does: in the market store of a portfolio that has run; a store that is taken becomes a remark.
    from tasks.settings import data_dir, load_portfolio

    loaded = load_portfolio(file)
    place = data_dir(loaded, file)
    if not place.is_dir():
        return None
    from tasks.backtest_store import keep_backtest

    run_id, why_not = keep_backtest(made, place, loaded.id)
    if why_not is not None:
        made.remarks.append(why_not)
    return run_id


def naive(at: datetime | None) -> datetime | None:
    """Return an instant as UTC without zone, as everything here keeps it."""
    return at.astimezone(UTC).replace(tzinfo=None) if at is not None and at.tzinfo is not None else at


def key_of(*parts: str | None) -> str:
    """Build an artifact's key from words and file names: lower case letters, digits and dashes are all it may have."""
    words = [Path(part).stem if part is not None else "" for part in parts]
    return re.sub(r"[^a-z0-9]+", "-", "-".join(word for word in words if word).lower()).strip("-")


def markdown_of(figures: Mapping[str, Any]) -> str:
    """Show the figures as a markdown table, with the warnings and the written files below."""
    quote = figures.get("quote") or str(figures.get("symbol", "")).partition("/")[2].partition(":")[0]
    rows = ["| figure | value |", "|---|---|"]
    plain = [name for name in figures if name not in ORDER and name not in {"warnings", "files"}]
    for name in (*ORDER, *sorted(plain)):
        if name in figures and not isinstance(figures[name], dict | list):
            rows.append(f"| {name.replace('_', ' ')} | {_cell(name, figures[name], quote)} |")
    rows += bots_of(figures, quote)
    lines = [f"- {safe(text)}" for text in figures.get("warnings", ())]
    files = [f"- `{safe(path)}`" for path in figures.get("files", ())]
    return "\n".join([*rows, *(["", "Warnings:", *lines] if lines else []), *(["", "Files:", *files] if files else [])])


def bots_of(figures: Mapping[str, Any], quote: str) -> list[str]:
    """Return the lines of a table of the bots of a whole portfolio; none where one bot was run."""
    each: Mapping[str, Mapping[str, Any]] = figures.get("bots", {})
    if not each:
        return []
    names = ("net_pnl", "fills", "round_trips", "fees", "funding", "max_drawdown")
    head = ["", f"| bot | {' | '.join(name.replace('_', ' ') for name in names)} |", f"|---|{'---|' * len(names)}"]
    return head + [
        f"| {safe(bot)} | {' | '.join(_cell(name, one.get(name), quote) for name in names)} |"
        for bot, one in each.items()
    ]


def safe(text: object) -> str:
    """Make a text fit for a cell of a markdown table: one line, and no character that markdown or HTML acts on."""
    words = " ".join(str(text).split())
    return re.sub(r"([\\`|<>*_\[\]])", r"\\\1", words)


def _cell(name: str, value: Any, quote: str) -> str:
    if value is None:
        return "-"
    if name in FRACTIONS:
        return f"{float(value) * 100:.2f} %"
    if name in IN_QUOTE:
        return f"{safe(value)} {safe(quote)}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else safe(value)
