"""The world that is loaded equals the world that was left, at any moment, for grids of every kind."""

import copy
import random
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.engine import Limits, Place, Step, World, advance
from core.facts import Accepted, Action, BalanceRead, Command, Fact, Fill, Refusal, Refused, Seen, SeenAs, Unanswered
from core.market import Instrument, Quote
from core.orders import Order
from core.working import Work
from tasks.store import Store, open_store
from tasks.store_open import StoreInconsistent
from tests.tasks.store_worlds import INSTRUMENT, START, SYMBOL, grid_spec, new_account, new_world, walk

SWAP = Instrument(
    venue="perp", symbol="BTC/USDT", base="BTC", quote="USDT", tick_size=Decimal("0.1"), lot_step=Decimal("0.001"),
    min_qty=Decimal("0.001"), min_notional=Decimal(5), maker=Decimal("0.0002"), taker=Decimal("0.0005"), swap=True,
)  # fmt: skip
BASE_FEE = Instrument(
    venue="spot", symbol=SYMBOL, base="BTC", quote="USDT", tick_size=Decimal("0.01"), lot_step=Decimal("0.00001"),
    min_qty=Decimal("0.00001"), min_notional=Decimal(5), maker=Decimal("0.001"), taker=Decimal("0.001"),
    fee_in_base=True,
)  # fmt: skip
# Few states need the whole walk; a look at every seventh step visits them all.
LOOK_EVERY = 7

GRIDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "resting": {"initial_inventory": "resting"},
    "none": {"initial_inventory": "none"},
    "bounds": {"activation_bounds": "0.04"},
    "capped": {"max_open_orders": 3, "max_orders_per_batch": 1, "order_frequency": 12},
    "stopped": {"triple_barrier": {"stop_loss": "0.03"}},
    "trailing": {"triple_barrier": {"trailing_stop": {"activation": "0.005", "delta": "0.002"}}},
    "limit": {"limit_price": 19500},
    "kept": {"limit_price": 19800, "keep_position": True},
    "take_profit": {"exit": "take_profit", "triple_barrier": {"take_profit": "0.01"}},
    "geometric": {"spacing": "geometric", "levels": 23},
    "short": {"side": "SELL", "instrument": SWAP},
    "base_fee": {"instrument": BASE_FEE},
    "range trails": {"start_price": 24000, "end_price": 25500, "trailing_up": 30000, "trailing_down": 20000, "reinvest": True},
    "range resets": {
        "start_price": 24500, "end_price": 25500, "on_range_exit": "reset", "max_resets": 2, "trailing_up": 31000,
        "trailing_down": 19000,
    },
    "from fills": {"exit": "take_profit", "exit_from": "fill", "triple_barrier": {"take_profit": "0.01"}},
    "triggered": {"trigger_price": 24500, "activation_bounds": ("0.05", "0.02")},
    "neutral": {"side": "NEUTRAL", "instrument": SWAP, "initial_inventory": "resting"},
}  # fmt: skip


def differences(left: World, loaded: World) -> list[str]:
    """Name what a restart would have forgotten or invented, bot by bot and field by field."""
    found: list[str] = []
    fields = (
        "state", "lots", "mode", "mode_reason", "started_at", "inventory", "cost", "fees_open", "realized",
        "grid_profit", "fees", "funding", "round_trips", "unwind", "episodes", "peak", "live", "exposure", "shown",
    )  # fmt: skip
    for bot_id, bot in left.bots.items():
        other = loaded.bots[bot_id]
        found += [f"{bot_id}.{name}" for name in fields if getattr(bot, name) != getattr(other, name)]
        for name in bot.works.keys() | other.works.keys():
            kept, read = remembered(name, bot.works.get(name)), remembered(name, other.works.get(name))
            if kept != read:
                found.append(f"{bot_id}.works[{name}]: {kept} became {read}")
    for name in ("numbering", "incidents", "suspects", "blocked", "peak"):
        if getattr(left, name) != getattr(loaded, name):
            found.append(f"{name}: {getattr(left, name)} became {getattr(loaded, name)}")
    if {k: v for k, v in left.wallet.items() if v} != {k: v for k, v in loaded.wallet.items() if v}:
        found.append("wallet")
    return found


