"""Draws the pictures of the strategies' pages: what each bot of `examples/` does on made-up candles, as SVG.

    PYTHONPATH=. python benchmarks/strategy_pictures.py [KIND ...]

Each picture is a real backtest under the default fill rules. The candles are seeded, so that the same code draws the same
picture; `tests/tasks/test_pictures.py` draws them again.
"""

import math
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from pathlib import Path
from random import Random

from core.facts import Fill
from core.values import Side
from tasks.backtesting import Options, Run, backtest
from tasks.settings import load_portfolio

ROOT = Path(__file__).parents[1]
START = datetime(2026, 1, 1)
BARS = 360
# The second market's line and name, in a colour that both themes bear.
OTHER = (
    ".price.other{stroke:#c77d0a}text.other{fill:#b06c00}@media(prefers-color-scheme:dark){text.other{fill:#e8a33d}}"
)
LENGTHS = {1: "a minute", 5: "five minutes"}
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 300, 70, 12, 34, 26


@dataclass(frozen=True, slots=True)
class Scene:
    """The bot of an example and the price that shows what it does: around `middle` (0: that of its range), `swing` up and
    down, first down if below zero, and `trend` over all (both fractions), in `bars` candles of some `minutes`. A bot of two
    `venues` sees the same price at the second one, but for a wave of `gap` (a fraction).
    """

    example: str
    bot: str
    middle: float
    swing: float
    trend: float = 0.0
    minutes: int = 5
    bars: int = BARS
    venues: tuple[str, ...] = ()
    gap: float = 0.0


Bars = list[tuple[datetime, float, float, float, float]]
SCENES = {
    "arbitrage": Scene("arbitrage", "both", 60_000, 0.004, minutes=1, bars=60, venues=("spot", "perp"), gap=0.003),
    "dca": Scene("dca", "down", 60_100, -0.035),
    "grid": Scene("grid", "", 0, 0.045),
    "ladder": Scene("ladder", "lad1", 62_500, 0.03),
    "position": Scene("position", "long1", 60_000, 0.02),
    "rolling_grid": Scene("rolling_grid", "", 0, 0.02),
    "twap": Scene("twap", "taker", 60_000, 0.004, minutes=1, bars=90),
    "xemm": Scene("xemm", "cross", 60_000, 0.004, minutes=1, bars=60, venues=("spot", "perp"), gap=0.003),
}


def candles(scene: Scene, middle: float, seed: int = 4) -> Bars:
    """Candles of a wave with noise."""
    dice, last = Random(seed), middle
    made: Bars = []
    for number in range(scene.bars):
        turn = number / scene.bars
        wave = scene.swing * (0.7 * math.sin(turn * 15) + 0.3 * math.sin(turn * 47)) + scene.trend * turn
        close = middle * (1 + wave + dice.gauss(0, scene.swing / 40))
        edge = [abs(dice.gauss(0, middle * scene.swing / 60)) for _ in range(2)]
        made.append(
            (
                START + timedelta(minutes=scene.minutes * number),
                last,
                max(last, close) + edge[0],
                min(last, close) - edge[1],
                close,
            )
        )
        last = close
    return made


def picture(kind: str) -> str:
    """The SVG of a kind. Raises `Refused` where its example no longer can be played."""
    scene = SCENES[kind]
    file = ROOT / "examples" / f"{scene.example}.yaml"
    bot = next(one for one in load_portfolio(file).bots if scene.bot in {"", one.id})
    middle = scene.middle or middle_of(bot)
    bars = candles(scene, middle)
    other = [
        (ts, *(one * (1 + scene.gap * math.sin(n * 23 / scene.bars)) for one in row))
        for n, (ts, *row) in enumerate(bars)
    ]
    lines = {"": bars} if not scene.venues else dict(zip(scene.venues, (bars, other), strict=True))
    with tempfile.TemporaryDirectory() as folder:
        asked = [write(Path(folder) / f"made{venue}.csv", line, venue) for venue, line in lines.items()]
        run = backtest(file, bot.id, asked, Options())
    if not isinstance(run, Run):
        raise TypeError(f"{kind}: a run of one bot by the core is drawn, not {type(run).__name__}")
    return drawn(kind, lines, scene.minutes, run)


