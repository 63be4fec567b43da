"""What a report shows, as plain values: filled from the published store or from a backtest, drawn by the writers.

Every frame may be empty (a bot that has just started); its columns must be there. Times are naive UTC. Money is
`Decimal` in the bot's quote asset; prices and quantities inside frames may be `Decimal` or float, since they only are
drawn. Fees above zero were paid, funding above zero was received.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import pandas as pd

CANDLE_COLUMNS = ("ts", "open", "high", "low", "close", "volume")
LEVEL_COLUMNS = ("level", "entry_price", "exit_price", "state", "reason", "qty")
FILL_COLUMNS = ("ts", "side", "role", "price", "qty", "fee_quote", "realized_pnl", "leg_id")
EQUITY_COLUMNS = ("ts", "equity", "hold_equity", "drawdown", "exposure_quote", "inventory_base")
BESIDE_COLUMNS = ("ts", "exposure_quote")


class ReportRefused(ValueError):
    """The data of a report does not have the promised form; the message names the bot, the frame and the column."""


@dataclass(frozen=True, kw_only=True)
class BotSummary:
    """The totals of one bot over the span of the report.

    Money in the quote asset; `win_rate`, `max_drawdown` (of the peak), `apr` and `cagr` (a year), `time_in_market` as
    fractions; lengths in seconds; `turnover` in times a year. `hedge` is what the other markets of the bot brought
    before fees and funding; `grid_profit` and `floating` are then those of its own market alone. What is None is derived
    from the frames where they allow it, else shown as a dash. `fills` counts the opening purchase, `fills_initial` says
    how many those were.
    """

    net_pnl: Decimal
    realized_pnl: Decimal
    unrealized_pnl: Decimal
    grid_profit: Decimal
    floating: Decimal
    fees: Decimal
    funding: Decimal
    round_trips: int
    fills: int
    fills_initial: int
    win_rate: float | None
    max_drawdown: float | None
    sharpe: float | None
    sortino: float | None
    exposure_max: Decimal
    apr: float | None
    started_at: datetime | None
    cagr: float | None = None
    calmar: float | None = None
    profit_factor: float | None = None
    expectancy: Decimal | None = None
    drawdown_length_s: float | None = None
    time_in_market: float | None = None
    turnover: float | None = None
    volume_quote: Decimal | None = None
    hedge: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class Proof:
    """How far a backtest can be believed: its net profit under other fill rules, and what it owes to single bars.

    `net_*` in the quote asset, None where that run was not made. `inside_trips` round trips began and ended in one bar and
    made `inside_share` of the gross profit of all (None where that is not positive); `ambiguous_bars` had both purchases
    and sales; `share_most` is the share above which nothing is proven.
    """

    net_touch: Decimal | None
    net_cross: Decimal | None
    net_worst: Decimal | None
    inside_trips: int
    inside_share: float | None
    ambiguous_bars: int
    share_most: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Beside:
    """Another market that a bot trades, a hedge most often: BESIDE_COLUMNS, with `exposure_quote` signed.

    `profit` is what it brought, realised and floating, before fees and funding; `fills` how many executions it had.
    """

    venue: str
    symbol: str
    profit: Decimal
    fills: int
    frame: pd.DataFrame


@dataclass(frozen=True, kw_only=True, eq=False)
class BotReport:
    """One bot: who it is, its frames and its totals.

    `candles`: CANDLE_COLUMNS, `ts` the open of the candle. `levels`: LEVEL_COLUMNS, as they stand at the end; `state`
    in the grid's words (NOT_ACTIVE, OPEN_ORDER_PLACED, OPEN_ORDER_FILLED, CLOSE_ORDER_PLACED, COMPLETE), `reason` why
    it is not working. `fills`: FILL_COLUMNS; `realized_pnl` is missing or zero for a fill that opens. `equity`:
    EQUITY_COLUMNS; `drawdown` a fraction of the peak, `exposure_quote` and `inventory_base` signed (short below zero).
    `beside` are its other markets, `leverage` divides exposure into margin, `proof` belongs to backtests.
    Raises ReportRefused when a frame lacks a column.
    """

    bot_id: str
    kind: str
    venue: str
    symbol: str
    side: str
    quote_asset: str
    base_asset: str
    capital_quote: Decimal
    candles: pd.DataFrame
    levels: pd.DataFrame
    fills: pd.DataFrame
    equity: pd.DataFrame
    summary: BotSummary
    beside: tuple[Beside, ...] = ()
    leverage: int = 1
    proof: Proof | None = None

    def __post_init__(self) -> None:
        for name, wanted in (
            ("candles", CANDLE_COLUMNS),
            ("levels", LEVEL_COLUMNS),
            ("fills", FILL_COLUMNS),
            ("equity", EQUITY_COLUMNS),
        ):
            frame = getattr(self, name)
            missing = [column for column in wanted if column not in frame.columns]
            if missing:
                raise ReportRefused(
                    f"bot {self.bot_id!r}: {name} lacks {', '.join(missing)}; it needs {', '.join(wanted)}"
                )


def market_name(bot: BotReport, market: BotReport | Beside) -> str:
    """Name one of a bot's markets: by its symbol, with the venue where the bot trades that symbol at several."""
    symbols = [bot.symbol, *(one.symbol for one in bot.beside)]
    return f"{market.symbol} at {market.venue}" if symbols.count(market.symbol) > 1 else market.symbol


@dataclass(frozen=True, kw_only=True, eq=False)
class ReportData:
    """A whole report: the span, the provenance and the bots.

    `mode` is paper, backtest, demo or live; `synthetic` says that prices were generated. `data_age_s` is the age in
    seconds of the newest price when the report was made, None where age has no meaning (a backtest). `fill_rules`
    and `notes` are shown as given; no secret may stand in `config_yaml`.
    """

    title: str
    mode: str
    synthetic: bool
    generated_at: datetime
    data_from: datetime | None
    data_to: datetime | None
    data_age_s: float | None
    code_version: str
    config_yaml: str
    fill_rules: Mapping[str, str] = field(default_factory=dict[str, str])
    bots: tuple[BotReport, ...] = ()
    notes: tuple[str, ...] = ()