def remembered(name: str, work: Work | None) -> tuple[Any, ...] | None:
    """What a restart must know of a leg. An unwind's leg is made anew at every look, so only its past counts."""
    if work is None:
        return None
    leg = None if name.startswith("u") else work.leg
    if leg is None and work.order is None and work.next_attempt == 0:
        return None
    return (leg, work.order, work.done, work.next_attempt, work.asked_price if work.order is not None else None)


class Keeper:
    """Commits every step and, now and then, compares the loaded world with the one in memory."""

    def __init__(self, store: Store, look_every: int = LOOK_EVERY) -> None:
        self.store, self.look_every, self.steps = store, look_every, 0

    def __call__(self, step: Step, now: datetime, facts: tuple[Fact, ...] = ()) -> None:
        self.steps += 1
        self.store.commit_step(step, tick_id=self.steps, now=now, facts=facts)
        if self.steps % self.look_every == 0:
            self.look(step.world)

    def look(self, world: World) -> None:
        loaded = self.store.load_world(world.specs, world.limits)
        assert loaded is not None
        assert differences(world, loaded) == [], f"after step {self.steps}"


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_loaded_world_is_the_world_that_was_left(name: str, seed: int, tmp_path: Path) -> None:
    """Grids of every kind are the same after a restart, whenever it comes."""
    options = dict(GRIDS[name])
    instrument = options.pop("instrument", INSTRUMENT)
    world = new_world(grid_spec(instrument=instrument, **options), limits=Limits(max_drawdown=Decimal("0.4")))
    with open_store(tmp_path) as store:
        keeper = Keeper(store)
        world, now = walk(world, new_account(instrument), prices=60, seed=seed, keep=keeper)
        store.commit_tick(tick_row(10_000, now), world)
        keeper.look(world)
        assert keeper.steps > 1


def test_a_run_goes_on_from_the_store_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    """A walk interrupted by ten restarts trades and earns exactly as one that was not."""
    spec = grid_spec(levels=20)
    through, _ = walk(new_world(spec), new_account(), prices=200, seed=5)
    world, account, tick = new_world(spec), new_account(), 0
    chance, price = random.Random(5), 25_000.0
    prices = [price := min(max(price + chance.gauss(0, 400), 19_000), 31_000) for _ in range(200)]
    for part in range(10):
        with open_store(tmp_path) as store:
            world = store.load_world(world.specs, world.limits) or world

            def keep(step: Step, now: datetime, store: Store = store) -> None:
                nonlocal tick
                tick += 1
                store.commit_step(step, tick_id=tick, now=now)

            world = follow(world, account, prices[part * 20 : part * 20 + 20], START + part * 20 * STEP, keep)
    done, expected = world.bots["g1"], through.bots["g1"]
    assert (done.realized, done.fees, done.round_trips) == (expected.realized, expected.fees, expected.round_trips)
    assert done.lots == expected.lots
    assert world.wallet == through.wallet
    assert world.numbering == through.numbering


STEP = timedelta(seconds=5)


def follow(world: World, account: Any, prices: list[float], start: datetime, keep: Any) -> World:
    """Drive a world along given prices."""
    from core.backtest import settle

    for i, price in enumerate(prices):
        account.move(SYMBOL, Decimal(f"{price:.2f}"), start + i * STEP)
        world = settle(world, {account.venue: account}, [(account.venue, SYMBOL)], start + i * STEP, keep)
    return world


def quote(price: str, now: datetime) -> Quote:
    """A quote without a spread."""
    return Quote(venue="spot", symbol=SYMBOL, bid=Decimal(price), ask=Decimal(price), last=Decimal(price), ts=now)


