"""The interactive charts of a report, as plain figures for plotly.js: traces and the parts of a layout that differ.

Colours are written as `@name`, a name of the palette; the page resolves them and does so again when the reader's
scheme changes. Candles and fills are not in the figure: the page draws as many as the visible range can show, out of
the packed series (`series_of`), so zooming in shows more. Text from outside is escaped: plotly reads a little HTML.
"""

from html import escape
from typing import Any

import numpy as np

from tasks.report_data import BotReport, market_name
from tasks.report_format import GAP, amount, is_missing, price
from tasks.report_sampling import (
    Floats,
    epoch_ms,
    floats,
    keep_extremes,
    merge_candles,
    pack_candles,
    price_decimals,
    spread_evenly,
)
from tasks.report_stats import BridgeStep
from tasks.report_theme import LEVEL_WORDS, STATE_WORDS, level_class

Figure = dict[str, Any]

CANDLES_TOTAL_MAX = 60_000
FILLS_TOTAL_MAX = 20_000
LINE_BUCKETS = 450
# Of the other markets of a bot; the exposure of more than three is in the net alone.
BESIDE_COLOURS = ("@sell", "@holding", "@warn")
PRICE_DOMAIN = [0.27, 1.0]
INVENTORY_DOMAIN = [0.0, 0.2]
TIME_DOMAIN = [0.0, 0.925]
LADDER_DOMAIN = [0.94, 1.0]


