"""Turns a checked portfolio and its instruments into what the engine runs: bot specs, limits, paper venues and feeds."""

import hashlib
import string
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from core.engine import BotSpec, Limits
from core.machines.grid import machine as grid_machine
from core.machines.grid.config import GridConfig, GridRefused, make_plan
from core.market import Instrument, Intrabar
from core.portfolio import FeedConfig, Portfolio, VenueConfig
from core.simbook import FillRules
from core.values import ZERO
from tasks.errors import Refused
from tasks.feeds import CandleFeed, Feed, LiveFeed, PriceSource, SyntheticFeed
from tasks.instruments import choose
from tasks.settings import feed_path

# What a paper account opens with where the file says nothing: enough that money is not what is being tested.
_OPENING_LEAST = Decimal(10_000)
_TOKEN_LETTERS = string.digits + string.ascii_lowercase

Rules = Mapping[tuple[str, str], Instrument]


def instruments_of(
    portfolio: Portfolio,
    exchange: Mapping[str, Mapping[str, Instrument]],
    stored: Mapping[str, Mapping[str, Instrument]],
) -> dict[tuple[str, str], Instrument]:
    """Find the trading rules of every (venue, symbol) that a bot trades; raises `Refused` where none are known."""
    found: dict[tuple[str, str], Instrument] = {}
    for bot in portfolio.bots:
        venue = portfolio.venue(bot.venue)
        rules = choose(venue, bot.symbol, exchange.get(venue.id, {}), stored.get(venue.id, {}))
        if rules is None:
            index = portfolio.venues.index(venue)
            raise Refused(
                f"no trading rules are known for {bot.symbol}",
                key=f"venues[{index}].instruments",
                accepted=f"{{{bot.symbol}: {{tick_size: 0.01, lot_step: 0.001, min_notional: 5, maker: 0.001, taker: 0.001}}}}",
            )
        found[venue.id, bot.symbol] = rules
    return found


def specs_of(portfolio: Portfolio, rules: Rules, token: str) -> dict[str, BotSpec]:
    """Make every bot's spec; raises `Refused` where the exchange's rules do not allow its configuration."""
    specs: dict[str, BotSpec] = {}
    for index, bot in enumerate(portfolio.bots):
        specs[bot.id] = spec_of(bot, rules[bot.venue, bot.symbol], token, key=f"bots[{index}]")
    return specs


def spec_of(bot: GridConfig, instrument: Instrument, token: str, *, key: str) -> BotSpec:
    """Make one bot's spec; raises `Refused` naming the field under `key`."""
    try:
        plan = make_plan(bot, instrument)
    except GridRefused as refused:
        raise Refused(refused.reason, key=f"{key}.{refused.key}") from None
    return BotSpec(
        bot_id=bot.id, kind=bot.kind, token=token, machine=grid_machine, plan=plan, instrument=instrument,
        capital_quote=plan.capital_quote, places=len(plan.lines), safe_spread=bot.safe_extra_spread,
        max_position_size=bot.max_position_size, max_open_orders=bot.max_open_orders, max_drawdown=bot.max_drawdown,
        slippage=bot.max_slippage_bps / Decimal(10_000),
    )  # fmt: skip


def limits_of(portfolio: Portfolio) -> Limits:
    """Return the account's limits as the engine takes them."""
    risk = portfolio.risk
    return Limits(
        max_exposure_quote=risk.max_exposure_quote, max_drawdown=risk.max_drawdown, max_price_age_s=risk.max_price_age_s,
        unknown_quarantine_s=0.0 if portfolio.mode == "paper" else risk.unknown_quarantine_s,
    )  # fmt: skip


def fill_rules(feed: FeedConfig, kind: str) -> FillRules:
    """Return the paper venue's fill rules. Only candles have a path on which latency can be laid out."""
    return FillRules(
        cross=feed.fill == "cross",
        latency_s=feed.latency_s if kind == "candles" else 0.0,
        spread=feed.spread_bps / Decimal(10_000),
        slippage=feed.slippage_bps / Decimal(10_000),
    )


def opening_of(venue: VenueConfig, specs: Mapping[str, BotSpec]) -> dict[str, Decimal]:
    """Return a paper account's opening balances: as configured, else twice what its bots may need, at least 10,000."""
    if venue.balances:
        return dict(venue.balances)
    needs: dict[str, Decimal] = {}
    for spec in specs.values():
        if spec.instrument.venue == venue.id:
            quote = spec.instrument.quote
            needs[quote] = needs.get(quote, ZERO) + 2 * spec.capital_quote
    return {asset: max(need.quantize(Decimal(1)), _OPENING_LEAST) for asset, need in needs.items()}


def candle_feed(portfolio: Portfolio, file: str | Path, bot: GridConfig, epoch: datetime) -> Feed:
    """Open the candle file of a bot's symbol; raises `Refused` where there is none or it cannot be read."""
    from tasks.candles_read import CandleRefused, read_candles  # pyarrow is only needed here

    paths = portfolio.feed.paths
    key = f"{bot.venue}:{bot.symbol}" if f"{bot.venue}:{bot.symbol}" in paths else bot.venue
    text = paths.get(key)
    sharing = {b.symbol for b in portfolio.bots if b.venue == bot.venue}
    if text is None or (key == bot.venue and len(sharing) > 1):
        names = ", ".join(f"{bot.venue}:{symbol}" for symbol in sorted(sharing))
        raise Refused("a file is needed for each symbol", key=f"feed.paths.{bot.venue}", accepted=names)
    path = feed_path(text, file)
    if not path.is_file():
        raise Refused(f"no file {path}", key=f"feed.paths.{key}", accepted="a CSV, Parquet or feather file of candles")
    try:
        series, report = read_candles(path)
    except CandleRefused as refused:
        raise Refused(str(refused), key=f"feed.paths.{key}") from None
    speed = portfolio.feed.speed
    return CandleFeed(
        series=series, symbol=bot.symbol, timeframe=report.timeframe, intrabar=Intrabar(portfolio.feed.intrabar),
        speed=None if speed == "candle" else float(speed), epoch=epoch, label=f"candles of {path.name}",
        long=bot.side == "BUY",
    )  # fmt: skip


def synthetic_feed(portfolio: Portfolio, bot: GridConfig, instrument: Instrument, epoch: datetime) -> Feed:
    """Make the seeded walk of a symbol, around the middle of the first bot's range."""
    middle = instrument.floor_price((bot.start_price + bot.end_price) / 2)
    speed = portfolio.feed.speed
    return SyntheticFeed(
        bot.symbol, middle, instrument, portfolio.feed.seed, None if speed == "candle" else float(speed), epoch
    )


def live_feed(source: PriceSource, bot: GridConfig, exchange: str) -> Feed:
    """Wrap a real market's public prices."""
    return LiveFeed(source, bot.symbol, f"live prices of {exchange}")


def paper_token(portfolio_id: str) -> str:
    """Return the store token of a paper portfolio: the same on every run, so that a run can be repeated exactly."""
    digest = int.from_bytes(hashlib.sha256(portfolio_id.encode()).digest()[:8])
    letters = ""
    for _ in range(4):
        digest, index = divmod(digest, len(_TOKEN_LETTERS))
        letters += _TOKEN_LETTERS[index]
    return letters
