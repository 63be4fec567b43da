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


class Account:
    """Cash, coins and what was traded, in quote and base."""

    def __init__(self, lines: list[Decimal], qty: Decimal, capital: Decimal) -> None:
        self.lines, self.qty, self.capital = lines, qty, capital
        self.held = [False] * (len(lines) - 1)
        self.cash, self.coins, self.fees, self.realized = capital, Decimal(0), Decimal(0), Decimal(0)
        self.peak = capital
        self.fills: list[dict[str, Any]] = []
        self.curve: list[dict[str, Any]] = []

    def trade(self, when: Any, place: int, price: Decimal, role: str) -> None:
        """Buy at an empty level, sell at one that holds."""
        buys = not self.held[place]
        fee = (price * self.qty * FEE).quantize(CENT)
        gained = None if buys else (self.lines[place + 1] - self.lines[place]) * self.qty
        self.cash += (-price if buys else price) * self.qty - fee
        self.coins += self.qty if buys else -self.qty
        self.fees += fee
        self.realized += gained or Decimal(0)
        self.held[place] = buys
        row = (when, "BUY" if buys else "SELL", role, price, self.qty, fee, gained, f"L{place:02}")
        self.fills.append(dict(zip(FILL_COLUMNS, row, strict=True)))

    def sample(self, when: Any, mark: Decimal, first: Decimal) -> None:
        """Note the equity at a price."""
        equity = self.cash + self.coins * mark
        self.peak = max(self.peak, equity)
        fall = float((self.peak - equity) / self.peak)
        row = (when, equity, self.capital * mark / first, fall, self.coins * mark, self.coins)
        self.curve.append(dict(zip(EQUITY_COLUMNS, row, strict=True)))

    def levels(self) -> pd.DataFrame:
        """The levels as they stand, some made not working for the picture."""
        rows = []
        for place, held in enumerate(self.held):
            state, reason = "CLOSE_ORDER_PLACED" if held else "OPEN_ORDER_PLACED", ""
            if place < 4:
                state, reason = "NOT_ACTIVE", "outside activation_bounds: 8.4 % below the price, 6 % allowed"
            if place == len(self.held) * 3 // 4:
                state, reason = "NOT_ACTIVE", "rejected by the venue: post-only would cross; next try in 12 s"
            rows.append((place, self.lines[place], self.lines[place + 1], state, reason, self.qty))
        return pd.DataFrame(rows, columns=list(LEVEL_COLUMNS))

    def summary(self, started_at: datetime) -> BotSummary:
        """The totals; ratios are left to the report."""
        net = self.curve[-1]["equity"] - self.capital
        floating = net - self.realized + self.fees
        return dataclasses.replace(
            empty_bot().summary,
            net_pnl=net,
            realized_pnl=self.realized,
            unrealized_pnl=floating,
            grid_profit=self.realized,
            floating=floating,
            fees=self.fees,
            round_trips=sum(1 for fill in self.fills if fill["side"] == "SELL"),
            fills=len(self.fills),
            fills_initial=sum(1 for fill in self.fills if fill["role"] == "initial"),
            exposure_max=max(row["exposure_quote"] for row in self.curve),
            started_at=started_at,
        )


def played(candles: pd.DataFrame, levels: int = 40, capital: Decimal = Decimal(10_000)) -> BotReport:
    """Buy at every level below, sell one level higher, over and over."""
    low, high = float(candles["low"].min()), float(candles["high"].max())
    start, end = low + (high - low) * 0.12, high - (high - low) * 0.10
    lines = [Decimal(str(round(start + (end - start) * step / levels, 2))) for step in range(levels + 1)]
    account = Account(lines, (capital / levels / lines[levels // 2]).quantize(Decimal("0.00001")), capital)
    first = Decimal(str(candles["open"].iloc[0]))
    rows = zip(candles["ts"], candles["low"], candles["high"], candles["close"], strict=True)
    for bar, (when, lowest, highest, close) in enumerate(rows):
        for place, held in enumerate(tuple(account.held)):
            if bar == 0 and lines[place] >= first:
                account.trade(when, place, first, "initial")
            elif not held and float(lowest) <= lines[place] <= float(highest):
                account.trade(when, place, lines[place], "entry")
            elif held and float(highest) >= lines[place + 1]:
                account.trade(when, place, lines[place + 1], "exit")
        if bar % 30 == 0 or bar == len(candles) - 1:
            account.sample(when, Decimal(str(close)), first)
    return dataclasses.replace(
        empty_bot("btc1"),
        capital_quote=capital,
        candles=candles,
        levels=account.levels(),
        fills=pd.DataFrame(account.fills, columns=list(FILL_COLUMNS)),
        equity=pd.DataFrame(account.curve, columns=list(EQUITY_COLUMNS)),
        summary=account.summary(candles["ts"].iloc[0].to_pydatetime()),
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
