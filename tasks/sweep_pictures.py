"""What `sweep --out` leaves behind: every run as Parquet, a heat map as PNG, and a page with both and the tables."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib as mpl
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tasks.sweep import Sweep
from tasks.sweep_run import FIGURES
from tasks.sweep_stats import Trial

# More ticks than these on an axis cannot be read.
TICKS_MOST = 12
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#222;background:#fff}"
    "table{border-collapse:collapse;margin:1em 0}td,th{padding:.2em .8em;border-bottom:1px solid #ccc;text-align:right}"
    "img{max-width:100%}@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}img{background:#fff}}"
)


def write_sweep(made: Sweep, out: str | Path) -> list[Path]:
    """Write `runs.parquet`, `sweep.png` and `sweep.html` into `out`, which is made where it is missing."""
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    runs, picture, page = folder / "runs.parquet", folder / "sweep.png", folder / "sweep.html"
    names = ("number", "segment", "engine", "refused", *FIGURES)
    rows = [{**{n: row.get(n) for n in names}, **row["values"]} for row in made.rows]
    pq.write_table(pa.Table.from_pylist(rows), runs)
    draw_heat(made, picture)
    page.write_text(_page(made, picture), encoding="utf-8")
    return [runs, picture, page]


def draw_heat(made: Sweep, file: Path) -> None:
    """Draw net profit in and out of sample over the first two varied fields, the mean over all others; one color scale."""
    across = made.varied[0]
    down = made.varied[1] if len(made.varied) > 1 else None
    tables = [_table(made.trials, across, down, which) for which in ("inside", "outside")]
    known = np.concatenate([t[np.isfinite(t)] for t in tables])
    most = float(np.abs(known).max()) if len(known) else 1.0
    tall = min(3.0 + 0.35 * (len(down.values) if down else 1), 9.0)
    figure = Figure(figsize=(12, tall), layout="constrained")
    axes: Any = figure.subplots(1, 2, sharey=True)
    shown: Any = None
    for axis, table, title in zip(axes, tables, ("in sample", "out of sample"), strict=True):
        shown = axis.imshow(
            table, aspect="auto", origin="lower", cmap=mpl.colormaps["RdYlGn"], vmin=-most or -1, vmax=most or 1
        )
        axis.set_title(title)
        axis.set_xlabel(across.name)
        _ticks(axis.xaxis, across.values)
        if down is None:
            axis.set_yticks([])
    if down is not None:
        axes[0].set_ylabel(down.name)
        _ticks(axes[0].yaxis, down.values)
    figure.colorbar(shown, ax=axes, label="net PnL, quote")
    figure.savefig(file, dpi=110)


def _table(trials: Sequence[Trial], across: Any, down: Any, which: str) -> NDArray[np.float64]:
    cells: dict[tuple[int, int], list[float]] = {}
    columns = {value: i for i, value in enumerate(across.values)}
    lines = {value: i for i, value in enumerate(down.values)} if down is not None else {}
    for one in trials:
        line = lines[one.values[down.name]] if down is not None else 0
        cells.setdefault((line, columns[one.values[across.name]]), []).append(float(getattr(one, which)))
    table = np.full((max(len(lines), 1), len(columns)), np.nan)
    for (line, column), values in cells.items():
        table[line, column] = fmean(values)
    return table


def _ticks(axis: Any, values: Sequence[str]) -> None:
    step = -(-len(values) // TICKS_MOST)
    places = range(0, len(values), step)
    axis.set_ticks(list(places), [values[i] for i in places])
    axis.set_tick_params(labelrotation=45 if axis.axis_name == "x" else 0)


def _page(made: Sweep, picture: Path) -> str:
    summary = made.summary
    image = base64.b64encode(picture.read_bytes()).decode()
    remarks = "".join(f"<li>{escape(text)}</li>" for text in made.remarks)
    title = f"Sweep {made.name}"
    figures = {name: value for name, value in summary.items() if not isinstance(value, dict | list)}
    spreads = [
        {"net PnL": name.removeprefix("net_pnl_").replace("_", " "), **summary[name]}
        for name in ("net_pnl_in_sample", "net_pnl_out_of_sample")
    ]
    steps = [{k: v for k, v in step.items() if k != "values"} | step["values"] for step in summary["walk_forward"]]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>'
        f'<ul>{remarks}</ul><img alt="Net profit over the varied fields, in and out of sample" '
        f'src="data:image/png;base64,{image}"><h2>All configurations</h2>{_rows([figures])}{_rows(spreads)}'
        f"<h2>Chosen on a stretch, tested on the next</h2>{_rows(steps)}"
        f"<h2>Not beaten in both profit and drawdown (in sample)</h2>{_rows(summary['pareto'])}</body></html>"
    )


def _rows(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "<p>none</p>"
    head = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in rows[0])
    lines = "".join("<tr>" + "".join(f"<td>{escape(_cell(v))}</td>" for v in row.values()) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{lines}</table>"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
