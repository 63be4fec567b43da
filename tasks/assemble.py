"""Turns a checked portfolio and its instruments into what the engine runs: bot specs, limits, paper venues and feeds."""

import hashlib
import string
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from core.config import PlanRefused
from core.engine import BotSpec, Limits
from core.kinds import KINDS, AnyBot
from core.market import Instrument, Intrabar, Market
from core.portfolio import FeedConfig, Portfolio, VenueConfig
from core.simbook import FillRules
from core.values import ZERO
from tasks.errors import Refused
from tasks.feeds import CandleFeed, Feed, LiveFeed, PriceSource, SyntheticFeed
from tasks.instruments import choose
from tasks.settings import feed_path
from tasks.venue_stops import asked_stop, guarded

# What a paper account opens with where the file says nothing: enough that money is not what is being tested.
_OPENING_LEAST = Decimal(10_000)
_TOKEN_LETTERS = string.digits + string.ascii_lowercase

# Where a synthetic walk starts whose bot names no price: nothing depends on it but how it looks.
_ABOUT = {"BTC": Decimal(60_000), "ETH": Decimal(3_000), "BNB": Decimal(600), "SOL": Decimal(150)}

Rules = Mapping[Market, Instrument]


def instruments_of(
    portfolio: Portfolio,
    exchange: Mapping[str, Mapping[str, Instrument]],
    stored: Mapping[str, Mapping[str, Instrument]],
) -> dict[tuple[str, str], Instrument]:
    """Find the trading rules of every (venue, symbol) that a bot trades; raises `Refused` where none are known."""
    found: dict[tuple[str, str], Instrument] = {}
    for bot in portfolio.bots:
        for name, symbol in bot.markets():
            venue = portfolio.venue(name)
            rules = choose(venue, symbol, exchange.get(venue.id, {}), stored.get(venue.id, {}))
            if rules is None:
                index = portfolio.venues.index(venue)
                raise Refused(
                    f"no trading rules are known for {symbol}",
                    key=f"venues[{index}].instruments",
                    accepted=f"{{{symbol}: {{tick_size: 0.01, lot_step: 0.001, min_notional: 5, maker: 0.001, taker: 0.001}}}}",
                )
            found[venue.id, symbol] = rules
    return found


def specs_of(portfolio: Portfolio, rules: Rules, token: str) -> dict[str, BotSpec]:
    """Make every bot's spec; raises `Refused` where the exchange's rules do not allow its configuration."""
    specs: dict[str, BotSpec] = {}
    for index, bot in enumerate(portfolio.bots):
        spec = spec_of(bot, rules, token, key=f"bots[{index}]")
        specs[bot.id] = guarded(portfolio.mode, bot, spec, key=f"bots[{index}]")
    return specs


def spec_of(bot: AnyBot, rules: Rules, token: str, *, key: str) -> BotSpec:
    """Make one bot's spec from the rules of its markets; raises `Refused` naming the field under `key`."""
    kind = KINDS[bot.kind]
    instruments = {market: rules[market] for market in bot.markets()}
    try:
        ready = kind.prepare(bot, instruments)
    except PlanRefused as refused:
        raise Refused(refused.reason, key=f"{key}.{refused.key}") from None
    first, *others = instruments.values()
    fraction, price = asked_stop(bot, instruments.values(), key=key)
    return BotSpec(
        bot_id=bot.id, kind=bot.kind, token=token, machine=kind.machine, plan=ready.plan, instrument=first,
        others=tuple(others), capital_quote=ready.capital_quote, places=ready.places, safe_spread=ready.safe_spread,
        max_position_size=bot.max_position_size, max_open_orders=ready.max_open_orders, max_drawdown=bot.max_drawdown,
        slippage=bot.max_slippage_bps / Decimal(10_000), bars=ready.bars, rates=ready.rates, long=ready.long,
        hears_refusals=ready.hears_refusals, step_min=ready.step_min, venue_stop=fraction, venue_stop_price=price,
        nets=ready.nets, max_bound_quote=ready.max_bound_quote, warnings=ready.warnings,
    )  # fmt: skip


