"""Replays a stretch of what a portfolio really saw: the state it began with, every price in order, words of control.

The engine is the one that traded; the venue is the simulated one with the fill rules of paper trading (no latency: the
prices are as coarse as the ticks were). Orders that rested at the beginning rest again, at their places.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from itertools import groupby

from core.backtest import settle
from core.engine import BotSpec, Step, World
from core.facts import BalanceRead, Command, Fact, Fill
from core.market import Instrument, Market
from core.orders import TERMINAL, Order
from core.simbook import Swap
from core.simulation import Account
from core.values import Side, total
from tasks.assemble import fill_rules, opening_of
from tasks.quote_log import SeenPrice
from tasks.twin_start import Start


@dataclass(slots=True)
class Replay:
    """What came of a stretch: the bots' fills with their bots, and what could not be set up as it was."""

    fills: list[tuple[str, Fill]] = field(default_factory=list[tuple[str, Fill]])
    remarks: list[str] = field(default_factory=list[str])
    left_out: tuple[str, ...] = ()
    world: World | None = None


def replay(
    start: Start, seen: Sequence[SeenPrice], known: Mapping[Market, Decimal], commands: Sequence[Command] = ()
) -> Replay:
    """Play the prices of a stretch from its state. `known` are the last prices before it, `commands` what was applied in it.

    Bots that act on candles or funding rates are left out, and named: those readings are not kept.
    """
    made = Replay()
    specs = {name: spec for name, spec in start.specs.items() if not spec.bars and not spec.rates}
    made.left_out = tuple(name for name in start.specs if name not in specs)
    if not specs or not seen:
        return made
    bots = {name: start.world.bots[name] for name in specs}
    world = replace(start.world, specs=specs, bots=bots)
    accounts = {venue: _account(start, specs, venue) for venue in dict.fromkeys(one.venue for one in _traded(specs))}
    told: list[Fact] = []
    now = seen[0].at
    for venue, account in accounts.items():
        if start.fresh:
            told += [BalanceRead(venue, asset, amount, now) for asset, amount in account.balances.items()]
        made.remarks += _restore(account, world, known, now)

    def keep(step: Step, _now: datetime) -> None:
        made.fills += step.fills

    markets = [one.market for one in _traded(specs)]
    waiting = sorted(commands, key=lambda one: one.ts)
    for at, group in groupby(seen, key=lambda one: one.at):
        for price in group:
            if price.venue in accounts and price.symbol in accounts[price.venue].instruments:
                _move(accounts[price.venue], price)
        due = [one for one in waiting if one.ts <= at and one.bot_id in specs]
        waiting = [one for one in waiting if one.ts > at]
        world = settle(world, accounts, markets, at, keep, [*told, *due])
        told = []
    made.world = world
    return made


def _traded(specs: Mapping[str, BotSpec]) -> list[Instrument]:
    return list({one.market: one for spec in specs.values() for one in spec.instruments}.values())


def _account(start: Start, specs: Mapping[str, BotSpec], venue: str) -> Account:
    portfolio = start.portfolio
    config = portfolio.venue(venue)
    mine = {n: s for n, s in start.specs.items() if any(one.venue == venue for one in s.instruments)}
    money = {asset: amount for (place, asset), amount in start.world.wallet.items() if place == venue}
    leverage = max((b.leverage for b in portfolio.bots if b.id in mine), default=1)
    traded = {one.symbol: one for one in _traded(specs) if one.venue == venue}
    account = Account(venue, traded, fill_rules(portfolio.feed, "live"), money or opening_of(config, mine), leverage)
    for symbol, one in traded.items():
        if one.swap:
            # The average entry is an account's own; over all open lots it costs the same.
            lots = [lot for bot in start.world.bots.values() for lot in bot.lots.values() if lot.symbol == symbol]
            lots = [lot for lot in lots if lot.venue == venue]
            qty = total(lot.qty * lot.side.sign for lot in lots)
            account.swaps[symbol] = Swap(qty, abs(total(lot.cost * lot.side.sign for lot in lots)))
    return account


def _restore(account: Account, world: World, known: Mapping[Market, Decimal], now: datetime) -> list[str]:
    # Orders are placed while the price stands between all of them, so that none of them is taken at once.
    remarks: list[str] = []
    live = [
        work.order
        for bot in world.bots.values()
        for work in bot.works.values()
        if work.order is not None and work.order.status not in TERMINAL and work.order.venue == account.venue
    ]
    for symbol in account.instruments:
        mine = sorted((one for one in live if one.symbol == symbol), key=lambda one: (one.created_at, one.client_id))
        price = known.get((account.venue, symbol))
        if mine:
            account.jump(symbol, _between(mine, account.instruments[symbol].tick_size), now)
        for order in mine:
            answer = account.place(order, now)
            if order.client_id in account.orders:
                account.orders[order.client_id].filled = order.filled_qty
            else:
                remarks.append(f"{order.client_id} could not be put back: {getattr(answer, 'reason', answer)}")
        if price is not None:
            account.jump(symbol, price, now)
        elif mine:
            del account.prices[symbol]
    account.drain()
    return remarks


def _between(orders: Sequence[Order], tick: Decimal) -> Decimal:
    below: list[Decimal] = []
    above: list[Decimal] = []
    for order in orders:
        trigger = order.stop_price
        price = trigger if trigger is not None else order.price
        if price is not None:
            # A sell stop waits below the price as a purchase does, a buy stop above it.
            (below if (order.side is Side.BUY) == (trigger is None) else above).append(price)
    if not below:
        return max(min(above, default=tick * 2) - tick, tick)
    return (max(below) + min(above)) / 2 if above else max(below) + tick


def _move(account: Account, seen: SeenPrice) -> None:
    last = seen.last
    if seen.bid is not None and seen.ask is not None:
        account.touches[seen.symbol] = (seen.bid, seen.ask)
        last = min(max(last, seen.bid), seen.ask)
    if seen.jump:
        account.jump(seen.symbol, last, seen.at)
    extremes = [one for one in (seen.low, seen.high) if one is not None]
    before = account.prices.get(seen.symbol)
    if before is not None:
        # What the venue says was traded in between; the nearer extreme first, as in a candle.
        for extreme in sorted(extremes, key=lambda one: abs(one - before)):
            if extreme < min(before, last) or extreme > max(before, last):
                account.move(seen.symbol, extreme, seen.at)
    account.move(seen.symbol, last, seen.at)
