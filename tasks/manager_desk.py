"""Bots worked by hand at one account, without a store and without Prefect: what the notebook faces share.

`tick` is a tick of `gridkeeper run` in small: read, `advance`, write the state down, act, and once more with the answers.
"""

import asyncio
import secrets
import string
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from core.engine import Bot, BotSpec, Cancel, Limits, Place, Step, World, advance
from core.facts import Accepted, Command, Fact, Seen, Trouble
from core.kinds import AnyBot
from core.market import Instrument
from core.orders import decode
from core.reconcile import changed, ours, to_ask, trades_due, trades_since
from tasks.assemble import spec_of
from tasks.manager_logs import Logs
from tasks.manager_state import StateRefused, read_json, world_data, world_of, write_json
from tasks.paper import PaperVenue
from tasks.venue import Venue, VenueError

# RULES 6: up to five rounds in a tick.
ROUNDS_MAX = 5
VERSION = 1
T = TypeVar("T")


class ForeignOrders(RuntimeError):
    """Orders of another manager rest for the same bots: two of them must never work one account's symbol."""


class Desk:
    """One symbol of one account, and the bots that trade it."""

    def __init__(
        self,
        client: Any,
        symbol: str | None = None,
        *,
        state_file: str | Path | None = None,
        results: str | Path = "results",
        max_exposure_quote: Decimal | None = None,
        instrument: Instrument | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        """Take a client over: a venue of this house, or whatever speaks as ccxt does. Nothing is asked of it yet."""
        self.symbol = symbol or _symbol_of(client)
        self.venue = _venue_over(client, self.symbol, instrument)
        self.file = Path(state_file) if state_file is not None else None
        self.logs = Logs(Path(results))
        self.clock = clock or _utc_now
        self.token = "".join(secrets.choice(string.digits + string.ascii_lowercase) for _ in range(4))
        self.configs: dict[str, AnyBot] = {}
        self.world = World(specs={}, bots={}, limits=Limits(max_exposure_quote=max_exposure_quote))
        self.made = 0
        self._rules: Instrument | None = None
        self._walked: dict[str, datetime] = {}
        self._carried: list[Fact] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loaded = False

    @property
    def rules(self) -> Instrument:
        """The trading rules; the client is asked for them once. Raises `VenueError` where it does not tell them."""
        if self._rules is None:
            self._rules = self.run(self._ask_rules())
        return self._rules

    def add(self, config: AnyBot) -> BotSpec:
        """Take a bot on; raises `tasks.errors.Refused` where the exchange's rules do not allow it."""
        spec = spec_of(config, {self.rules.market: self.rules}, self.token, key=config.kind)
        self.configs[config.id] = config
        self.world = _with(self.world, {**self.world.specs, config.id: spec}, {config.id: Bot(bot_id=config.id)})
        return spec

    def name(self, letter: str) -> str:
        """Name the next bot."""
        self.made += 1
        return f"{letter}{self.made}"

    def drop(self, bot_id: str) -> None:
        """Forget a bot that holds nothing and has no order."""
        self.configs.pop(bot_id)
        specs = {name: spec for name, spec in self.world.specs.items() if name != bot_id}
        self.world = _with(self.world, specs, {})

    def command(self, command: Command) -> None:
        """Say a word of control; the next tick obeys it."""
        self._carried.append(command)

    def tick(self) -> dict[str, int]:
        """Tick once; returns counts of orders placed and cancelled and of fills.

        A reading that fails is logged and decides nothing. Raises `ForeignOrders` where another manager is at work, and
        `StateRefused` where `state_file` holds another manager's state that was not loaded.
        """
        if self.file is not None and self.file.exists() and not self._loaded:
            message = (
                f"{self.file} holds the state of an earlier manager: load_from_disk() first, or move the file away"
            )
            raise StateRefused(message)
        self._loaded = True
        return self.run(self._tick())

    async def _tick(self) -> dict[str, int]:
        count = {"placed": 0, "cancelled": 0, "fills": 0}
        if not isinstance(self.venue, PaperVenue):
            await self._look(self.clock(), count)
            return count
        for moment in await self.venue.moments(self.clock()):
            self.venue.take(moment)
            await self._look(moment.at, count)
        return count

    async def _look(self, now: datetime, count: dict[str, int]) -> None:
        facts, self._carried = self._carried, []
        facts += await self._read(now)
        for _ in range(ROUNDS_MAX):
            step = advance(self.world, facts, now)
            self.world = step.world
            self.logs.tell(step, self.world.specs, now)
            count["fills"] += len(step.fills)
            if not step.intents:
                return
            if self.file is not None:
                self.save(self.file)  # client ids are on the disk before anything is sent
            facts = await self._act(step, now, count)
        self._carried = facts

    async def _read(self, now: datetime) -> list[Fact]:
        """Read prices, orders and trades; what was read before a reading failed counts."""
        facts: list[Fact] = []
        venue, symbols, key = self.venue, [self.symbol], self.rules.venue
        try:
            facts += await venue.quotes(symbols, now)
            listed = await venue.open_orders(symbols, now)
            self._refuse_foreign(listed)
            mine = ours(self.world, key)
            seen: list[Seen] = [one for one in listed if one.client_id in mine]
            for order in to_ask(self.world, key, {one.client_id for one in listed}, now):
                answer = await venue.order(order, now)
                if isinstance(answer, Seen):
                    seen.append(answer)
                else:
                    facts.append(answer)
            moved = changed(self.world, key, seen)
            if trades_due(self.world, key, moved, now, walked=self._walked):
                facts += await self._trades(now)
            facts += seen
        except VenueError as fault:
            self.logs.trouble(now, str(fault))
            return [*facts, _unreadable(key, str(fault))]
        if f"venue_unreadable//{key}" in self.world.incidents:
            facts.append(_unreadable(key, "", over=True))
        return facts

    async def _trades(self, now: datetime) -> list[Fact]:
        since = trades_since(self.world, self.rules.venue, self.symbol, now, walked=self._walked.get(self.symbol))
        found = await self.venue.trades(self.symbol, since, now)
        self._walked[self.symbol] = now
        return [*found]

    async def _act(self, step: Step, now: datetime, count: dict[str, int]) -> list[Fact]:
        answers: list[Fact] = []
        for intent in sorted(step.intents, key=lambda one: isinstance(one, Place)):
            order = intent.order
            if isinstance(intent, Cancel):
                count["cancelled"] += 1
                answers.append(await self.venue.cancel(order, now))
            else:
                count["placed"] += 1
                answers.append(await self.venue.place(order, now))
        self.logs.answers(now, answers)
        if any(isinstance(one, Accepted | Seen) and one.executed > 0 for one in answers):
            try:
                answers += await self._trades(now)
            except VenueError as fault:
                self.logs.trouble(now, str(fault))
        return answers

    def _refuse_foreign(self, listed: Sequence[Seen]) -> None:
        for one in listed:
            who = decode(one.client_id)
            if who is not None and who.bot_id in self.configs and who.token != self.token:
                message = f"order {one.client_id} of another manager rests: load its state, or cancel its orders first"
                raise ForeignOrders(message)

    async def _ask_rules(self) -> Instrument:
        await self.venue.start([self.symbol])
        return (await self.venue.instruments([self.symbol]))[self.symbol]

    def save(self, file: Path) -> None:
        """Write everything down, at once."""
        bots = {name: config.model_dump(mode="json", exclude_unset=True) for name, config in self.configs.items()}
        kinds = {name: config.kind for name, config in self.configs.items()}
        write_json(file, {
            "version": VERSION, "symbol": self.symbol, "token": self.token, "made": self.made, "configs": bots,
            "kinds": kinds, "world": world_data(self.world), "closing": self.logs.open_trades(),
        })  # fmt: skip

    def load(self, file: Path, read_bot: Callable[[dict[str, Any]], AnyBot]) -> None:
        """Go on where `save` was called; raises `StateRefused` where the file is another symbol's or version's."""
        data = read_json(file, VERSION)
        if data["symbol"] != self.symbol:
            message = f"{file} is about {data['symbol']}, this manager about {self.symbol}"
            raise StateRefused(message)
        self.token, self.made, self._loaded = data["token"], data["made"], True
        self.configs, self._walked, self._carried = {}, {}, []
        self.world = _with(self.world, {}, {})
        for name, told in data["configs"].items():
            self.add(read_bot({**told, "id": name, "kind": data["kinds"][name]}))
        self.world = world_of(data["world"], self.world)
        self.logs.take_up(data["closing"])
        learn = getattr(self.venue, "know", None)
        if callable(learn):
            learn([work.order for bot in self.world.bots.values() for work in bot.works.values() if work.order])

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Finish a coroutine, on a thread of its own: a notebook has a loop running in the one that calls."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="gridkeeper-desk", daemon=True).start()
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """Release the client's connections; orders stay resting."""
        self.run(self.venue.close())
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop = None


def _with(world: World, specs: dict[str, BotSpec], new: dict[str, Bot]) -> World:
    bots = {name: bot for name, bot in world.bots.items() if name in specs} | new
    return replace(world, specs=specs, bots=bots)


def _utc_now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _unreadable(venue: str, reason: str, *, over: bool = False) -> Trouble:
    return Trouble("venue_unreadable", "", venue, "warning", f"{venue}: {reason}", over)


def _venue_over(client: Any, symbol: str, instrument: Instrument | None) -> Venue:
    if all(callable(getattr(client, name, None)) for name in ("place", "quotes", "open_orders", "instruments")):
        return client
    if not all(callable(getattr(client, name, None)) for name in ("create_order", "fetch_ticker", "fetch_open_orders")):
        message = (
            f"client: {type(client).__name__} is neither a ccxt exchange nor a venue; PaperClient is one without keys"
        )
        raise TypeError(message)
    from tasks.manager_client import ClientVenue  # imports ccxt, which takes a second

    return ClientVenue(client, symbol, instrument)


def _symbol_of(client: Any) -> str:
    told = getattr(client, "symbol", None)
    feeds = getattr(client, "feeds", None)
    if isinstance(told, str) and told:
        return told
    return next(iter(feeds)) if feeds else "BTC/USDT"
