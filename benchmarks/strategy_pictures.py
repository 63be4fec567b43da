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
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 300, 70, 12, 34, 26


@dataclass(frozen=True, slots=True)
class Scene:
    """The bot of an example and the price that shows what it does: around `middle` (0: that of its range), `swing` up and
    down, first down if below zero, and `trend` over all (both fractions).
    """

    example: str
    bot: str
    middle: float
    swing: float
    trend: float = 0.0


SCENES = {
    "dca": Scene("dca", "down", 60_100, -0.035),
    "grid": Scene("grid", "", 0, 0.045),
    "ladder": Scene("ladder", "lad1", 62_500, 0.03),
    "position": Scene("position", "long1", 60_000, 0.02),
    "rolling_grid": Scene("rolling_grid", "", 0, 0.02),
}


def candles(scene: Scene, middle: float, seed: int = 4) -> list[tuple[datetime, float, float, float, float]]:
    """Five-minute candles of a wave with noise."""
    dice, last = Random(seed), middle
    made: list[tuple[datetime, float, float, float, float]] = []
    for number in range(BARS):
        turn = number / BARS
        wave = scene.swing * (0.7 * math.sin(turn * 15) + 0.3 * math.sin(turn * 47)) + scene.trend * turn
        close = middle * (1 + wave + dice.gauss(0, scene.swing / 40))
        edge = [abs(dice.gauss(0, middle * scene.swing / 60)) for _ in range(2)]
        made.append(
            (START + timedelta(minutes=5 * number), last, max(last, close) + edge[0], min(last, close) - edge[1], close)
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
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.csv"
        lines = [f"{ts.isoformat()},{o:.2f},{h:.2f},{low:.2f},{c:.2f},10" for ts, o, h, low, c in bars]
        path.write_text("timestamp,open,high,low,close,volume\n" + "\n".join(lines) + "\n")
        run = backtest(file, bot.id, [str(path)], Options())
    if not isinstance(run, Run):
        raise TypeError(f"{kind}: a run of one bot by the core is drawn, not {type(run).__name__}")
    return drawn(kind, bars, run)


def middle_of(bot: object) -> float:
    """The price around which a bot trades by itself: the middle of its range, else 60,000."""
    start, end = getattr(bot, "start_price", None), getattr(bot, "end_price", None)
    return float(start + end) / 2 if start is not None and end is not None else 60_000.0


def drawn(kind: str, bars: list[tuple[datetime, float, float, float, float]], run: Run) -> str:
    """Price as a line, entry levels as rules, executions as triangles."""
    low, high = min(bar[3] for bar in bars), max(bar[2] for bar in bars)
    first, span_s = bars[0][0], (bars[-1][0] - bars[0][0]).total_seconds()

    def x(ts: datetime) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (ts - first).total_seconds() / span_s

    def y(price: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - price) / (high - low)

    path = " ".join(f"{'L' if n else 'M'}{x(bar[0]):.1f} {y(bar[4]):.1f}" for n, bar in enumerate(bars))
    rows = run.result.world.bots[run.bot.id].shown.values()
    entries = sorted({float(row.view.entry_price) for row in rows if low <= float(row.view.entry_price) <= high})
    rules = "".join(
        f'<line class="level" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(price):.1f}" y2="{y(price):.1f}"/>'
        for price in entries
    )
    marks = "".join(mark(fill, x(fill.ts), y(float(fill.price))) for fill in run.fills)
    ticks = "".join(
        f'<text x="{LEFT - 6}" y="{y(price) + 4:.1f}" text-anchor="end">{price:,.0f}</text>'
        for price in (low, (low + high) / 2, high)
    )
    net = float(run.figures["net_pnl"])
    quote = run.spec.instrument.quote
    title = f"{kind}: {len(run.fills)} executions on {BARS} made-up candles of five minutes, net {net:+,.2f} {quote}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        "<style>svg{background:#fff;font:12px sans-serif}text{fill:#333}.level{stroke:#bbb;stroke-dasharray:3 4}"
        ".price{fill:none;stroke:#345;stroke-width:1.2}.buy{fill:#0a7d4b}.sell{fill:#b3261e}"
        "@media(prefers-color-scheme:dark){svg{background:#16181d}text{fill:#ccc}.level{stroke:#555}.price{stroke:#9bd}"
        ".buy{fill:#4cc38a}.sell{fill:#ff8a80}}</style>"
        f'<text x="{LEFT}" y="18">{escape(title)}</text>{rules}<path class="price" d="{path}"/>{marks}{ticks}</svg>\n'
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