def write(path: Path, bars: Bars, venue: str) -> str:
    """Write candles as CSV; returns what --candles takes."""
    rows = [f"{ts.isoformat()},{o:.2f},{h:.2f},{low:.2f},{c:.2f},10" for ts, o, h, low, c in bars]
    path.write_text("timestamp,open,high,low,close,volume\n" + "\n".join(rows) + "\n")
    return f"{venue}={path}" if venue else str(path)


def middle_of(bot: object) -> float:
    """The price around which a bot trades by itself: the middle of its range, else 60,000."""
    start, end = getattr(bot, "start_price", None), getattr(bot, "end_price", None)
    return float(start + end) / 2 if start is not None and end is not None else 60_000.0


def drawn(kind: str, lines: dict[str, Bars], minutes: int, run: Run) -> str:
    """Each market's price as a line, entry levels as rules, executions as triangles."""
    every = [bar for bars in lines.values() for bar in bars]
    low, high = min(bar[3] for bar in every), max(bar[2] for bar in every)
    bars = next(iter(lines.values()))
    first, span_s = bars[0][0], (bars[-1][0] - bars[0][0]).total_seconds()

    def x(ts: datetime) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (ts - first).total_seconds() / span_s

    def y(price: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - price) / (high - low)

    def line(name: str, bars: Bars, style: str) -> str:
        path = " ".join(f"{'L' if n else 'M'}{x(bar[0]):.1f} {y(bar[4]):.1f}" for n, bar in enumerate(bars))
        said = f"<title>{escape(name)}</title>" if name else ""
        return f'<path class="{style}" d="{path}">{said}</path>' if said else f'<path class="{style}" d="{path}"/>'

    paths = "".join(line(*one, "price other" if n else "price") for n, one in enumerate(lines.items()))
    rows = run.result.world.bots[run.bot.id].shown.values()
    entries = sorted({float(row.view.entry_price) for row in rows if low <= float(row.view.entry_price) <= high})
    # What a pair wants follows its markets from minute to minute: no rule over the whole picture.
    entries = entries if len(lines) == 1 else []
    rules = "".join(
        f'<line class="level" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(price):.1f}" y2="{y(price):.1f}"/>'
        for price in entries
    )
    legend = "".join(
        f'<text class="{"name other" if n else "name"}" x="{LEFT + 60 * n}" y="{HEIGHT - 8}">{escape(name)}</text>'
        for n, name in enumerate(lines)
        if name
    )
    marks = "".join(mark(fill, x(fill.ts), y(float(fill.price))) for fill in run.fills)
    ticks = "".join(
        f'<text x="{LEFT - 6}" y="{y(price) + 4:.1f}" text-anchor="end">{price:,.0f}</text>'
        for price in (low, (low + high) / 2, high)
    )
    net = float(run.figures["net_pnl"])
    quote = run.spec.instrument.quote
    title = f"{kind}: {len(run.fills)} executions on {len(bars)} made-up candles of {LENGTHS[minutes]}, net {net:+,.2f} {quote}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        "<style>svg{background:#fff;font:12px sans-serif}text{fill:#333}.level{stroke:#bbb;stroke-dasharray:3 4}"
        ".price{fill:none;stroke:#345;stroke-width:1.2}.buy{fill:#0a7d4b}.sell{fill:#b3261e}"
        "@media(prefers-color-scheme:dark){svg{background:#16181d}text{fill:#ccc}.level{stroke:#555}.price{stroke:#9bd}"
        f".buy{{fill:#4cc38a}}.sell{{fill:#ff8a80}}}}{OTHER if len(lines) > 1 else ''}</style>"
        f'<text x="{LEFT}" y="18">{escape(title)}</text>{rules}{paths}{marks}{ticks}{legend}</svg>\n'
    )


def mark(fill: Fill, x: float, y: float) -> str:
    """A triangle that points up for a purchase and down for a sale."""
    way = 1 if fill.side is Side.BUY else -1
    return (
        f'<path class="{fill.side.value}" d="M{x:.1f} {y:.1f}l4 {7 * way}h-8z"><title>{escape(fill.side.value)} '
        f"{fill.qty:f} at {fill.price:f}</title></path>"
    )


def main(kinds: list[str]) -> None:
    """Write the pictures of these kinds, of all without any."""
    for kind in kinds or sorted(SCENES):
        path = ROOT / "docs" / "img" / f"strategy-{kind}.svg"
        path.write_text(picture(kind))
        print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
