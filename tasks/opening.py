"""Opens a portfolio: settings, trading rules, store, venues and world, in the order in which each may refuse."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from core.engine import BotSpec
from core.market import Instrument, Market
from core.portfolio import Portfolio, VenueConfig
from tasks import alerts, roster
from tasks.assemble import (
    candle_feeds,
    fill_rules,
    instruments_of,
    limits_of,
    live_feed,
    opening_of,
    paper_token,
    specs_of,
    synthetic_feed,
)
from tasks.errors import Busy, Halted, Refused
from tasks.feeds import Feed
from tasks.migrations import MigrationRefused
from tasks.paper import PaperVenue
from tasks.real_venues import open_accounts, recall_orders, refuse_other_stores, symbols_at
from tasks.session import Session, fresh_world
from tasks.settings import data_dir as data_dir_of
from tasks.settings import load_portfolio
from tasks.store import Store, open_store
from tasks.store_open import PlanChanged, StampMismatch, StoreBusy, StoreError
from tasks.venue import ConfigRefused, Venue

# How long `feed: auto` waits for an exchange before it takes synthetic prices.
PROBE_TIMEOUT_S = 4.0

_open: dict[str, Session] = {}


async def session_for(file: str | Path) -> Session:
    """Return this process' session of a portfolio, opened on first use; raises `Refused`, `Busy`, `Halted`."""
    key = str(_real(file))
    if key not in _open:
        _open[key] = await open_session(key)
    return _open[key]


def open_one(file: str | Path) -> Session | None:
    """Return this process' session of a portfolio where it is open; opens none."""
    return _open.get(str(_real(file)))


async def close_sessions() -> None:
    """Close every session of this process; orders stay resting."""
    while _open:
        await _open.popitem()[1].close()


async def open_session(file: str | Path) -> Session:
    """Open a portfolio. Nothing is written before everything that can be refused has passed."""
    portfolio = load_portfolio(file)
    alerts.check(portfolio.alerts)
    path = _real(file)
    folder = data_dir_of(portfolio, path)
    if portfolio.mode == "backtest":
        raise Refused(
            "backtest mode does not tick", key="mode", accepted="paper, demo or live; or `gridkeeper backtest`"
        )
    opening = _open_paper if portfolio.mode == "paper" else _open_real
    joined, gone = roster.join(portfolio, folder)
    session = await opening(joined, path, folder)
    session.roster = roster.Roster(
        path, folder, gone, created=roster.created_in(folder) - {bot.id for bot in portfolio.bots}
    )
    if portfolio.alerts.urls:
        session.teller = alerts.Teller(folder, portfolio.id, portfolio.alerts, session.world.incidents)
    return session


async def _open_paper(portfolio: Portfolio, path: Path, folder: Path) -> Session:
    kinds = await _choose_feeds(portfolio, folder)
    stored = stored_rules(folder)
    rules = instruments_of(portfolio, {v: kind.rules for v, kind in kinds.items()}, stored)
    specs = specs_of(portfolio, rules, paper_token(portfolio.id))
    epoch = _epoch(folder)
    played = candle_feeds(portfolio, path, epoch) if any(k.kind == "candles" for k in kinds.values()) else {}
    feeds = {v.id: _feeds(portfolio, played, v, kinds[v.id], rules, epoch) for v in portfolio.venues}
    with _told_apart(), ExitStack() as undo:
        store = open_store(folder)
        undo.callback(store.close)
        stamp(store, portfolio)
        _remember_choices(folder, kinds, rules, epoch)
        venues: dict[str, Venue] = {
            v.id: _paper_venue(portfolio, v, folder, specs, feeds[v.id], kinds[v.id].kind)
            for v in portfolio.venues
            if feeds[v.id]
        }
        _refuse_orphans(store, venues)
        session = _session(portfolio, path, folder, store, venues, specs)
        undo.pop_all()
    return session


@dataclass(frozen=True, slots=True)
class Opened:
    """The accounts of a portfolio, opened without a store, and the trading rules of every (venue, symbol)."""

    venues: Mapping[str, Venue]
    rules: Mapping[tuple[str, str], Instrument]


