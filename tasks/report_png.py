"""The main pictures of a report as PNG files, drawn without a browser: for alerts, artifacts and documents.

The figures are built directly on the Agg canvas and never through pyplot, so nothing global is touched and a
long-running process keeps no figure alive.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.dates as mdates
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tasks.report_data import BotReport, ReportData
from tasks.report_format import amount, moment, percent, price
from tasks.report_sampling import Floats, epoch_ms, floats, keep_extremes, merge_candles, spread_evenly
from tasks.report_stats import bridge_steps, complete_summary, hold_fraction
from tasks.report_theme import LIGHT, level_class

PNG_DPI = 160
CANDLES_SHOWN_MAX = 190
FILLS_SHOWN_MAX = 350
LINE_BUCKETS = 500
FONTS = ("Inter", "Helvetica Neue", "Liberation Sans", "Arial", "DejaVu Sans")


def write_pngs(data: ReportData, out_dir: Path) -> list[Path]:
    """Write the pictures of every bot into `out_dir` and return their paths: price, equity and bridge of each.

    A picture without data (no candles yet, no equity yet) is left out. Raises OSError where a file cannot be written.
    """
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for place, bot in enumerate(data.bots):
        drawings: list[tuple[str, Callable[[ReportData, BotReport], Figure]]] = []
        if not bot.candles.empty:
            drawings.append(("price", _price_picture))
        if len(bot.equity) > 1:
            drawings.append(("equity", _equity_picture))
        drawings.append(("bridge", _bridge_picture))
        for name, draw in drawings:
            path = out_dir / f"{_file_word(bot.bot_id, place)}-{name}.png"
            FigureCanvasAgg(figure := draw(data, bot))
            figure.savefig(path, dpi=PNG_DPI, facecolor=LIGHT["card"], metadata={"Software": None})
            written.append(path)
    return written


def _price_picture(data: ReportData, bot: BotReport) -> Figure:
    figure = _blank(data, bot, "Price, levels and fills", 11.0, 6.6)
    ladder_left = 0.925
    axes = figure.add_axes((0.085, 0.265, ladder_left - 0.095, 0.575))
    ladder = figure.add_axes((ladder_left, 0.265, 0.05, 0.575), sharey=axes)
    below = figure.add_axes((0.085, 0.07, ladder_left - 0.095, 0.145), sharex=axes)
    columns = merge_candles(bot.candles, CANDLES_SHOWN_MAX)
    middle = _days(columns.ts_ms + columns.interval_ms / 2)
    width = columns.interval_ms / 86_400_000 * 0.66
    rises = columns.close >= columns.open
    colours = np.where(rises, LIGHT["up"], LIGHT["down"])
    axes.vlines(middle, columns.low, columns.high, colors=colours, linewidth=0.8, zorder=2)
    body = np.maximum(np.abs(columns.close - columns.open), (columns.high.max() - columns.low.min()) / 900)
    axes.bar(middle, body, width, np.minimum(columns.open, columns.close), color=colours, linewidth=0, zorder=3)
    _draw_levels(bot, axes, ladder)
    shown = bot.fills.sort_values("ts").iloc[spread_evenly(len(bot.fills), FILLS_SHOWN_MAX)]
    buys = shown["side"].astype(str).str.upper() == "BUY"
    for mask, marker, colour in ((buys, "^", "buy"), (~buys, "v", "sell")):
        part = shown[mask]
        axes.scatter(
            _days(epoch_ms(part["ts"])), floats(part["price"]), s=20, marker=marker, color=LIGHT[colour],
            edgecolors=LIGHT["card"], linewidths=0.5, zorder=5,
        )  # fmt: skip
    axes.set_ylim(*_price_span(columns.low, columns.high, bot))
    last = float(columns.close[-1])
    axes.axhline(last, color=LIGHT["ink"], linewidth=0.8, linestyle=(0, (1, 2)), zorder=4)
    axes.annotate(
        price(last), (0, last), xycoords=("axes fraction", "data"), xytext=(-4, 0), textcoords="offset points",
        ha="right", va="center", fontsize=8, family=_fonts(), color=LIGHT["card"],
        bbox={"boxstyle": "square,pad=0.35", "fc": LIGHT["ink"], "ec": "none"},
    )  # fmt: skip
    held = floats(bot.equity["inventory_base"])
    kept = keep_extremes(held, LINE_BUCKETS)
    times = _days(epoch_ms(bot.equity["ts"])[kept])
    below.fill_between(times, held[kept], step="post", color=LIGHT["accent_soft"])
    below.step(times, held[kept], where="post", color=LIGHT["accent"], linewidth=1.1)
    _style(axes, bot.quote_asset, grid=False)
    covered = np.diff(axes.get_ylim())[0] * 0.03
    axes.yaxis.set_major_formatter(FuncFormatter(lambda at, _: "" if abs(at - last) < covered else _grouped(at, 0)))
    _style(below, f"{bot.base_asset} held", grid=True)
    axes.tick_params(labelbottom=False)
    below.set_xlim(_days(columns.ts_ms[:1])[0], _days(columns.ts_ms[-1:] + columns.interval_ms)[0])
    _date_axis(below)
    keys = [
        ("^", "buy", "buy"), ("v", "sell", "sell"), ("_", "working", "working level"),
        ("_", "holding", "holding level"), ("_", "idle", "level not working"),
    ]  # fmt: skip
    _key(axes, keys)
    return figure


def _equity_picture(data: ReportData, bot: BotReport) -> Figure:
    figure = _blank(data, bot, "Equity and drawdown", 11.0, 5.6)
    axes = figure.add_axes((0.085, 0.36, 0.84, 0.455))
    below = figure.add_axes((0.085, 0.085, 0.84, 0.2), sharex=axes)
    times = epoch_ms(bot.equity["ts"])
    ends: list[tuple[float, str]] = []
    lines = (("hold_equity", "hold", 1.1, (0, (1, 1.5))), ("equity", "accent", 1.8, "solid"))
    for column, colour, width, style in lines:
        values = floats(bot.equity[column])
        kept = keep_extremes(values, LINE_BUCKETS)
        axes.plot(_days(times[kept]), values[kept], color=LIGHT[colour], linewidth=width, linestyle=style)
        ends.append((float(values[-1]), LIGHT[colour]))
    falls = -100.0 * floats(bot.equity["drawdown"])
    kept = keep_extremes(falls, LINE_BUCKETS)
    below.fill_between(_days(times[kept]), falls[kept], color=LIGHT["bad_soft"])
    below.plot(_days(times[kept]), falls[kept], color=LIGHT["bad"], linewidth=1.0)
    _style(axes, bot.quote_asset, grid=True)
    _style(below, "% of the peak", grid=True)
    axes.tick_params(labelbottom=False)
    axes.set_xlim(_days(times[:1])[0], _days(times[-1:])[0])
    below.set_ylim(min(float(np.nanmin(falls)) * 1.15, -0.01), 0)
    _date_axis(below)
    _end_labels(axes, ends)
    _key(axes, [("_", "accent", "equity"), (":", "hold", "buy and hold"), ("_", "bad", "drawdown")])
    return figure


def _bridge_picture(data: ReportData, bot: BotReport) -> Figure:
    figure = _blank(data, bot, f"Where the profit comes from, {bot.quote_asset}", 8.0, 4.2)
    axes = figure.add_axes((0.14, 0.1, 0.82, 0.70))
    steps = bridge_steps(bot.summary, bot.kind)
    for row, step in enumerate(steps):
        colour = "accent" if step.is_total else "good" if step.value >= 0 else "bad"
        start, value = float(step.start), float(step.value)
        axes.barh(row, value, 0.56, start, color=LIGHT[colour], linewidth=0)
        axes.annotate(
            amount(step.value, signed=True), (max(start, start + value), row), xytext=(6, 0),
            textcoords="offset points", va="center", fontsize=10, color=LIGHT["ink"], family=_fonts(),
        )  # fmt: skip
    axes.set_yticks(range(len(steps)), [step.name for step in steps])
    axes.invert_yaxis()
    low, high = axes.get_xlim()
    axes.set_xlim(low, high + (high - low) * 0.12)
    axes.axvline(0, color=LIGHT["line"], linewidth=1, zorder=0)
    _style(axes, "", grid=False)
    axes.grid(visible=True, axis="x", color=LIGHT["grid"], linewidth=0.8)
    axes.tick_params(axis="y", labelsize=10, labelcolor=LIGHT["ink"])
    axes.xaxis.set_major_formatter(FuncFormatter(_grouped))
    return figure


# A figure with the name of the picture, what it shows, and a loud word where the prices were generated.
def _blank(data: ReportData, bot: BotReport, what: str, width_in: float, height_in: float) -> Figure:
    figure = Figure(figsize=(width_in, height_in))
    summary = complete_summary(bot)
    top, left = 1 - 0.26 / height_in, 0.30 / width_in
    parts = [
        f"net {amount(summary.net_pnl, signed=True)} {bot.quote_asset}",
        f"{percent(summary.net_pnl / bot.capital_quote if bot.capital_quote > 0 else None, signed=True)} of capital",
        f"hold {percent(hold_fraction(bot.equity), signed=True)}",
        f"{moment(data.data_from)} to {moment(data.data_to)} UTC",
        data.mode,
    ]
    heading = _plain(f"{bot.bot_id}   {bot.symbol}   {what}")
    _text(figure, left, top, heading, size=14, weight="bold", color="ink")
    _text(figure, left, top - 0.31 / height_in, _plain("   ".join(parts)), size=9.5, weight="normal", color="muted")
    if data.synthetic:
        figure.text(
            1 - left, top, "SYNTHETIC DATA", ha="right", va="top", fontsize=10, fontweight="bold",
            color=LIGHT["card"], family=_fonts(),
            bbox={"boxstyle": "round,pad=0.45", "fc": LIGHT["synthetic"], "ec": "none"},
        )  # fmt: skip
    return figure


def _text(figure: Figure, x: float, y: float, words: str, *, size: float, weight: str, color: str) -> None:
    figure.text(x, y, words, va="top", fontsize=size, fontweight=weight, color=LIGHT[color], family=_fonts())


def _draw_levels(bot: BotReport, axes: Axes, ladder: Axes) -> None:
    for row in bot.levels.to_dict("records"):
        kind = level_class(str(row["state"]))
        at = float(row["exit_price" if kind == "holding" else "entry_price"])
        style = "solid" if kind in {"working", "holding"} else (0, (1, 3))
        axes.axhline(at, color=LIGHT[kind], linewidth=0.7, alpha=0.35, linestyle=style, zorder=1)
        ladder.plot([0.1, 1], [at, at], color=LIGHT[kind], linewidth=2.2, solid_capstyle="butt")
    ladder.set_axis_off()


def _price_span(low: Floats, high: Floats, bot: BotReport) -> tuple[float, float]:
    lowest, highest = float(np.nanmin(low)), float(np.nanmax(high))
    reach = (highest - lowest) * 0.35
    levels = np.r_[floats(bot.levels["entry_price"]), floats(bot.levels["exit_price"])]
    near = levels[(levels >= lowest - reach) & (levels <= highest + reach)]
    lowest, highest = min([lowest, *near]), max([highest, *near])
    room = (highest - lowest or highest * 0.01) * 0.04
    return lowest - room, highest + room


def _end_labels(axes: Axes, ends: list[tuple[float, str]]) -> None:
    low, high = axes.get_ylim()
    ordered = sorted(ends)
    gap = (high - low) * 0.06
    push = max(0.0, gap - (ordered[1][0] - ordered[0][0])) / 2
    for (value, colour), move in zip(ordered, (-push, push), strict=True):
        axes.annotate(
            f"{value:,.0f}", (1, value + move), xycoords=("axes fraction", "data"), xytext=(6, 0),
            textcoords="offset points", va="center", fontsize=9.5, fontweight="bold", color=colour, family=_fonts(),
        )  # fmt: skip


def _key(axes: Axes, entries: list[tuple[str, str, str]]) -> None:
    handles: list[Any] = []
    for marker, colour, _ in entries:
        if marker in "_:":
            style = "-" if marker == "_" else ":"
            handles += axes.plot([], [], color=LIGHT[colour], linewidth=1.8, linestyle=style)
        else:
            handles.append(axes.scatter([], [], marker=marker, color=LIGHT[colour], s=30))
    axes.legend(
        handles, [words for _, _, words in entries], loc="lower left", bbox_to_anchor=(-0.012, 1.0),
        ncols=len(entries), frameon=False, labelcolor=LIGHT["muted"], handlelength=1.4, columnspacing=1.6,
        handletextpad=0.6, prop={"family": _fonts(), "size": 9},
    )  # fmt: skip


def _style(axes: Axes, unit: str, *, grid: bool) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(LIGHT["line"])
    axes.tick_params(colors=LIGHT["muted"], labelsize=9, length=0, labelfontfamily=_fonts())
    if grid:
        axes.grid(visible=True, axis="y", color=LIGHT["grid"], linewidth=0.8)
    axes.set_axisbelow(True)
    if unit:
        axes.yaxis.set_major_formatter(FuncFormatter(_grouped))
        bins = 6 if axes.get_position().height > 0.3 else 3
        axes.yaxis.set_major_locator(MaxNLocator(nbins=bins, steps=[1, 2, 2.5, 5, 10]))
        axes.set_ylabel(_plain(unit), fontsize=9, color=LIGHT["muted"], family=_fonts())
        axes.yaxis.set_label_coords(-0.072, 0.5)


def _date_axis(axes: Axes) -> None:
    locator = mdates.AutoDateLocator(minticks=4, maxticks=9)
    axes.xaxis.set_major_locator(locator)
    formats = ["%Y", "%b %Y", "%b %d", "%H:%M", "%H:%M", "%S.%f"]
    axes.xaxis.set_major_formatter(
        mdates.ConciseDateFormatter(locator, formats=formats, zero_formats=["", *formats[:-1]], show_offset=False)
    )


def _days(times_ms: Any) -> Floats:
    return np.asarray(times_ms, dtype=np.float64) / 86_400_000.0


def _grouped(value: float, _: int) -> str:
    return price(float(f"{value:.9g}"))


# matplotlib warns about every family that the machine lacks, so only those that are there are named.
def _fonts() -> list[str]:
    known = {entry.name for entry in font_manager.fontManager.ttflist}
    return [family for family in FONTS if family in known]


# A dollar sign would start a formula, which could fail on a hostile name.
def _plain(words: str) -> str:
    return words.replace("$", r"\$")


# A name from outside becomes part of a path: letters, digits, dot and dash alone, and never equal to another bot's.
def _file_word(bot_id: str, place: int) -> str:
    safe = re.sub(r"[^A-Za-z0-9-]", "_", bot_id)[:40]
    return safe if safe == bot_id and safe else f"{safe or 'bot'}-{place}"
