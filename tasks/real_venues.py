"""Opens real accounts through ccxt for demo and live, and refuses to trade beside another store (RULES 3)."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta

from core.engine import BotSpec
from core.orders import decode
from core.portfolio import Portfolio, VenueConfig
from tasks.errors import Busy, GridkeeperError, Halted, Refused
from tasks.store import Store
from tasks.store_load import order_names
from tasks.venue import ConfigRefused, Venue, VenueError, VenueHalted

# How far back a new store looks for trades of a lost one.
LOOK_BACK = timedelta(days=7)
# A connection that drops once must not end a start: it reads so often, with this pause.
READ_ATTEMPTS = 3
READ_PAUSE_S = 1.0


async def open_accounts(portfolio: Portfolio, undo: AsyncExitStack) -> dict[str, Venue]:
    """Start every venue that a bot trades at; `undo` closes them should anything after fail.

    Raises `Refused` for keys, market type, symbol or clock that do not fit, `Halted` where the exchange does not answer.
    """
    from tasks.credentials import Credentials
    from tasks.exchange import CcxtVenue  # imports ccxt, which takes a second

    opened: dict[str, Venue] = {}
    for index, config in enumerate(portfolio.venues):
        symbols = symbols_at(portfolio, config)
        if not symbols:
            continue
        if config.api_key is None or config.secret is None:
            raise Refused(f"{portfolio.mode} mode needs keys", key=f"venues[{index}].api_key", accepted='"${NAME}"')
        leverage = {
            symbol: bot.leverage for bot in portfolio.bots for name, symbol in bot.markets() if name == config.id
        }
        directions = {
            (bot.id, symbol): bot.direction_at((name, symbol))
            for bot in portfolio.bots for name, symbol in bot.markets() if name == config.id
        }  # fmt: skip
        try:
            venue = CcxtVenue(
                config.id, config.exchange, config.market, portfolio.mode, config.api_url,
                Credentials(config.api_key, config.secret, config.password), position_mode=config.position_mode,
                margin_mode=config.margin_mode, leverage=leverage if config.market == "swap" else None,
                directions=directions, decision_age_s=portfolio.risk.max_decision_age_s, streams=config.streams,
            )  # fmt: skip
            undo.push_async_callback(venue.close)
            await venue.start(symbols)
        except VenueError as fault:
            raise _told(fault, index) from None
        opened[config.id] = venue
    return opened


def recall_orders(venues: Mapping[str, Venue], store: Store) -> None:
    """Tell the venues whose orders are whose: trades name the exchange's id alone, and asking for each costs a request."""
    from tasks.exchange import CcxtVenue

    con = store.reader()
    try:
        for venue_id, symbol, exchange_id, client_id in order_names(con):
            venue = venues.get(venue_id)
            if isinstance(venue, CcxtVenue):
                venue.reader.learn(symbol, exchange_id, client_id)
    finally:
        con.close()


def symbols_at(portfolio: Portfolio, venue: VenueConfig) -> list[str]:
    """List the symbols that bots trade at a venue."""
    return sorted({symbol for bot in portfolio.bots for name, symbol in bot.markets() if name == venue.id})


async def refuse_other_stores(
    venues: Mapping[str, Venue],
    symbols: Mapping[str, Sequence[str]],
    specs: Iterable[BotSpec],
    now: datetime,
    *,
    new: bool,
) -> None:
    """Raise `Busy` where an order or trade carries one of our bots' ids with the token of another store.

    Open orders are looked at always; trades of the last days only for a store that is `new`: one that was lost may have
    left coins behind and no order.
    """
    tokens = {spec.bot_id: spec.token for spec in specs}
    for venue in venues.values():
        marks = await _patiently(venue, symbols[venue.id], now, new=new)
        for what, client_id in marks:
            who = decode(client_id)
            if who is not None and who.bot_id in tokens and who.token != tokens[who.bot_id]:
                raise Busy(
                    f"{what} {client_id} at {venue.id} was sent by another store of bot {who.bot_id!r}",
                    key="data_dir",
                    accepted="stop the other one and use its data_dir; where that store is lost: `gridkeeper rebuild`; where "
                    "the bot is done with: another bot id",
                )  # fmt: skip


async def _patiently(venue: Venue, symbols: Sequence[str], now: datetime, *, new: bool) -> list[tuple[str, str]]:
    # What each order, or trade of a new store, is marked with; a reading that failed is tried again, for it writes nothing.
    left = READ_ATTEMPTS
    while True:
        left -= 1
        try:
            return await _marks(venue, symbols, now, new=new)
        except VenueError as fault:
            if isinstance(fault, VenueHalted) or not left:
                raise Halted(f"{venue.id}: {fault}") from None
        await asyncio.sleep(READ_PAUSE_S)


async def _marks(venue: Venue, symbols: Sequence[str], now: datetime, *, new: bool) -> list[tuple[str, str]]:
    marks = [("order", str(seen.client_id)) for seen in await venue.open_orders(symbols, now)]
    if new:
        for symbol in symbols:
            trades = await venue.trades(symbol, now - LOOK_BACK, now)
            marks += [("trade of order", str(fill.client_id)) for fill in trades]
    return marks


def _told(fault: VenueError, index: int) -> GridkeeperError:
    if isinstance(fault, ConfigRefused):
        return Refused(fault.reason, key=f"venues[{index}].{fault.key}")
    if isinstance(fault, VenueHalted):
        return Halted(str(fault), key=f"venues[{index}]")
    return Halted(f"the exchange cannot be read: {fault}", key=f"venues[{index}]")
