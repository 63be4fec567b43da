"""What `backtest --out` leaves behind of a whole portfolio: one report over all bots, and each bot's fills and equity."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from tasks.backtest_files import report_of, write_files
from tasks.backtesting import Run
from tasks.kernel_run import KernelRun
from tasks.portfolio_backtest import PortfolioRun, equity_of
from tasks.report_html import write_html


def write_any(made: "Run | KernelRun | PortfolioRun", out: str | Path) -> list[Path]:
    """Write the files of a finished backtest into `out`, of one bot or of several; returns the paths.

    A kernel's run leaves none: it keeps no journal to report from.
    """
    if isinstance(made, PortfolioRun):
        return write_portfolio(made, out)
    return write_files(made, out) if isinstance(made, Run) else []


def write_portfolio(made: PortfolioRun, out: str | Path) -> list[Path]:
    """Write `report.html` and `equity.parquet` of all bots together, and a folder for each with what it leaves alone."""
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    reports = [report_of(one) for one in made.runs.values()]
    whole = replace(
        reports[0],
        title=f"Backtest of {made.portfolio.id}: {', '.join(made.runs)}",
        config_yaml="\n".join(one.config_yaml for one in reports),
        bots=tuple(bot for one in reports for bot in one.bots),
        notes=tuple(made.remarks),
    )
    written = [write_html(whole, folder / "report.html"), folder / "equity.parquet"]
    curve = equity_of(made)
    frame = pd.DataFrame(
        {"ts": pd.to_datetime(curve.ts_ms, unit="ms"), "equity": curve.equity, "exposure": curve.exposure}
    )
    frame.to_parquet(written[1])
    for name, one in made.runs.items():
        written += write_files(one, folder / name)
    return written
