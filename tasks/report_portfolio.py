"""All bots of a report as one: their equity, exposure and money in sum, where they count in the same asset."""

from decimal import Decimal

import numpy as np
import pandas as pd

from core.values import ZERO
from tasks.report_data import CANDLE_COLUMNS, EQUITY_COLUMNS, LEVEL_COLUMNS, BotReport, BotSummary, ReportData
from tasks.report_sampling import Floats, Ints, epoch_ms, floats

SUMMED = ("net_pnl", "realized_pnl", "unrealized_pnl", "grid_profit", "floating", "fees", "funding")
COUNTED = ("round_trips", "fills", "fills_initial")


def whole_of(data: ReportData) -> BotReport | None:
    """Return the bots as one; None for fewer than two, or where they count in several assets, which have no sum.

    A bot is worth its capital until its first sample and its last sample afterwards. Exposures are added without their
    sign, so that a hedge in another bot takes nothing off. Fills, whose prices belong to several markets, are not drawn.
    """
    bots = data.bots
    if len(bots) < 2 or len({bot.quote_asset for bot in bots}) > 1:
        return None
    curves = [bot for bot in bots if len(bot.equity)]
    stamps = (
        np.unique(np.concatenate([epoch_ms(bot.equity["ts"]) for bot in curves])) if curves else np.empty(0, np.int64)
    )
    equity, hold, exposure = np.zeros(len(stamps)), np.zeros(len(stamps)), np.zeros(len(stamps))
    for bot in bots:
        start = float(bot.capital_quote)
        equity += _at(stamps, bot, "equity", start)
        hold += _at(stamps, bot, "hold_equity", start)
        exposure += np.abs(_at(stamps, bot, "exposure_quote", 0.0))
    peak = np.maximum.accumulate(equity)
    fall = np.divide(peak - equity, peak, out=np.zeros_like(peak), where=peak > 0)
    frame = pd.DataFrame(
        {
            "ts": pd.to_datetime(stamps, unit="ms"), "equity": equity, "hold_equity": hold, "drawdown": fall,
            "exposure_quote": exposure, "inventory_base": exposure,
        },
        columns=list(EQUITY_COLUMNS),
    )  # fmt: skip
    fills = pd.concat([bot.fills for bot in bots], ignore_index=True)
    return BotReport(
        bot_id="All bots", kind="portfolio", venue="", symbol="all bots", side="", quote_asset=bots[0].quote_asset,
        base_asset="", capital_quote=sum((bot.capital_quote for bot in bots), ZERO),
        candles=pd.DataFrame(columns=list(CANDLE_COLUMNS)), levels=pd.DataFrame(columns=list(LEVEL_COLUMNS)),
        fills=fills, equity=frame, summary=_sum(bots, float(exposure.max()) if len(exposure) else 0.0),
    )  # fmt: skip


def _sum(bots: tuple[BotReport, ...], exposure_max: float) -> BotSummary:
    money = {name: sum((getattr(bot.summary, name) for bot in bots), ZERO) for name in SUMMED}
    counts = {name: sum(getattr(bot.summary, name) for bot in bots) for name in COUNTED}
    hedges = [bot.summary.hedge for bot in bots if bot.summary.hedge is not None]
    return BotSummary(
        **money, **counts, hedge=sum(hedges, ZERO) if hedges else None, win_rate=None, max_drawdown=None, sharpe=None,
        sortino=None, exposure_max=Decimal(repr(exposure_max)), apr=None,
        started_at=min((bot.summary.started_at for bot in bots if bot.summary.started_at), default=None),
    )  # fmt: skip


def _at(stamps: Ints, bot: BotReport, column: str, before: float) -> Floats:
    values = floats(bot.equity[column])
    if not len(values):
        return np.full(len(stamps), before)
    at = np.searchsorted(epoch_ms(bot.equity["ts"]), stamps, side="right") - 1
    return np.where(at >= 0, values[np.maximum(at, 0)], before)
