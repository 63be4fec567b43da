"""What holds for every grid on every path: nothing is lost, made up, worked twice, or changed by looking less often."""

from collections import defaultdict
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from hypothesis import given, settings

from core.engine import Bot, Place, Step, advance
from core.engine.world import live_of
from core.facts import Fact, Fill, Seen
from core.machine import Wake
from core.machines.grid import machine
from core.market import path, path_times
from core.orders import Order, Role, client_id, decode
from core.simulation import Account
from core.values import ZERO, exact_product, total
from tests.core.grids import Scenario, scenarios
from tests.core.worlds import Run, floating, spec, world

AT_ONCE = Wake(deadline=datetime(1970, 1, 1))
EXAMPLES = settings(max_examples=150)


@EXAMPLES
@given(scenarios())
def test_skipping_bars_changes_nothing(scenario: Scenario) -> None:
    """The wake contract: with and without jumps a run has the identical journal, orders, fills, ledger and levels."""
    jumped, walked = scenario.run(jump=True), scenario.run(jump=False)
    seen = jumped.record
    for kind, rows in walked.record.items():
        assert seen[kind] == rows, kind
    assert jumped.result.visited <= walked.result.visited


@EXAMPLES
@given(scenarios())
def test_a_run_repeats_itself(scenario: Scenario) -> None:
    """The same input gives the same output, row by row, and the same world."""
    one, two = scenario.run(), scenario.run()
    assert one.record == two.record
    assert one.result.world == two.result.world


@EXAMPLES
@given(scenarios())
def test_books_agree_to_the_last_digit(scenario: Scenario) -> None:
    """Lots, inventory, fills, ledger and the venue's own books say the same, without any tolerance."""
    at = scenario.account()
    opening = dict(at.balances)
    done = scenario.run(at)
    bot = done.result.world.bots["g"]
    base = scenario.rules.base
    position = at.swaps[scenario.rules.symbol].qty if scenario.rules.symbol in at.swaps else ZERO
    if not scenario.rules.swap:
        position = at.balances.get(base, ZERO)
        # What a fee in base takes is part of no fill.
        assert total(f.qty * f.side.sign - (f.fee if f.fee_asset == base else ZERO) for f in done.fills) == position
    else:
        assert total(f.qty * f.side.sign for f in done.fills) == position
    assert total(lot.qty * lot.side.sign for lot in bot.lots.values()) == position == bot.inventory
    assert total(lot.cost for lot in bot.lots.values()) == bot.cost
    for asset in {*at.balances, *opening}:
        moved = at.balances.get(asset, ZERO) - opening.get(asset, ZERO)
        assert done.result.world.wallet.get((at.venue, asset), ZERO) == moved


@EXAMPLES
@given(scenarios())
def test_equity_is_conserved(scenario: Scenario) -> None:
    """The account's change in worth is realised + floating - fees, exactly, whatever the fees are paid in."""
    at = scenario.account()
    opening = at.balances["USDT"]
    done = scenario.run(at)
    bot, mark = done.result.world.bots["g"], at.prices[scenario.rules.symbol]
    worth = at.balances["USDT"] - opening
    if scenario.rules.swap:
        worth += total(exact_product(s.qty, mark) - (s.cost if s.qty > 0 else -s.cost) for s in at.swaps.values())
    else:
        worth += exact_product(at.balances.get("BTC", ZERO), mark)
    assert worth == bot.realized + floating([bot], mark) - bot.fees


@EXAMPLES
@given(scenarios())
def test_no_leg_is_over_filled_and_no_cap_passed(scenario: Scenario) -> None:
    """After every step: Σ executed ≤ leg, each client id once, entries within every cap, exits within the inventory."""
    used: dict[str, Order] = {}
    done: defaultdict[str, Decimal] = defaultdict(Decimal)
    ready = spec(scenario.config, scenario.rules)
    for step, _ in scenario.run(jump=False).steps:
        for intent in step.intents:
            if isinstance(intent, Place):
                order = intent.order
                assert order.client_id not in used
                used[order.client_id] = order
                assert scenario.rules.objection(order.price or Decimal(100), order.qty) is None
                within_exposure(scenario, step)
        for _, fill in step.fills:
            leg = decode(fill.client_id)
            assert leg is not None
            done[leg.leg_id] += fill.qty
            if leg.role is Role.ENTRY:
                # Reinvested profit may have grown the size of a cycle, and the first price decides the sizes of an infinite
                # grid: never beyond what the first order asked for.
                first = used[client_id("g", "test", leg.leg_id, 0)]
                sized = scenario.config.reinvest or scenario.config.infinite
                assert done[leg.leg_id] <= (first.qty if sized else ready.plan.lines[leg.place].qty)
        within_caps(scenario, step.world.bots["g"])