def part_of(order: Order, number: int, qty: Decimal, now: datetime) -> Fill:
    """A trade of an order."""
    return Fill(
        venue="spot", symbol=SYMBOL, trade_id=f"t{number}", client_id=order.client_id, side=order.side,
        price=order.price or Decimal(25_000), qty=qty, fee=Decimal("0.01"), fee_asset="USDT", ts=now, maker=True,
    )  # fmt: skip


def hostile_facts(world: World, chance: random.Random, number: int, now: datetime) -> list[Fact]:
    """What a venue may say of the orders that live: accepted, refused, silence, parts of fills, cancelled by others."""
    facts: list[Fact] = []
    orders = [w.order for w in world.bots["g1"].works.values() if w.order is not None]
    for i, order in enumerate(chance.sample(orders, min(len(orders), 4))):
        left = order.qty - order.traded_qty
        piece = min(left, Decimal("0.03"))
        choices: list[Fact] = [
            Accepted(order.client_id, f"x{order.client_id}", now),
            Unanswered(order.client_id, "time is up", now),
            Seen(order.client_id, f"x{order.client_id}", SeenAs.CANCELED, order.filled_qty, now),
            Seen(order.client_id, f"x{order.client_id}", SeenAs.OPEN, min(order.qty, order.filled_qty + piece), now),
        ]
        if order.filled_qty == 0:
            choices.append(Refused(order.client_id, chance.choice(list(Refusal)), "no", now))
        if left > 0:
            choices += [part_of(order, number * 10 + i, piece, now), part_of(order, number * 10 + i, left, now)]
        facts.append(chance.choice(choices))
    return facts


@pytest.mark.parametrize("seed", range(6))
def test_no_answer_of_a_venue_makes_the_store_forget(seed: int, tmp_path: Path) -> None:
    """Partial fills, silence, refusals, foreign cancels and words of control leave a store that remembers all of it."""
    chance = random.Random(seed)
    world = new_world(grid_spec(levels=6), limits=Limits(max_drawdown=Decimal("0.5")))
    with open_store(tmp_path) as store:
        keeper = Keeper(store, look_every=1)
        price = 25_000.0
        for number in range(60):
            now = START + number * timedelta(seconds=20)
            price = min(max(price + chance.gauss(0, 700), 19_500), 30_500)
            facts = [*hostile_facts(world, chance, number, now), quote(f"{price:.2f}", now)]
            if chance.random() < 0.15:
                word = chance.choice(
                    [Action.PAUSE, Action.RESUME, Action.FLATTEN, Action.HALT, Action.RELEASE, Action.CANCEL]
                )
                facts.append(Command(number, "g1", word, "", "a test", "", now))
            if chance.random() < 0.2:
                facts.append(BalanceRead("spot", "USDT", Decimal(chance.choice([1000, 2000])), now))
            step = advance(world, facts, now)
            world = step.world
            if not step.quiet:
                keeper(step, now, tuple(facts))
            else:
                store.commit_tick(tick_row(10_000 + number, now), world)
        found = {path.stem: rows for path, rows in violations(store)}
        assert found == {}, found


def tick_row(number: int, now: datetime) -> Any:
    """The row of a quiet tick."""
    from tasks.store import TickRow

    return TickRow(tick_id=number, started_at=now, ended_at=now, now=now)


def violations(store: Store) -> list[tuple[Path, list[Any]]]:
    """What the checks find."""
    checks = Path(__file__).parents[2] / "sql" / "checks"
    con = store.reader()
    try:
        found = [(path, con.execute(path.read_text()).fetchall()) for path in sorted(checks.glob("*.sql"))]
    finally:
        con.close()
    return [(path, rows) for path, rows in found if rows]


