"""Rebuilds a lost or damaged store from the exchange alone, and puts it in place of the old one (RULES 3, 9d).

    hold the old store, if any ──> read all twice, a quarantine apart ──> core.engine.rebuild ──> new store ──> swap

Nothing is sent to the exchange. The new store takes over the token of the lost one, which is in every client id, so the
orders that rest are its own. The old file and the days published from it are kept aside; nothing is deleted.
"""

import asyncio
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from core.engine.rebuild import Rebuilt, rebuild
from core.facts import BalanceRead, Fill, PositionRead
from core.market import Quote
from core.portfolio import Portfolio
from core.recovery import Finding, OwnOrder, RebuildRefused, Told, choose_token
from tasks.assemble import limits_of, paper_token, specs_of
from tasks.errors import Busy, Halted, Refused
from tasks.opening import Opened, open_venues, stamp
from tasks.outcome import say
from tasks.paper import PaperVenue
from tasks.publish import DAILY, published_folder
from tasks.publish_orders import NAME as LIVES
from tasks.publish_trades import NAME as TRADES
from tasks.session import Session, fresh_world
from tasks.settings import data_dir as data_dir_of
from tasks.settings import load_portfolio
from tasks.store import open_store
from tasks.store_open import FILE_NAME, StoreBusy, StoreDamaged, StoreError, connect, set_aside
from tasks.venue import KeepsHistory, Venue, VenueError

# How often the account is read anew where trades come in between two readings of it.
READINGS_MAX = 5
BUSY_WAIT_S = 10.0
# The first tick of the new store: its journal says what was rebuilt.
TICK_ID = 1