async def open_venues(portfolio: Portfolio, path: Path, folder: Path, undo: AsyncExitStack) -> Opened:
    """Open the accounts alone, for a rebuild of the store; `undo` closes them."""
    if portfolio.mode != "paper":
        real = await open_accounts(portfolio, undo)
        told = {
            name: await venue.instruments(symbols_at(portfolio, portfolio.venue(name))) for name, venue in real.items()
        }
        return Opened(real, instruments_of(portfolio, told, stored_rules(folder)))
    kinds = await _choose_feeds(portfolio, folder)
    rules = instruments_of(portfolio, {v: kind.rules for v, kind in kinds.items()}, stored_rules(folder))
    specs = specs_of(portfolio, rules, paper_token(portfolio.id))
    epoch = _epoch(folder)
    played = candle_feeds(portfolio, path, epoch) if any(k.kind == "candles" for k in kinds.values()) else {}
    feeds = {v.id: _feeds(portfolio, played, v, kinds[v.id], rules, epoch) for v in portfolio.venues}
    papers: dict[str, Venue] = {}
    for venue in portfolio.venues:
        if feeds[venue.id]:
            paper = _paper_venue(portfolio, venue, folder, specs, feeds[venue.id], kinds[venue.id].kind)
            undo.push_async_callback(paper.close)
            papers[venue.id] = paper
    return Opened(papers, rules)


def _refuse_orphans(store: Store, venues: Mapping[str, Venue]) -> None:
    # A store that has never ticked beside an account that has traded: the store was lost, and its orders would be orphans.
    for venue in venues.values():
        if isinstance(venue, PaperVenue) and store.next_tick_id() == 1 and venue.account.orders:
            raise Halted(
                f"the paper account of {venue.id} has {len(venue.account.orders)} open orders of a store that is gone",
                key="data_dir",
                accepted="`gridkeeper rebuild`, the store from a backup, or the folder paper removed to open a new account",
            )


async def _open_real(portfolio: Portfolio, path: Path, folder: Path) -> Session:
    async with AsyncExitStack() as undo:
        venues = await open_accounts(portfolio, undo)
        symbols = {v.id: symbols_at(portfolio, v) for v in portfolio.venues}
        exchange = {name: await venue.instruments(symbols[name]) for name, venue in venues.items()}
        rules = instruments_of(portfolio, exchange, stored_rules(folder))
        specs_of(portfolio, rules, paper_token(portfolio.id))  # refuses before anything is written
        with _told_apart():
            store = open_store(folder)
            undo.callback(store.close)
            specs = specs_of(portfolio, rules, stamp(store, portfolio))
            new = store.next_tick_id() == 1
            await refuse_other_stores(venues, symbols, specs.values(), Session.clock(), new=new)
            _remember_choices(folder, {}, rules, _epoch(folder))
            session = _session(portfolio, path, folder, store, venues, specs)
            recall_orders(venues, store)
        undo.pop_all()
    return session


def _session(
    portfolio: Portfolio,
    path: Path,
    folder: Path,
    store: Store,
    venues: dict[str, Venue],
    specs: dict[str, BotSpec],
) -> Session:
    limits = limits_of(portfolio)
    world = store.load_world(specs, limits) or fresh_world(specs, limits)
    session = Session(portfolio, path, folder, store, venues, world)
    store.remember(session.words())
    return session


def _real(file: str | Path) -> Path:
    return Path(file).resolve()


@contextmanager
def _told_apart() -> Iterator[None]:
    """Turn what a store refuses into the errors that a command ends with."""
    try:
        yield
    except StoreBusy as fault:
        raise Busy(str(fault), key="data_dir", accepted="one instance per data_dir") from None
    except (StampMismatch, MigrationRefused) as fault:
        accepted = "a data_dir of its own for each mode, account, portfolio and version"
        raise Refused(str(fault), key="data_dir", accepted=accepted) from None
    except PlanChanged as fault:
        raise Refused(str(fault), key="bots", accepted="the values with which the bot has been trading") from None
    except StoreError as fault:
        raise Halted(str(fault), key="data_dir") from None


@dataclass(slots=True)
class FeedChoice:
    """What a venue's prices come from, with the source and the trading rules where an exchange answered."""

    kind: str
    source: object | None
    rules: Mapping[str, Instrument]


async def _choose_feeds(portfolio: Portfolio, folder: Path) -> dict[str, FeedChoice]:
    kind = portfolio.feed.kind
    kept = _choices(folder).get("feeds", {})
    chosen: dict[str, FeedChoice] = {}
    for venue in portfolio.venues:
        wanted = kept.get(venue.id, kind) if kind == "auto" else kind
        chosen[venue.id] = await _choose_feed(portfolio, venue, wanted)
    return chosen