def within_caps(scenario: Scenario, bot: Bot) -> None:
    """Hold the caps of a bot against its books: what is on its way counts as done."""
    orders = [work.order for work in bot.works.values() if work.order is not None]
    entries = [order for order in orders if order.role is Role.ENTRY]
    config = scenario.config
    if config.max_open_orders is not None:
        assert len([order for order in entries if order.live]) <= config.max_open_orders
    if config.max_position_size is not None:
        assert abs(bot.inventory) + total(order.unbooked for order in entries) <= config.max_position_size
    leaving = total(order.unbooked for order in orders if order.role.reduces)
    assert leaving <= abs(bot.inventory)


def within_exposure(scenario: Scenario, step: Step) -> None:
    """After an entry was let through, cost and live entries together stay within the account's cap."""
    most = scenario.limits.max_exposure_quote
    # A short that fills better than asked has a higher cost than its order: only what the order asked can be capped.
    if most is None or scenario.config.side != "BUY":
        return
    bot = step.world.bots["g"]
    live = [w.order for w in bot.works.values() if w.order is not None and w.order.role is Role.ENTRY]
    assert bot.cost + total(exact_product(o.price or ZERO, o.unbooked) for o in live) <= most


@EXAMPLES
@given(scenarios())
def test_what_is_wanted_is_the_sum_of_all_changes(scenario: Scenario) -> None:
    """A machine returns changes only; summed up they are what it lists in full, and what a restart would list."""
    ready = spec(scenario.config, scenario.rules)
    for step, _ in scenario.run(jump=False).steps:
        bot = step.world.bots["g"]
        if bot.state is None:
            continue
        wanted = {name: w.leg for name, w in bot.works.items() if w.leg is not None and w.leg.role is not Role.UNWIND}
        assert machine.wants(ready.plan, bot.state) == wanted
        assert bot.live == live_of(bot.works)
        places = {i: machine.place(ready.plan, bot.state, i).data for i in range(ready.places)}
        assert machine.restore(ready.plan, machine.head(bot.state), places) == bot.state


def walk(scenario: Scenario, *, echo: bool = False, awake: bool = False) -> tuple[Run, Account]:
    """Run a scenario point by point.

    With `echo` every fact is told twice, and old trades and lists again; with `awake` every machine is asked every time.
    """
    at, now_world = scenario.account(), world(spec(scenario.config, scenario.rules), limits=scenario.limits)
    symbol, series = scenario.rules.symbol, scenario.series
    steps: list[tuple[Step, datetime]] = []
    old: list[Fact] = []
    for index in range(len(series)):
        candle = series.bar(index)
        points = path(candle, scenario.intrabar, long=scenario.config.side != "SELL")
        for price, now in zip(points, path_times(candle.ts, 60), strict=True):
            at.move(symbol, price, now)
            quote = at.quote(symbol, now)
            facts: list[Fact] = [*at.news(now), *([quote] if quote is not None else [])]
            for _ in range(64):
                heard = [*old[-6:], *facts, *facts] if echo else facts
                if awake:
                    bots = {n: replace(b, wake=AT_ONCE, machine_wake=AT_ONCE) for n, b in now_world.bots.items()}
                    now_world = replace(now_world, bots=bots)
                step = advance(now_world, heard, now)
                now_world = step.world
                old += [fact for fact in facts if isinstance(fact, Fill | Seen)]
                steps.append((step, now))
                if not step.intents:
                    break
                answers = [
                    at.place(i.order, now) if isinstance(i, Place) else at.cancel(i.order.client_id, now)
                    for i in step.intents
                ]
                facts = [*(answer for answer in answers if answer is not None), *at.news(now)]
    return Run(None, steps), at  # type: ignore[arg-type]


@settings(max_examples=80)
@given(scenarios())
def test_facts_that_repeat_change_nothing(scenario: Scenario) -> None:
    """Every fact told twice, and old trades and reports told again, make no difference to anything that is stored."""
    told, once = walk(scenario, echo=True)[0].record, walk(scenario)[0].record
    for kind, rows in once.items():
        assert told[kind] == rows, kind


@settings(max_examples=80)
@given(scenarios())
def test_whoever_is_asked_in_vain_does_nothing(scenario: Scenario) -> None:
    """The wake contract at its root: asking every machine at every price finds nothing that its band had hidden."""
    always, when_due = walk(scenario, awake=True)[0].record, walk(scenario)[0].record
    for kind, rows in when_due.items():
        assert always[kind] == rows, kind


@settings(max_examples=60)
@given(scenarios())
def test_a_driver_of_ones_own_gives_the_same_run(scenario: Scenario) -> None:
    """The backtest adds nothing to the engine: point by point by hand, the rows are the same."""
    assert walk(scenario)[0].record == scenario.run(jump=False).record
