"""The figures of a finished backtest: sums from the bot's books, ratios from its equity at bar closes."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from core.engine import BotSpec
from core.facts import Fill
from core.lots import fee_in_quote, unrealized
from core.market import Market
from core.orders import decode
from core.values import ZERO, Side, plain, total

if TYPE_CHECKING:
    from tasks.backtesting import Run
    from tasks.equity import Curve, Line


def figures_of(made: "Run", elapsed_s: float) -> dict[str, Any]:
    """Count one bot's run: the fields of the contract, money as text; `elapsed_s` is how long it took."""
    from tasks.equity import ratios_along

    bot = made.result.world.bots[made.bot.id]
    floating = total(unrealized(lot, made.result.accounts[lot.venue].prices[lot.symbol]) for lot in bot.lots.values())
    net = bot.realized + floating - bot.fees + bot.funding
    closed = closed_profits(made)
    shown = ratios_along(*lines_of(made))
    return {
        "bars": made.result.bars,
        "fills": len(made.fills),
        "fills_initial": sum(1 for fill in made.fills if is_initial(fill)),
        "round_trips": bot.round_trips,
        "net_pnl": plain(net),
        "realized_pnl": plain(bot.realized),
        "unrealized_pnl": plain(floating),
        "grid_profit": plain(bot.grid_profit),
        "fees": plain(bot.fees),
        "funding": plain(bot.funding),
        "final_equity": plain(made.spec.capital_quote + net),
        "max_drawdown": shown.max_drawdown,
        "sharpe": shown.sharpe,
        "sortino": shown.sortino,
        "win_rate": sum(1 for profit in closed if profit > 0) / len(closed) if closed else None,
        "exposure_max": plain(Decimal(repr(shown.exposure_max)).quantize(Decimal("0.01"))),
        "elapsed_s": round(elapsed_s, 6),
        "engine": made.options.engine,
        "capital_quote": plain(made.spec.capital_quote),
        "visited_bars": made.result.visited,
        "symbol": made.bot.symbol,
        "timeframe": made.timeframe,
        "intrabar": made.options.intrabar,
        "fill": made.options.fill,
        "latency_s": made.options.latency_s,
    }


def is_initial(fill: Fill) -> bool:
    """Whether an execution belongs to the opening purchase: an entry that took the book."""
    who = decode(fill.client_id)
    return who is not None and who.role.value == "e" and not fill.maker


def closed_profits(made: "Run") -> list[Decimal]:
    """Net profit of every lot that was closed, after the fees paid on it."""
    return [lot.realized - lot.fees for _, step in made.steps for lot in step.lots if not lot.open]


def curve_of(made: "Run") -> "Curve":
    """Return the equity curve at bar closes."""
    from tasks.equity import equity_curve

    return equity_curve(*lines_of(made))


def lines_of(made: "Run") -> "tuple[Any, list[Line]]":
    """Return the times of the bars, and what was traded in each of the bot's markets along them, the first one first."""
    import numpy as np

    from tasks.equity import Closes, Trade, line_of

    trades: list[Trade] = []
    beside: dict[Market, list[Trade]] = {one.market: [] for one in made.spec.others}
    for fill in made.fills:
        instrument = made.spec.rule((fill.venue, fill.symbol))
        sign = fill.side.sign
        fee = fee_in_quote(fill, instrument) or ZERO
        base = float(fill.qty) * sign
        if fill.fee_asset == instrument.base and fill.side is Side.BUY and not instrument.swap:
            base -= float(fill.fee)
            fee = ZERO
        stamp = int(fill.ts.replace(tzinfo=UTC).timestamp() * 1000)
        trade = Trade(stamp, base, -float(fill.price) * float(fill.qty) * sign - float(fee))
        beside.get(instrument.market, trades).append(trade)
    trades += [Trade(int(at.replace(tzinfo=UTC).timestamp() * 1000), 0.0, float(paid)) for at, paid in funding_of(made)]
    trades.sort(key=lambda trade: trade.ts_ms)
    series: Any = made.series  # every reader gives an ArraySeries
    stamps, closes = series.ts, Closes(series.close, 10.0**series.scale)
    lines = [line_of(stamps, closes, trades, made.spec.capital_quote)]
    for market, theirs in beside.items():
        other: Any = made.beside[market]
        bar = None
        if not np.array_equal(other.ts, stamps):
            bar = np.maximum(np.searchsorted(other.ts, stamps, side="right") - 1, 0)
        lines.append(line_of(stamps, Closes(other.close, 10.0**other.scale, bar), theirs, ZERO))
    return stamps, lines


def funding_of(made: "Run") -> list[tuple[datetime, Decimal]]:
    """Every funding payment of the run: when, and how much the bot received (> 0) or paid, in quote."""
    return [
        (entry.ts, entry.amount)
        for _, step in made.steps
        for entry in step.entries
        if entry.kind == "funding" and entry.account == "wallet"
    ]


def remarks_of(series: Any, spec: BotSpec, *, traded: bool) -> list[str]:
    """Say what a reader should know of a run: that nothing traded, that bars are too coarse for the smallest step."""
    import numpy as np

    said: list[str] = list(spec.warnings)
    if not traded:
        said.append("no trade happened: the price never reached an order of this bot")
    # Whole numbers: the difference of the sums is the sum of the differences, without an array of them.
    mean_range = float(int(np.sum(series.high)) - int(np.sum(series.low))) / len(series) / 10.0**series.scale
    step = float(spec.step_min or 0)
    if mean_range > 0 and 0 < step / mean_range < 3:
        said.append(
            f"the smallest step ({step:g}) is only {step / mean_range:.1f} times the mean bar range ({mean_range:.2f}): "
            "fills inside a bar are guesses; finer candles are needed to prove this result"
        )
    return said
