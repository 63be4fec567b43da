"""Draws one fall through the ATR grid's eyes: price and executions above, the bag and its short below; an SVG for the docs.

    python -m benchmarks.atr_grid_picture docs/img/atr_grid.svg

March 2020 in recorded spot minutes, futures synthetic (spot's prices) with the funding that was paid, as in the results.
"""

import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from xml.sax.saxutils import escape

from benchmarks.atr_grid import PERP, candles, funding, play
from core.facts import Fill
from core.kernel import ArraySeries

BEGIN, SHOWN, END = "2020-02-20", "2020-03-06", "2020-03-20"
WIDTH, HEIGHT, LEFT, RIGHT = 860, 470, 62, 26
UPPER, LOWER = (34, 300), (340, 440)
INK, FAINT, PRICE, BUY, SELL, BAG, HELD, SHORT = (
    "#57606a", "#d0d7de", "#6e7781", "#1a7f37", "#bc4c00", "#a2c5f2", "#2f6fb5", "#8250df",
)  # fmt: skip

Scale = Callable[[float], float]
Points = list[tuple[float, float]]


def scale(low: float, high: float, first: float, last: float) -> Scale:
    """Return the line that leads `low` to `first` and `high` to `last`."""
    return lambda value: first + (value - low) / (high - low) * (last - first)


def steps(fills: Sequence[Fill], venue: str, sign: int, begin: datetime) -> Points:
    """Return what is held after each execution at a venue, against hours since `begin`."""
    held, made = 0.0, [(0.0, 0.0)]
    for one in fills:
        if one.venue != venue:
            continue
        held += sign * float(one.qty) * one.side.sign
        if one.ts < begin:
            made = [(0.0, held)]
            continue
        hours = (one.ts - begin) / timedelta(hours=1)
        made += [(hours, made[-1][1]), (hours, held)]
    return made


def area(points: Points, x: Scale, y: Scale, until: float, colour: str) -> str:
    """Draw steps as a filled area down to zero."""
    line = [*points, (until, points[-1][1]), (until, 0.0)]
    path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in [(points[0][0], 0.0), *line])
    return f'<polygon points="{path}" fill="{colour}" fill-opacity="0.75"/>'


def mark(at: float, price: float, colour: str, *, up: bool) -> str:
    """Draw an execution: a triangle that points up for a purchase, down for a sale."""
    tip = 5 if up else -5
    return f'<path d="M{at - 4:.1f} {price + tip:.1f}h8l-4 {-2 * tip}z" fill="{colour}"/>'


def text(x: float, y: float, told: str, anchor: str) -> str:
    """Write a word."""
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="{INK}">{escape(told)}</text>'


def legend(y: float, words: Sequence[tuple[str, str]]) -> str:
    """Write words in their colours, one after another."""
    parts = "".join(f'<tspan fill="{colour}">{escape(told)}</tspan>' for told, colour in words)
    return f'<text x="{LEFT}" y="{y:.0f}" xml:space="preserve">{parts}</text>'


def draw(series: ArraySeries, fills: Sequence[Fill], begin: datetime, hours: float) -> str:
    """Return the picture; `series` are minutes, of which each hour's last close is drawn."""
    bars = [series.bar(i) for i in range(59, len(series), 60)]
    closes = [((one.ts - begin) / timedelta(hours=1), float(one.close)) for one in bars if one.ts >= begin]
    low, high = min(c for _, c in closes) * 0.98, max(c for _, c in closes) * 1.02
    x, y = scale(0.0, hours, LEFT, WIDTH - RIGHT), scale(low, high, UPPER[1], UPPER[0])
    bag, short = steps(fills, "spot", 1, begin), steps(fills, "perp", -1, begin)
    most = max(qty for _, qty in (*bag, *short)) or 1.0
    z = scale(0.0, most, LOWER[1], LOWER[0])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        "<title>An ATR grid in March 2020: purchases on the way down, sales on the way up, a short below the grid</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
    ]
    for day in range(0, int(hours / 24) + 1, 2):
        at = x(day * 24.0)
        parts += [f'<path d="M{at:.1f} {UPPER[0]}V{LOWER[1]}" stroke="{FAINT}"/>']
        parts += [text(at, LOWER[1] + 18, f"{begin + timedelta(days=day):%d %b}", "middle")]
    for price in range(int(low / 1000 + 1) * 1000, int(high), 1000):
        parts += [f'<path d="M{LEFT} {y(price):.1f}H{WIDTH - RIGHT}" stroke="{FAINT}"/>']
        parts += [text(LEFT - 8, y(price) + 4, f"{price:,}", "end")]
    line = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in closes)
    parts += [f'<polyline points="{line}" fill="none" stroke="{PRICE}" stroke-width="1.5"/>']
    for one in fills:
        if one.ts >= begin and one.venue == "spot":
            up = one.side.value == "buy"
            parts.append(
                mark(x((one.ts - begin) / timedelta(hours=1)), y(float(one.price)), BUY if up else SELL, up=up)
            )
    parts += [area(bag, x, z, hours, BAG), area(short, x, z, hours, SHORT)]
    parts += [text(LEFT - 8, LOWER[0] + 4, f"{most:.2f}", "end"), text(LEFT - 8, LOWER[1] + 4, "0", "end")]
    told = [("BTC/USDT, and what the grid ", INK), ("bought", BUY), (" and ", INK), ("sold", SELL)]
    parts += [legend(20, told), legend(LOWER[0] - 12, [("BTC held in spot", HELD), (" and sold short", SHORT)])]
    return "\n".join([*parts, "</svg>"]) + "\n"


def main(target: Path) -> None:
    """Run the backtest from some days before, and draw what is shown."""
    series, timeframe = candles("binance-BTCUSDT-1m-20200101-20221231", BEGIN, END)
    made = play([series, series], timeframe, {PERP: funding("binanceusdm-BTCUSDT-funding-20200101-20231231")})
    begin = datetime.fromisoformat(SHOWN)
    hours = (datetime.fromisoformat(END) - begin) / timedelta(hours=1)
    target.write_text(draw(series, made.fills, begin, hours), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
