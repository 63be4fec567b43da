"""A grid played over candles in the simplest way that gives a report something to show; it proves nothing of fills."""

import dataclasses
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tasks.report_data import (
    CANDLE_COLUMNS,
    EQUITY_COLUMNS,
    FILL_COLUMNS,
    LEVEL_COLUMNS,
    BotReport,
    BotSummary,
    ReportData,
)

REAL_MONTH = Path(__file__).parents[3] / "shared" / "data" / "ohlcv" / "binance-BTCUSDT-1m-20250504-20250603.parquet"
FEE = Decimal("0.0002")
CENT = Decimal("0.00000001")


def walked_candles(count: int, seed: int = 7, step_min: int = 1) -> pd.DataFrame:
    """Seeded candles around 100,000."""
    dice = np.random.default_rng(seed)
    close = 100_000 * np.exp(np.cumsum(dice.normal(0, 0.0006 * step_min**0.5, count)))
    opens = np.r_[100_000.0, close[:-1]]
    wick = np.abs(dice.normal(0, 25, (2, count)))
    return pd.DataFrame(
        {
            "ts": pd.date_range("2023-01-01", periods=count, freq=f"{step_min}min"),
            "open": opens.round(2),
            "high": (np.maximum(opens, close) + wick[0]).round(2),
            "low": (np.minimum(opens, close) - wick[1]).round(2),
            "close": close.round(2),
            "volume": dice.uniform(1, 9, count).round(5),
        }
    )


def real_candles(path: Path = REAL_MONTH) -> pd.DataFrame:
    """A month of real minutes."""
    frame = pd.read_parquet(path).rename(columns={"timestamp": "ts"})
    frame["ts"] = frame["ts"].dt.tz_localize(None)
    return frame[list(CANDLE_COLUMNS)]


