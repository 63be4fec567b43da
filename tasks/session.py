"""A portfolio at work in this process: its store, its venues, its world; everything that stays warm between ticks."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import yaml

from core.engine import Bot, BotSpec, Cancel, Limits, Place, Step, World
from core.facts import Action, Command, Fact, Trouble
from core.market import Quote
from core.portfolio import Portfolio
from tasks import heartbeat, inbox, publish
from tasks.alerts import Teller
from tasks.feeds import Moment
from tasks.market_news import Told
from tasks.paper import PaperVenue
from tasks.quote_log import QuoteLog
from tasks.roster import Roster
from tasks.store import Store, TickRow
from tasks.targets import TargetNews
from tasks.twin_keep import put_aside
from tasks.venue import Venue

# RULES 19: the published copy is replaced every 30 s and at stop.
PUBLISH_EVERY_S = 30.0
# Rows of `ticks` are history, not state: replayed ticks, hundreds a second, share a commit; a tick of seconds has its own.
FLUSH_EVERY_S = 1.0
# Equity is sampled every minute of a clock, and every quarter of an hour of played candles.
EQUITY_EVERY_S, EQUITY_EVERY_PLAYED_S = 60.0, 900.0


class Session:
    """One portfolio, opened. Made by `tasks.opening`; the tick alone changes it, and never two at a time."""

    def __init__(
        self, portfolio: Portfolio, file: Path, data_dir: Path, store: Store, venues: dict[str, Venue], world: World
    ) -> None:
        """Take over an opened store and venues with the world that was loaded."""
        self.portfolio = portfolio
        self.file = file
        self.data_dir = data_dir
        self.store = store
        self.venues = venues
        self.world = world
        self.symbols: dict[str, list[str]] = {venue: [] for venue in venues}
        for spec in world.specs.values():
            for one in spec.instruments:
                if one.symbol not in self.symbols[one.venue]:
                    self.symbols[one.venue].append(one.symbol)
        self.walked: dict[str, dict[str, datetime]] = {venue: {} for venue in venues}
        self.balanced: dict[str, datetime] = {}
        self.income_read: dict[str, datetime] = {}
        self.told = Told()
        self.priced: dict[str, dict[str, datetime]] = {}
        self.tick_id = store.next_tick_id() - 1
        self._carried: list[Fact] = []
        self._applied: list[int] = []
        # Seconds between the beginnings of the last two ticks; none before the first.
        self.gap_s: float | None = None
        self._started_at = self._now = self.clock()
        self._published_at = 0.0
        self._flushed_at = 0.0
        played = any(isinstance(venue, PaperVenue) and venue.in_candle_time for venue in venues.values())
        self._equity_every = timedelta(seconds=EQUITY_EVERY_PLAYED_S if played else EQUITY_EVERY_S)
        self.quotes = QuoteLog(data_dir)
        self.targets = TargetNews(data_dir)
        self._aside: tuple[date, Portfolio] | None = None
        self.ended_at_close = False
        self.teller: Teller | None = None
        self.roster: Roster | None = None

    @staticmethod
    def clock() -> datetime:
        """Read the wall clock: naive UTC."""
        return datetime.now(UTC).replace(tzinfo=None)

    @property
    def ended(self) -> bool:
        """Whether every price feed is played out, so that no further tick can bring anything."""
        papers = [venue for venue in self.venues.values() if isinstance(venue, PaperVenue)]
        return bool(papers) and all(venue.ended for venue in papers)

    def describe(self) -> str:
        """Say what is about to tick, on what prices, and what of it is configured in vain."""
        papers = [venue for venue in self.venues.values() if isinstance(venue, PaperVenue)]
        prices = "; ".join(venue.label for venue in papers)
        warning = "SYNTHETIC PRICES. " if any(venue.synthetic for venue in papers) else ""
        bots = ", ".join(self.world.specs)
        lines = [
            f"{warning}{self.portfolio.mode} portfolio {self.portfolio.id!r}: {bots}; {prices}; data in {self.data_dir}"
        ]
        lines += [f"warning: bot {spec.bot_id}: {said}" for spec in self.world.specs.values() for said in spec.warnings]
        return "\n".join(lines)

    def words(self) -> dict[str, str]:
        """Return what every published copy says of this portfolio; secrets stay out of it."""
        papers = [venue for venue in self.venues.values() if isinstance(venue, PaperVenue)]
        shown = self.portfolio.model_dump(mode="json", exclude_none=True, exclude_defaults=True, exclude={"alerts"})
        for venue in shown["venues"]:
            for secret in ("api_key", "secret", "password"):
                venue.pop(secret, None)
        shown["bots"] = [
            {"kind": bot.kind, **said} for bot, said in zip(self.portfolio.bots, shown["bots"], strict=True)
        ]
        return {
            "portfolio": self.portfolio.id,
            "mode": self.portfolio.mode,
            "synthetic": "true" if any(venue.synthetic for venue in papers) else "false",
            "prices": "; ".join(venue.label for venue in papers),
            "played": "true" if any(venue.in_candle_time for venue in papers) else "false",
            "leverage": json.dumps({bot.id: bot.leverage for bot in self.portfolio.bots}),
            "config": yaml.safe_dump(shown, sort_keys=False, allow_unicode=True),
        }

    def ticks_left(self) -> int | None:
        """How many ticks the prices will last, where that is known."""
        left = [venue.ticks_left for venue in self.venues.values() if isinstance(venue, PaperVenue)]
        known = [count for count in left if count is not None]
        return max(known) if known and len(known) == len(left) else None

    def begin_tick(self, clock: datetime) -> int:
        """Number the next tick."""
        self.gap_s = (clock - self._started_at).total_seconds() if self.gap_s is not None else 0.0
        self._started_at = clock
        self._now = clock
        if self._aside is None and self._seen_only_once:
            self.publish()  # the state that the twin of this session starts from
        self.tick_id += 1
        return self.tick_id

    async def moments(self, clock: datetime) -> list[Moment]:
        """Ask the paper venues' feeds what happened since the last tick; real venues have no moments but now."""
        found: list[Moment] = []
        for venue in self.venues.values():
            if isinstance(venue, PaperVenue):
                found += await venue.moments(clock)
        return sorted(found, key=lambda moment: moment.at)

    def take(self, moments: Sequence[Moment], clock: datetime) -> datetime:
        """Let paper prices move to moments of one time, or to none; returns the time that is now."""
        if not moments:
            self._now = self._now_without_moment(clock)
            return self._now
        for moment in moments:
            venue = self.venues[moment.venue]
            if isinstance(venue, PaperVenue):
                venue.take(moment)
                if not venue.in_candle_time:
                    self.quotes.keep_moment(moment, self.tick_id)
        self._now = moments[0].at
        return self._now

    def note_quotes(self, venue: Venue, quotes: Sequence[Quote], now: datetime) -> None:
        """Keep what was read of a real venue; a paper venue's prices were kept as it took them."""
        if not isinstance(venue, PaperVenue):
            self.quotes.keep_quotes(quotes, now, self.tick_id)

    @property
    def _seen_only_once(self) -> bool:
        # Prices that nobody could look up again, unlike those of a candle file.
        return any(not isinstance(venue, PaperVenue) or not venue.in_candle_time for venue in self.venues.values())

    def _now_without_moment(self, clock: datetime) -> datetime:
        # Candle time stands still between candles: the wall clock has nothing to say to a played file (RULES 16).
        played = [v.now for v in self.venues.values() if isinstance(v, PaperVenue) and v.in_candle_time]
        times = [at for at in played if at is not None]
        return max(times) if times else clock

    async def commit(self, step: Step, facts: Sequence[Fact], now: datetime) -> None:
        """Store a step and the facts it came from in one transaction; only then does its world become the world."""
        self.store.commit_step(step, tick_id=self.tick_id, now=now, facts=facts)
        self.world = step.world
        self._acknowledge()
        if self.teller is not None and (step.raised or step.resolved):
            self.teller.tell(step.raised, step.resolved, step.world.incidents)

    async def act(self, step: Step, now: datetime) -> list[Fact]:
        """Send a committed step's cancels, then its orders; returns the answers."""
        cancels = [(i.order, self.venues[i.order.venue]) for i in step.intents if isinstance(i, Cancel)]
        places = [(i.order, self.venues[i.order.venue]) for i in step.intents if isinstance(i, Place)]
        answers: list[Fact] = [*await asyncio.gather(*(venue.cancel(order, now) for order, venue in cancels))]
        answers += await asyncio.gather(*(venue.place(order, now) for order, venue in places))
        return answers

    def carry(self, facts: Sequence[Fact]) -> None:
        """Keep facts for the next tick."""
        self._carried.extend(facts)

    def carried(self) -> list[Fact]:
        """Hand over the facts that were kept, once."""
        facts, self._carried = self._carried, []
        return facts

    def commands(self) -> list[Command | Trouble]:
        """Take new words of control from the inbox, in order; they are acknowledged with the step that obeys them."""
        found = inbox.pending(self.data_dir)
        done = self.store.commands_applied([command.command_id for command in found]) if found else frozenset[int]()
        self._applied += [command.command_id for command in found]
        found = [command for command in found if command.command_id not in done]
        known = ", ".join(self.world.specs)
        return [
            command
            if command.bot_id in self.world.specs or command.action is Action.ACKNOWLEDGE
            else Trouble(
                "unknown_bot",
                command.bot_id,
                command.action.value,
                "warning",
                f"control for an unknown bot; bots are {known}",
            )
            for command in found
        ]

    def end_tick(self, *, quiet: bool, rounds: int, placed: int, cancelled: int, fills: int) -> None:
        """Write the tick's one row and, every so often, equity and the published copy."""
        ended = self.clock()
        self.store.note_tick(
            TickRow(
                tick_id=self.tick_id,
                started_at=self._started_at,
                ended_at=ended,
                now=self._now,
                rounds=rounds,
                quiet=quiet,
                orders_placed=placed,
                orders_cancelled=cancelled,
                fills=fills,
            ),
            self.world,
            equity_every=self._equity_every,
        )
        if ended.timestamp() - self._flushed_at >= FLUSH_EVERY_S:
            self.store.flush()
            self.quotes.flush()
            self._flushed_at = ended.timestamp()
            heartbeat.beat(self.data_dir, self.tick_id, ended)
        if ended.timestamp() - self._published_at >= PUBLISH_EVERY_S:
            self.publish()

    def publish(self) -> None:
        """Replace the published copy."""
        self.store.flush()
        self.store.mark(self.world, self._now)
        copy = publish.publish(self.store, self.data_dir)
        self._published_at = self.clock().timestamp()
        where = (self._now.date(), self.portfolio)
        if self._seen_only_once and (self._aside is None or self._aside != where):
            put_aside(copy, self.data_dir, self.tick_id)
            self._aside = where

    async def close(self) -> None:
        """Publish a last time, leave orders resting, release everything."""
        self.ended_at_close = self.ended
        if self.tick_id:
            self.publish()
        for venue in self.venues.values():
            await venue.close()
        self.quotes.close()
        self.store.close()
        if self.teller is not None:
            self.teller.close()

    def _acknowledge(self) -> None:
        if self._applied:
            inbox.applied(self.data_dir, self._applied)
            self._applied = []


def fresh_world(specs: Mapping[str, BotSpec], limits: Limits) -> World:
    """Return the world of a portfolio that has never run."""
    return World(specs=specs, bots={bot_id: Bot(bot_id=bot_id) for bot_id in specs}, limits=limits)
