"""What holds for every ladder on every path: nothing is lost, made up, worked twice, or changed by looking less often."""

from collections import defaultdict
from decimal import Decimal

from hypothesis import given, settings

from core.engine import Place
from core.machines.ladder import machine
from core.orders import Role, decode
from core.values import ZERO, exact_product, total
from tests.core.machines.ladder.ladders import Scenario, scenarios, spec_of
from tests.core.worlds import floating

EXAMPLES = settings(max_examples=60, deadline=None)


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
def test_books_and_equity_agree_to_the_last_digit(scenario: Scenario) -> None:
    """Lots = inventory = Σ fills = the venue's books; Δ equity = realised + Δ floating - fees, without any tolerance."""
    at = scenario.account()
    opening = at.balances["USDT"]
    done = scenario.run(at)
    bot, rules = done.result.world.bots["l"], scenario.rules
    mark = at.prices[rules.symbol]
    traded = total(
        f.qty * f.side.sign - (f.fee if f.fee_asset == rules.base and not rules.swap else ZERO) for f in done.fills
    )
    assert total(lot.qty * lot.side.sign for lot in bot.lots.values()) == traded == bot.inventory
    worth = at.balances["USDT"] - opening
    if rules.swap:
        worth += total(exact_product(s.qty, mark) - s.cost for s in at.swaps.values())
        assert traded == total(s.qty for s in at.swaps.values())
    else:
        worth += exact_product(at.balances.get("BTC", ZERO), mark)
        assert traded == at.balances.get("BTC", ZERO)
    assert worth == bot.realized + floating([bot], mark) - bot.fees


@EXAMPLES
@given(scenarios())
def test_no_trade_is_over_filled_and_no_cap_passed(scenario: Scenario) -> None:
    """Σ executed ≤ the trade's quantity in each cycle, never above its own price, caps kept, exits within what is held."""
    done: defaultdict[str, Decimal] = defaultdict(Decimal)
    plan = spec_of(scenario.config, scenario.rules).plan
    used: set[str] = set()
    for step, _ in scenario.run(jump=False).steps:
        for intent in step.intents:
            if isinstance(intent, Place):
                assert intent.order.client_id not in used
                used.add(intent.order.client_id)
        for _, fill in step.fills:
            leg = decode(fill.client_id)
            assert leg is not None
            trade = plan.trades[leg.place] if leg.role in {Role.ENTRY, Role.EXIT} else None
            done[leg.leg_id] += fill.qty
            if trade is not None and leg.role is Role.ENTRY:
                assert done[leg.leg_id] <= trade.qty
                assert fill.price <= trade.entry_price
            elif trade is not None:
                assert done[leg.leg_id] <= trade.qty
                assert fill.price >= trade.exit_price
        bot = step.world.bots["l"]
        orders = [work.order for work in bot.works.values() if work.order is not None]
        if scenario.config.max_position_size is not None:
            entering = total(order.unbooked for order in orders if order.role is Role.ENTRY)
            assert bot.inventory + entering <= scenario.config.max_position_size
        assert total(order.unbooked for order in orders if order.role.reduces) <= bot.inventory


@EXAMPLES
@given(scenarios())
def test_a_restart_in_any_state_goes_on_as_before(scenario: Scenario) -> None:
    """After every step, what is stored builds the same state, and what it wants is the sum of all changes."""
    ready = spec_of(scenario.config, scenario.rules)
    for step, _ in scenario.run(jump=False).steps:
        bot = step.world.bots["l"]
        if bot.state is None:
            continue
        wanted = {name: w.leg for name, w in bot.works.items() if w.leg is not None and w.leg.role is not Role.UNWIND}
        assert machine.wants(ready.plan, bot.state) == wanted
        places = {i: machine.place(ready.plan, bot.state, i).data for i in range(ready.places)}
        assert machine.restore(ready.plan, machine.head(bot.state), places) == bot.state