async def _choose_feed(portfolio: Portfolio, venue: VenueConfig, wanted: str) -> FeedChoice:
    if wanted not in {"auto", "live"}:
        return FeedChoice(wanted, None, {})
    from tasks.live_feed import LivePrices  # imports ccxt, which takes a second

    symbols = sorted({symbol for bot in portfolio.bots for name, symbol in bot.markets() if name == venue.id})
    source: LivePrices | None = None
    try:
        source = LivePrices(venue.exchange, venue.market, venue.api_url, venue.id)
        if await source.probe(PROBE_TIMEOUT_S):
            await source.start(symbols)
            return FeedChoice("live", source, await source.instruments(symbols, venue.id))
    except ConfigRefused as fault:
        if source is not None:
            await source.close()
        raise Refused(fault.reason, key=f"venues[{portfolio.venues.index(venue)}].{fault.key}") from None
    await source.close()
    if wanted == "live":
        raise Refused(
            f"{venue.exchange} does not answer within {PROBE_TIMEOUT_S:g} s", key="feed.kind",
            accepted="auto, synthetic, candles, or a reachable exchange",
        )  # fmt: skip
    return FeedChoice("synthetic", None, {})


def _feeds(
    portfolio: Portfolio,
    played: Mapping[Market, Feed],
    venue: VenueConfig,
    choice: FeedChoice,
    rules: Mapping[tuple[str, str], Instrument],
    epoch: datetime,
) -> dict[str, Feed]:
    feeds: dict[str, Feed] = {}
    for bot in portfolio.bots:
        for market in bot.markets():
            symbol = market[1]
            if market[0] != venue.id or symbol in feeds:
                continue
            if choice.kind == "candles":
                feeds[symbol] = played[market]
            elif choice.kind == "live":
                feeds[symbol] = live_feed(choice.source, symbol, venue.exchange)
            else:
                feeds[symbol] = synthetic_feed(portfolio, rules[market], epoch)
    return feeds


def _paper_venue(
    portfolio: Portfolio,
    venue: VenueConfig,
    folder: Path,
    specs: Mapping[str, BotSpec],
    feeds: dict[str, Feed],
    kind: str,
) -> PaperVenue:
    mine = [one for spec in specs.values() for one in spec.instruments if one.venue == venue.id]
    leverage = max((b.leverage for b in portfolio.bots if venue.id in dict(b.markets())), default=1)
    return PaperVenue(
        venue.id, folder / "paper" / f"{venue.id}.sqlite", {one.symbol: one for one in mine}, feeds,
        fill_rules(portfolio.feed, kind), opening_of(venue, specs), leverage,
    )  # fmt: skip


def stamp(store: Store, portfolio: Portfolio, token: str | None = None) -> str:
    """Mark a store as this portfolio's, or check that it is; `token` is taken over from a store that was lost."""
    keys = [v.api_key.get_secret_value() for v in portfolio.venues if v.api_key is not None]
    return store.stamp(
        mode=portfolio.mode,
        exchanges=[f"{v.id}={v.exchange}/{v.market}" for v in portfolio.venues],
        account=hashlib.sha256("\n".join(keys).encode()).hexdigest()[:16] if keys and portfolio.mode != "paper" else "",
        portfolio=portfolio.id,
        token=paper_token(portfolio.id) if portfolio.mode == "paper" else token,
    )


def _choices(folder: Path) -> dict:
    file = folder / "paper" / "choices.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def _epoch(folder: Path) -> datetime:
    kept = _choices(folder).get("epoch")
    return datetime.fromisoformat(kept) if kept else datetime.now(UTC).replace(tzinfo=None)


def stored_rules(folder: Path) -> dict[str, dict[str, Instrument]]:
    """Read the trading rules that an exchange last told, by venue and symbol."""
    found: dict[str, dict[str, Instrument]] = {}
    for row in _choices(folder).get("instruments", []):
        numbers = {
            k: Decimal(row[k])
            for k in ("tick_size", "lot_step", "min_qty", "min_notional", "maker", "taker", "contract_size")
        }
        one = Instrument(**{**row, **numbers, "source": "the last rules stored"})
        found.setdefault(one.venue, {})[one.symbol] = one
    return found


def _remember_choices(
    folder: Path, kinds: Mapping[str, FeedChoice], rules: Mapping[tuple[str, str], Instrument], epoch: datetime
) -> None:
    # `feed: auto` is decided at the first start and kept (RULES 16); rules that an exchange told serve when it is away.
    told = [asdict(rule) for rule in rules.values() if rule.source not in {"built in", "the portfolio file"}]
    words = {"feeds": {v: c.kind for v, c in kinds.items()}, "epoch": epoch.isoformat(), "instruments": told}
    file = folder / "paper" / "choices.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.write_text(json.dumps(words, default=str, indent=1), encoding="utf-8")
    new.replace(file)