def limits_of(portfolio: Portfolio) -> Limits:
    """Return the account's limits as the engine takes them."""
    risk = portfolio.risk
    quarantine_s = 0.0 if portfolio.mode == "paper" else risk.unknown_quarantine_s
    # Only Binance is told until when a closing at the market may arrive (recvWindow).
    bounded = all(venue.exchange.startswith("binance") for venue in portfolio.venues)
    return Limits(
        max_exposure_quote=risk.max_exposure_quote, max_drawdown=risk.max_drawdown, max_price_age_s=risk.max_price_age_s,
        unknown_quarantine_s=quarantine_s,
        protective_quarantine_s=min(quarantine_s, Limits().protective_quarantine_s) if bounded else quarantine_s,
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
        for quote in {one.quote for one in spec.instruments if one.venue == venue.id}:
            needs[quote] = needs.get(quote, ZERO) + 2 * spec.capital_quote
    return {asset: max(need.quantize(Decimal(1)), _OPENING_LEAST) for asset, need in needs.items()}


def candle_feeds(portfolio: Portfolio, file: str | Path, epoch: datetime) -> dict[Market, Feed]:
    """Open the candle file of every market; raises `Refused` where there is none or it cannot be read.

    Markets that one bot trades together are played side by side: times that one of them lacks are left out, and all reach
    their extremes in the order of the bot's first market (RULES 18b).
    """
    feeds: dict[Market, CandleFeed] = {}
    for bot in portfolio.bots:
        for market in bot.markets():
            if market not in feeds:
                feeds[market] = _candle_feed(portfolio, file, market, epoch, long=bot.direction_at(market) != "SELL")
    for bot in portfolio.bots:
        together = [feeds[market] for market in bot.markets()]
        if len(together) > 1:
            _play_together(together)
    return dict(feeds)


def _play_together(feeds: list[CandleFeed]) -> None:
    from tasks.candles_align import align  # numpy is only needed here

    aligned, _ = align([feed.series for feed in feeds])
    for feed, series in zip(feeds, aligned, strict=True):
        feed.series = series
        if feed is not feeds[0]:
            feed.leader = feeds[0].series
            feed.long = feeds[0].long


def _candle_feed(portfolio: Portfolio, file: str | Path, market: Market, epoch: datetime, *, long: bool) -> CandleFeed:
    from tasks.candles_read import CandleRefused, read_candles  # pyarrow is only needed here

    paths = portfolio.feed.paths
    venue, symbol = market
    key = f"{venue}:{symbol}" if f"{venue}:{symbol}" in paths else venue
    text = paths.get(key)
    sharing = {name for bot in portfolio.bots for place, name in bot.markets() if place == venue}
    if text is None or (key == venue and len(sharing) > 1):
        names = ", ".join(f"{venue}:{name}" for name in sorted(sharing))
        raise Refused("a file is needed for each symbol", key=f"feed.paths.{venue}", accepted=names)
    path = feed_path(text, file)
    if not path.is_file():
        raise Refused(f"no file {path}", key=f"feed.paths.{key}", accepted="a CSV, Parquet or feather file of candles")
    try:
        series, report = read_candles(path)
    except CandleRefused as refused:
        raise Refused(str(refused), key=f"feed.paths.{key}") from None
    speed = portfolio.feed.speed
    return CandleFeed(
        series=series, symbol=symbol, timeframe=report.timeframe, intrabar=Intrabar(portfolio.feed.intrabar),
        speed=None if speed == "candle" else float(speed), epoch=epoch, label=f"candles of {path.name}",
        long=long, funding=_funding(portfolio, file, market),
    )  # fmt: skip


def _funding(portfolio: Portfolio, file: str | Path, market: Market) -> tuple[tuple[int, Decimal, float], ...]:
    from tasks.candles_funding import read_funding, with_intervals
    from tasks.candles_report import CandleRefused

    venue, symbol = market
    texts = portfolio.feed.funding
    key = f"{venue}:{symbol}" if f"{venue}:{symbol}" in texts else venue
    if key not in texts or portfolio.venue(venue).market != "swap":
        return ()
    path = feed_path(texts[key], file)
    if not path.is_file():
        raise Refused(f"no file {path}", key=f"feed.funding.{key}", accepted="a file of funding rates")
    try:
        return with_intervals(read_funding(path))
    except CandleRefused as refused:
        raise Refused(str(refused), key=f"feed.funding.{key}") from None


def synthetic_feed(portfolio: Portfolio, instrument: Instrument, epoch: datetime) -> Feed:
    """Make the seeded walk of a symbol, around the price that the first bot in its base asset tells."""
    told = [
        price
        for bot in portfolio.bots
        for _, symbol in bot.markets()
        if symbol.partition("/")[0] == instrument.base and (price := bot.about_price()) is not None
    ]
    about = told[0] if told else _ABOUT.get(instrument.base, Decimal(100))
    middle = instrument.floor_price(about)
    speed = portfolio.feed.speed
    return SyntheticFeed(
        instrument.symbol, middle, instrument, portfolio.feed.seed, None if speed == "candle" else float(speed), epoch
    )


def live_feed(source: PriceSource, symbol: str, exchange: str) -> Feed:
    """Wrap a real market's public prices."""
    return LiveFeed(source, symbol, f"live prices of {exchange}")


def paper_token(portfolio_id: str) -> str:
    """Return the store token of a paper portfolio: the same on every run, so that a run can be repeated exactly."""
    digest = int.from_bytes(hashlib.sha256(portfolio_id.encode()).digest()[:8])
    letters = ""
    for _ in range(4):
        digest, index = divmod(digest, len(_TOKEN_LETTERS))
        letters += _TOKEN_LETTERS[index]
    return letters