def played(candles: pd.DataFrame, levels: int = 40, capital: Decimal = Decimal(10_000)) -> BotReport:
    """Buy at every level below, sell one level higher, over and over."""
    low, high = float(candles["low"].min()), float(candles["high"].max())
    start, end = low + (high - low) * 0.12, high - (high - low) * 0.10
    lines = [Decimal(str(round(start + (end - start) * step / levels, 2))) for step in range(levels + 1)]
    qty = (capital / levels / lines[levels // 2]).quantize(Decimal("0.00001"))
    held = [False] * levels
    cash, coins, fees, realized = capital, Decimal(0), Decimal(0), Decimal(0)
    fills: list[dict[str, Any]] = []
    curve: list[dict[str, Any]] = []
    first, peak = Decimal(str(candles["open"].iloc[0])), capital

    def trade(when: Any, place: int, buys: bool, price: Decimal, role: str) -> None:
        nonlocal cash, coins, fees, realized
        fee = (price * qty * FEE).quantize(CENT)
        gained = None if buys else (lines[place + 1] - lines[place]) * qty
        cash += (-price if buys else price) * qty - fee
        coins += qty if buys else -qty
        fees += fee
        realized += gained or Decimal(0)
        held[place] = buys
        side = "BUY" if buys else "SELL"
        fills.append(dict(zip(FILL_COLUMNS, (when, side, role, price, qty, fee, gained, f"L{place:02}"), strict=True)))

    rows = zip(candles["ts"], candles["low"], candles["high"], candles["close"], strict=True)
    for bar, (when, lowest, highest, close) in enumerate(rows):
        for place in range(levels):
            if bar == 0 and lines[place] >= first:
                trade(when, place, True, first, "initial")
            elif not held[place] and float(lowest) <= lines[place] <= float(highest):
                trade(when, place, True, lines[place], "entry")
            elif held[place] and float(highest) >= lines[place + 1]:
                trade(when, place, False, lines[place + 1], "exit")
        if bar % 30 == 0 or bar == len(candles) - 1:
            mark = Decimal(str(close))
            equity = cash + coins * mark
            peak = max(peak, equity)
            curve.append(
                dict(
                    zip(
                        EQUITY_COLUMNS,
                        (when, equity, capital * mark / first, float((peak - equity) / peak), coins * mark, coins),
                        strict=True,
                    )
                )
            )
    net = curve[-1]["equity"] - capital
    floating = net - realized + fees
    states = []
    for place in range(levels):
        state, reason = ("CLOSE_ORDER_PLACED", "") if held[place] else ("OPEN_ORDER_PLACED", "")
        if place < 4:
            state, reason = "NOT_ACTIVE", "outside activation_bounds: 8.4 % below the price, 6 % allowed"
        if place == levels * 3 // 4:
            state, reason = "NOT_ACTIVE", "rejected by the venue: post-only would cross; next try in 12 s"
        row = (place, lines[place], lines[place + 1], state, reason, qty)
        states.append(dict(zip(LEVEL_COLUMNS, row, strict=True)))
    equity = pd.DataFrame(curve, columns=list(EQUITY_COLUMNS))
    summary = BotSummary(
        net_pnl=net,
        realized_pnl=realized,
        unrealized_pnl=floating,
        grid_profit=realized,
        floating=floating,
        fees=fees,
        funding=Decimal(0),
        round_trips=sum(1 for fill in fills if fill["side"] == "SELL"),
        fills=len(fills),
        fills_initial=sum(1 for fill in fills if fill["role"] == "initial"),
        win_rate=None,
        max_drawdown=None,
        sharpe=None,
        sortino=None,
        exposure_max=max((row["exposure_quote"] for row in curve), default=Decimal(0)),
        apr=None,
        started_at=candles["ts"].iloc[0].to_pydatetime(),
    )
    return BotReport(
        bot_id="btc1",
        kind="grid",
        venue="spot",
        symbol="BTC/USDT",
        side="BUY",
        quote_asset="USDT",
        base_asset="BTC",
        capital_quote=capital,
        candles=candles,
        levels=pd.DataFrame(states, columns=list(LEVEL_COLUMNS)),
        fills=pd.DataFrame(fills, columns=list(FILL_COLUMNS)),
        equity=equity,
        summary=summary,
    )


def empty_bot(bot_id: str = "new1") -> BotReport:
    """A bot that has not seen a price yet."""
    zero = Decimal(0)
    return BotReport(
        bot_id=bot_id, kind="grid", venue="spot", symbol="BTC/USDT", side="BUY",
        quote_asset="USDT", base_asset="BTC",
        capital_quote=Decimal(1000),
        candles=pd.DataFrame(columns=list(CANDLE_COLUMNS)),
        levels=pd.DataFrame(columns=list(LEVEL_COLUMNS)),
        fills=pd.DataFrame(columns=list(FILL_COLUMNS)),
        equity=pd.DataFrame(columns=list(EQUITY_COLUMNS)),
        summary=BotSummary(
            net_pnl=zero, realized_pnl=zero, unrealized_pnl=zero, grid_profit=zero, floating=zero, fees=zero,
            funding=zero,
            round_trips=0, fills=0, fills_initial=0, win_rate=None, max_drawdown=None, sharpe=None, sortino=None,
            exposure_max=zero, apr=None, started_at=None,
        ),
    )  # fmt: skip


def report(*bots: BotReport, **changed: Any) -> ReportData:
    """A report of the bots, with any field changed."""
    shown = ReportData(
        title="BTC/USDT grid, May 2025",
        mode="paper",
        synthetic=False,
        generated_at=datetime(2025, 6, 4, 0, 0, 12),
        data_from=datetime(2025, 5, 4),
        data_to=datetime(2025, 6, 3, 23, 59),
        data_age_s=12.4,
        code_version="0.1.0+4f2c9ad",
        config_yaml=CONFIG,
        fill_rules={
            "Path inside a candle": "adaptive: the extreme nearer to the open first",
            "Limit orders": "filled when the price trades through by one tick",
            "Latency": "6 s along the path of the candle",
            "Fees": "maker 0.02 %, taker 0.05 %",
            "Slippage": "market orders at the worse of trigger and open, plus 2 bp",
        },
        bots=bots,
        notes=("7.1 % of the profit comes from round trips inside one candle.",),
    )
    return dataclasses.replace(shown, **changed)


CONFIG = """mode: paper
data_dir: data
venues:
  - {id: spot, exchange: binance, market: spot}
feed: {kind: auto}
risk: {max_exposure_quote: 12000, max_drawdown: 0.10}
bots:
  - id: btc1
    kind: grid
    venue: spot
    symbol: BTC/USDT
    side: BUY
    start_price: 94000
    end_price: 111000
    levels: 40
    total_amount_quote: 10000
    initial_inventory: market
"""