@dataclass(frozen=True, slots=True)
class Report:
    """What was found and where the new store is. `kept` are the files of the old one, under their new names."""

    token: str
    store: Path
    kept: tuple[Path, ...]
    made: Rebuilt
    told: Told

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was decided or could not be known."""
        return self.made.findings


async def rebuild_store(file: str | Path) -> Report:
    """Rebuild the store of a portfolio; raises `Refused`, `Halted`, `Busy`, and then the old store is as it was."""
    portfolio = load_portfolio(file)
    path = _real(file)
    folder = data_dir_of(portfolio, path)
    if portfolio.mode == "backtest":
        raise Refused("a backtest has no store", key="mode", accepted="paper, demo or live")
    folder.mkdir(parents=True, exist_ok=True)
    with _holding(folder) as (held, aside):
        async with AsyncExitStack() as undo:
            opened = await open_venues(portfolio, path, folder, undo)
            token, told, now = await _read_twice(portfolio, opened)
        specs = specs_of(portfolio, opened.rules, token)
        try:
            limits = limits_of(portfolio)
            made = rebuild(specs, limits, told, now, fresh_world(specs, limits))
        except RebuildRefused as fault:
            raise Halted(str(fault), key="bots") from None
        new = _write(portfolio, folder, token, made, now)
        kept = (*aside, *_put_in_place(folder, new, held))
    return Report(token, folder / FILE_NAME, kept, made, told)


def _real(file: str | Path) -> Path:
    return Path(file).resolve()


@contextmanager
def _holding(folder: Path) -> Iterator[tuple[duckdb.DuckDBPyConnection | None, tuple[Path, ...]]]:
    """Hold the old store, so that nobody trades meanwhile; a damaged one is put aside and there is none to hold."""
    held, aside = None, ()
    if any(folder.glob(f"{FILE_NAME}*")):
        try:
            held = connect(folder, BUSY_WAIT_S) if _is_there(folder) else None
        except StoreBusy as fault:
            raise Busy(str(fault), key="data_dir", accepted="stop that process first") from None
        except StoreDamaged as fault:
            aside = fault.aside
        except StoreError as fault:
            raise Halted(str(fault), key="data_dir") from None
    try:
        yield held, aside
    finally:
        if held is not None:
            held.close()


def _is_there(folder: Path) -> bool:
    return (folder / FILE_NAME).exists() or (folder / f"{FILE_NAME}.wal").exists()


async def _read_twice(portfolio: Portfolio, opened: Opened) -> tuple[str, Told, datetime]:
    """Read all there is, wait until nothing can be on its way any more, and read it again (RULES 4)."""
    quarantine_s = limits_of(portfolio).unknown_quarantine_s
    told, now = await _read(opened)
    if quarantine_s:
        say(f"waits {quarantine_s:g} s: what was on its way to the exchange arrives by then, or never")
        await asyncio.sleep(quarantine_s)
        told, now = await _read(opened)
    try:
        found = choose_token(told, [bot.id for bot in portfolio.bots])
    except RebuildRefused as fault:
        raise Busy(str(fault), key="bots", accepted="one instance") from None
    if portfolio.mode == "paper":
        return paper_token(portfolio.id), told, now
    if found is None:
        raise Refused(
            "the exchange knows no order of these bots: there is nothing to rebuild", key="bots",
            accepted="gridkeeper run, which begins anew",
        )  # fmt: skip
    return found, told, now


async def _read(opened: Opened) -> tuple[Told, datetime]:
    for _ in range(READINGS_MAX):
        try:
            told, now, still = await _read_once(opened)
        except VenueError as fault:
            raise Halted(f"the exchange cannot be read: {fault}", key="venues") from None
        if still:
            return told, now
    raise Halted("trades came in during every reading", key="venues", accepted="another try, in quieter minutes")


async def _read_once(opened: Opened) -> tuple[Told, datetime, bool]:
    # Trades before and after the holdings are the same: then all of it belongs to one moment.
    orders: list[OwnOrder] = []
    trades: list[Fill] = []
    again: list[Fill] = []
    balances: list[BalanceRead] = []
    positions: list[PositionRead] = []
    quotes: list[Quote] = []
    sinces: list[datetime] = []
    now = clock_of(opened.venues.values())
    for venue_id, venue in opened.venues.items():
        symbols = sorted(symbol for name, symbol in opened.rules if name == venue_id)
        if not isinstance(venue, KeepsHistory):
            raise Halted(f"{venue_id} lists no orders that are over", key="venues")
        listed, since = await venue.history(symbols, now)
        sinces += [since] if since is not None else []
        start = since or min((order.created_at for order in listed), default=now)
        orders += listed
        for symbol in symbols:
            trades += await venue.trades(symbol, start, now)
        balances += await venue.balances(now)
        positions += await venue.positions(symbols, now)
        quotes += await venue.quotes(symbols, now)
        for symbol in symbols:
            again += await venue.trades(symbol, start, now)
    told = Told(
        orders=tuple(orders), trades=tuple(trades), balances=tuple(balances), positions=tuple(positions),
        quotes=tuple(quotes), since=min(sinces, default=None),
    )  # fmt: skip
    return told, now, trades == again


def clock_of(venues: Iterable[Venue]) -> datetime:
    """Return the time that is now: the wall clock's, or that of the candles that a paper account has played."""
    times = [venue.now for venue in venues if isinstance(venue, PaperVenue) and venue.in_candle_time]
    known = [at for at in times if at is not None]
    return max(known) if known else Session.clock()


def _write(portfolio: Portfolio, folder: Path, token: str, made: Rebuilt, now: datetime) -> Path:
    """Write the new store beside the old one; returns its folder."""
    place = folder / "rebuild"
    shutil.rmtree(place, ignore_errors=True)
    with open_store(place) as store:
        stamp(store, portfolio, token)
        for number, step in enumerate(made.steps, 1):
            store.commit_step(step, tick_id=TICK_ID, now=now, found=number == len(made.steps))
    return place


def _put_in_place(folder: Path, new: Path, held: duckdb.DuckDBPyConnection | None) -> tuple[Path, ...]:
    """Keep the old store and its published days aside and move the new one in."""
    path = folder / FILE_NAME
    if held is None and path.exists():
        raise Halted(f"{path} appeared while the rebuild ran", key="data_dir", accepted="one instance per data_dir")
    if held is not None:
        held.close()
    kept = [*set_aside(path)]
    mark = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    days = published_folder(folder) / "parquet"
    for table in (*(one.name for one in DAILY), LIVES, TRADES):
        if (days / table).exists():
            # The new store records everything today: its days and the old ones would show every row twice.
            place = folder / f"published.before-rebuild-{mark}" / table
            place.parent.mkdir(parents=True, exist_ok=True)
            (days / table).rename(place)
            kept.append(place)
    os.replace(new / FILE_NAME, path)  # noqa: PTH105  the name of what it does
    shutil.rmtree(new, ignore_errors=True)
    return tuple(kept)