def test_an_empty_store_has_no_world(tmp_path: Path) -> None:
    """A store in which nothing happened says so, so that the caller starts afresh."""
    with open_store(tmp_path) as store:
        assert store.load_world({"g1": grid_spec()}, Limits()) is None


def test_a_bot_that_the_store_does_not_know_starts_from_nothing(tmp_path: Path) -> None:
    """A bot added to a portfolio begins empty beside the one that was there."""
    with open_store(tmp_path) as store:
        keeper = Keeper(store)
        world, _ = walk(new_world(grid_spec("old")), new_account(), prices=5, keep=keeper)
        loaded = store.load_world({**world.specs, "new": grid_spec("new")}, Limits())
        assert loaded is not None
        assert loaded.bots["new"].state is None
        assert loaded.bots["new"].started_at is None
        assert loaded.bots["old"].state == world.bots["old"].state


def test_a_bot_taken_out_of_the_portfolio_is_named(tmp_path: Path) -> None:
    """Orders and lots of a bot that is gone are never silently left alone."""
    with open_store(tmp_path) as store:
        walk(new_world(grid_spec("old")), new_account(), prices=5, keep=Keeper(store))
        assert store.forgotten_bots(["new"]) == ("old",)
        assert store.forgotten_bots(["old", "new"]) == ()


def test_a_bot_moved_to_another_symbol_is_refused(tmp_path: Path) -> None:
    """Inventory of one symbol is never taken for that of another."""
    with open_store(tmp_path) as store:
        world, _ = walk(new_world(grid_spec()), new_account(), prices=5, keep=Keeper(store))
        spec = world.specs["g1"]
        elsewhere = copy.replace(spec) if hasattr(copy, "replace") else spec
        moved = type(spec)(**{name: getattr(elsewhere, name) for name in spec.__slots__} | {"instrument": SWAP})
        with pytest.raises(StoreInconsistent, match="bot 'g1': the store knows it with venue 'spot'.*says 'perp'"):
            store.load_world({"g1": moved}, Limits())


def test_a_leg_with_two_live_orders_is_refused(tmp_path: Path) -> None:
    """Which of two live orders works a leg is nothing to guess."""
    with open_store(tmp_path) as store:
        world, _ = walk(new_world(grid_spec()), new_account(), prices=1, keep=Keeper(store))
        con = store.reader()
        con.execute(
            "INSERT INTO orders SELECT * REPLACE (client_id || '9' AS client_id, attempt + 1 AS attempt) "
            "FROM orders WHERE status = 'OPEN' LIMIT 1"
        )
        con.close()
        with pytest.raises(StoreInconsistent, match="has two orders that may still trade"):
            store.load_world(world.specs, world.limits)


def test_trades_stored_are_not_booked_again(tmp_path: Path) -> None:
    """A trade that the venue reports again after a restart changes nothing."""
    with open_store(tmp_path) as store:
        fills: list[Fill] = []
        keeper = Keeper(store)

        def keep(step: Step, now: datetime) -> None:
            fills.extend(fill for _, fill in step.fills)
            keeper(step, now)

        world, now = walk(new_world(grid_spec()), new_account(), prices=40, keep=keep)
        loaded = store.load_world(world.specs, world.limits)
        assert loaded is not None
        step = advance(loaded, list(fills), now)
        assert step.fills == ()
        assert step.entries == ()


def test_nothing_is_sent_twice_after_a_restart(tmp_path: Path) -> None:
    """Orders that rest, and orders whose answer never came, are still the only ones of their legs."""
    with open_store(tmp_path) as store:
        world = new_world(grid_spec())
        step = advance(world, [quote("25000", START)], START)
        assert any(isinstance(intent, Place) for intent in step.intents)
        store.commit_step(step, tick_id=1, now=START)
        loaded = store.load_world(world.specs, world.limits)
        assert loaded is not None
        again = advance(loaded, [quote("25000", START + STEP)], START + STEP)
        assert again.intents == ()