def series_of(bot: BotReport, bots: int) -> dict[str, Any]:
    """Return the packed candles and fills of a bot; all bots of a report together stay within the size of a page."""
    fills = bot.fills.sort_values("ts")
    places = spread_evenly(len(fills), max(200, FILLS_TOTAL_MAX // bots))
    fills = fills.iloc[places]
    prices = floats(fills["price"])
    decimals = price_decimals(prices)
    return {
        "candles": pack_candles(merge_candles(bot.candles, max(400, CANDLES_TOTAL_MAX // bots))),
        "fills": {
            "decimals": decimals,
            "t": np.diff(epoch_ms(fills["ts"]), prepend=0).tolist(),
            "p": np.rint(prices * 10**decimals).astype(np.int64).tolist(),
            "s": [1 if str(side).upper() == "BUY" else 0 for side in fills["side"]],
            "q": [_short(value) for value in floats(fills["qty"])],
            "r": [escape(str(role)) for role in fills["role"]],
            "g": [None if is_missing(value) else _short(value) for value in floats(fills["realized_pnl"])],
            "total": len(bot.fills),
        },
    }


def price_figure(bot: BotReport) -> Figure:
    """Return price with level lines, the ladder of levels at its right edge, and the inventory below."""
    quote, base = escape(bot.quote_asset), escape(bot.base_asset)
    traces = [*_level_lines(bot), *_level_ladder(bot), _inventory(bot)]
    prices = np.unique(np.r_[floats(bot.levels["entry_price"]), floats(bot.levels["exit_price"])])
    return {
        "kind": "price",
        "traces": traces,
        "levels": prices[~np.isnan(prices)].tolist(),
        "unit": quote,
        "base": base,
        "layout": {
            "xaxis": {"domain": TIME_DOMAIN, "anchor": "y2", "type": "date"},
            "xaxis2": {
                "domain": LADDER_DOMAIN,
                "anchor": "y",
                "fixedrange": True,
                "visible": False,
            },
            # The lines of the levels are the grid of this picture; a second one would only blur them.
            "yaxis": {"domain": PRICE_DOMAIN, "fixedrange": True, "showgrid": False, "title": {"text": quote}},
            "yaxis2": {
                "domain": INVENTORY_DOMAIN,
                "fixedrange": True,
                "title": {"text": base},
                "rangemode": "tozero",
                "nticks": 4,
            },
            "barmode": "overlay",
        },
    }


def equity_figure(bot: BotReport) -> Figure:
    """Return equity against buy-and-hold, and the drawdown in percent of the peak below."""
    curve = bot.equity
    times = epoch_ms(curve["ts"])
    quote = escape(bot.quote_asset)
    lines: list[dict[str, Any]] = []
    for name, column, colour, width, dash in (
        ("Buy and hold", "hold_equity", "@hold", 1.4, "dot"),
        ("Equity", "equity", "@accent", 2.0, "solid"),
    ):
        values = floats(curve[column])
        kept = keep_extremes(values, LINE_BUCKETS)
        lines.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "x": times[kept].tolist(),
                "y": _rounded(values[kept]),
                "line": {"color": colour, "width": width, "dash": dash},
                "hovertemplate": f"%{{y:,.2f}} {quote}",
            }
        )
    falls = -100.0 * floats(curve["drawdown"])
    kept = keep_extremes(falls, LINE_BUCKETS)
    lines.append(
        {
            "type": "scatter",
            "mode": "lines",
            "name": "Drawdown",
            "x": times[kept].tolist(),
            "y": _rounded(falls[kept]),
            "yaxis": "y2",
            "line": {"color": "@bad", "width": 1.2},
            "fill": "tozeroy",
            "fillcolor": "@bad_soft",
            "hovertemplate": "%{y:.2f} % of the peak",
        }
    )
    return {
        "kind": "equity",
        "traces": lines,
        "layout": {
            "hovermode": "x unified",
            "xaxis": {"anchor": "y2", "type": "date"},
            "yaxis": {"domain": [0.36, 1.0], "fixedrange": True, "title": {"text": quote}},
            "yaxis2": {
                "domain": [0.0, 0.26],
                "fixedrange": True,
                "title": {"text": "% of peak"},
                "rangemode": "tozero",
                "nticks": 4,
            },
        },
    }


def exposure_figure(bot: BotReport) -> Figure:
    """Return what is at stake over time, signed, in quote: each market, their sum, the margin it ties up, the capital."""
    quote = escape(bot.quote_asset)
    times, held = epoch_ms(bot.equity["ts"]), floats(bot.equity["inventory_base"])
    own = np.abs(floats(bot.equity["exposure_quote"])) * np.sign(held)
    beside = [one for one in bot.beside if len(one.frame)]
    if bot.beside and len(bot.candles):
        # The exposure of a bot with several markets is not that of its own one.
        own = held * _aligned(times, epoch_ms(bot.candles["ts"]), floats(bot.candles["close"]))
    lines = [_exposure_line(market_name(bot, bot), "@accent", times, own, quote)]
    net, gross = own.copy(), np.abs(own)
    for place, one in enumerate(beside):
        theirs = _aligned(times, epoch_ms(one.frame["ts"]), floats(one.frame["exposure_quote"]))
        net, gross = net + theirs, gross + np.abs(theirs)
        if place < len(BESIDE_COLOURS):
            lines.append(_exposure_line(market_name(bot, one), BESIDE_COLOURS[place], times, theirs, quote))
    if beside:
        lines.append(_exposure_line("net", "@ink", times, net, quote))
    if bot.leverage > 1:
        lines.append(_exposure_line("margin", "@buy", times, gross / bot.leverage, quote))
    capital = float(bot.capital_quote)
    if len(times):
        line = {"color": "@hold", "width": 1.2, "dash": "dot"}
        ends = [int(times[0]), int(times[-1])]
        lines.append({"type": "scatter", "mode": "lines", "name": "capital", "x": ends, "y": [capital, capital],
                      "line": line, "hovertemplate": f"%{{y:,.2f}} {quote}"})  # fmt: skip
    return {
        "kind": "exposure",
        "traces": lines,
        "layout": {
            "hovermode": "x unified",
            "xaxis": {"type": "date"},
            "yaxis": {"fixedrange": True, "title": {"text": quote}, "rangemode": "tozero", "nticks": 5},
        },
    }


def exposure_names(bot: BotReport) -> list[tuple[str, str]]:
    """Return class and name of each line of the exposure picture, in its order."""
    beside = [one for one in bot.beside if len(one.frame)]
    named = [("accent", market_name(bot, bot))]
    named += [(colour[1:], market_name(bot, one)) for one, colour in zip(beside, BESIDE_COLOURS, strict=False)]
    if beside:
        named.append(("ink", "net of all markets"))
    if bot.leverage > 1:
        named.append(("buy", f"margin at leverage {bot.leverage}"))
    return [*named, ("hold", "capital")]


def _exposure_line(name: str, colour: str, times: Any, values: Floats, quote: str) -> dict[str, Any]:
    kept = keep_extremes(values, LINE_BUCKETS)
    return {
        "type": "scatter", "mode": "lines", "name": escape(name), "x": times[kept].tolist(), "y": _rounded(values[kept]),
        "line": {"color": colour, "width": 1.4, "shape": "hv"}, "hovertemplate": f"%{{y:,.2f}} {quote}",
    }  # fmt: skip


# The last value at or before each time; zero before the first.
def _aligned(times: Any, theirs: Any, values: Floats) -> Floats:
    at = np.searchsorted(theirs, times, side="right") - 1
    return np.where(at >= 0, values[np.maximum(at, 0)], 0.0) if len(values) else np.zeros(len(times))


def bridge_figure(steps: list[BridgeStep]) -> Figure:
    """Return the bridge from nothing to net profit: one horizontal bar a step, labelled with its value.

    `extent` is what the bars span; the page widens it by what the longest label needs at the width it has.
    """
    ends = [float(step.start + step.value) for step in steps] + [float(step.start) for step in steps]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    texts = [amount(step.value, signed=True) for step in steps]
    colours = ["@accent" if step.is_total else "@good" if step.value >= 0 else "@bad" for step in steps]
    # Labels stand right of the larger end of a bar, so that they never run over its neighbours.
    labels = {
        "type": "scatter",
        "mode": "text",
        "x": [float(max(step.start, step.start + step.value)) for step in steps],
        "y": [step.name for step in steps],
        "text": [GAP + written for written in texts],
        "textposition": "middle right",
        "textfont": {"color": "@ink"},
        "hoverinfo": "skip",
        "cliponaxis": False,
    }
    bars = {
        "type": "bar",
        "orientation": "h",
        "base": [float(step.start) for step in steps],
        "x": [float(step.value) for step in steps],
        "y": [step.name for step in steps],
        "marker": {"color": colours, "line": {"width": 0}},
        "width": 0.56,
        "hoverinfo": "skip",
    }
    return {
        "kind": "bridge",
        "traces": [bars, labels],
        "extent": [low, high],
        "label_length": max(len(written) for written in texts),
        "layout": {
            "xaxis": {"fixedrange": True, "zeroline": True},
            "yaxis": {"autorange": "reversed", "fixedrange": True, "showgrid": False, "ticks": "", "title": None},
        },
    }


def _level_lines(bot: BotReport) -> list[dict[str, Any]]:
    traces: list[dict[str, Any]] = []
    spans = [epoch_ms(frame["ts"]) for frame in (bot.candles, bot.equity) if len(frame)]
    if not spans:
        return traces
    start, end = min(int(span[0]) for span in spans), max(int(span[-1]) for span in spans)
    for kind in ("complete", "idle", "holding", "working"):
        rows = [row for row in bot.levels.to_dict("records") if level_class(str(row["state"])) == kind]
        if not rows:
            continue
        # A level that holds waits at its exit, every other one at its entry.
        waits_at = "exit_price" if kind == "holding" else "entry_price"
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": LEVEL_WORDS[kind],
                "x": [start, end, None] * len(rows),
                "y": [part for row in rows for part in (float(row[waits_at]), float(row[waits_at]), None)],
                "line": {"color": f"@{kind}", "width": 1, "dash": "dot" if kind in {"idle", "complete"} else "solid"},
                "opacity": 0.30,
                "hoverinfo": "skip",
            }
        )
    return traces


def _level_ladder(bot: BotReport) -> list[dict[str, Any]]:
    rows = bot.levels.to_dict("records")
    if not rows:
        return []
    entries = np.unique(floats(bot.levels["entry_price"]))
    gap = float(np.diff(entries).min()) if len(entries) > 1 else float(entries[0]) * 0.002
    kinds = [level_class(str(row["state"])) for row in rows]
    waits_at = ["exit_price" if kind == "holding" else "entry_price" for kind in kinds]
    return [
        {
            "type": "bar",
            "orientation": "h",
            "x": [1.0] * len(rows),
            "y": [float(row[column]) for row, column in zip(rows, waits_at, strict=True)],
            "width": gap * 0.55,
            "marker": {"color": [f"@{kind}" for kind in kinds], "line": {"width": 0}},
            "xaxis": "x2",
            "yaxis": "y",
            "hovertext": [_level_text(bot, row) for row in rows],
            "hovertemplate": "%{hovertext}<extra></extra>",
        }
    ]


def _level_text(bot: BotReport, row: dict[str, Any]) -> str:
    state, quote, base = str(row["state"]), escape(bot.quote_asset), escape(bot.base_asset)
    lines = [
        f"<b>Level {escape(str(row['level']))}</b> {escape(STATE_WORDS.get(state, state))}",
        f"entry {price(row['entry_price'])} {quote}, exit {price(row['exit_price'])} {quote}",
        f"{price(row['qty'])} {base}",
    ]
    if row["reason"]:
        lines.append(escape(str(row["reason"])))
    return "<br>".join(lines)


def _inventory(bot: BotReport) -> dict[str, Any]:
    held = floats(bot.equity["inventory_base"])
    kept = keep_extremes(held, LINE_BUCKETS)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "Inventory",
        "x": epoch_ms(bot.equity["ts"])[kept].tolist(),
        "y": _rounded(held[kept]),
        "yaxis": "y2",
        "line": {"color": "@accent", "width": 1.2, "shape": "hv"},
        "fill": "tozeroy",
        "fillcolor": "@accent_soft",
        "hovertemplate": f"%{{y}} {escape(bot.base_asset)}<extra>inventory</extra>",
    }


# Eight digits are finer than any pixel and keep the page small; JSON knows no NaN.
def _rounded(values: Floats) -> list[float | None]:
    return [None if is_missing(value) else _short(value) for value in values.tolist()]


def _short(value: float) -> float:
    return float(f"{value:.8g}")
