"""What every rolling grid must keep, on random prices, with every option, on spot and on a swap."""

import json
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core.lots import net_qty
from core.machines.rolling_grid.config import RollingGridConfig
from core.machines.rolling_grid.draft import lot_of
from core.machines.rolling_grid.state import Free
from core.market import Instrument, Intrabar
from core.orders import Role, decode
from core.simbook import FillRules
from core.simulation import Account
from core.values import ZERO, exact_product, total
from tests.core.machines.rolling_grid.bots import ready, rolling
from tests.core.worlds import D, Run, account, candles, floating, instrument, random_steps, run, swap, world


def maybe(*values: Any) -> st.SearchStrategy[Any]:
    """Nothing more often than not, else one of the values."""
    return st.none() | st.none() | st.sampled_from(values)


@st.composite
def configs(draw: st.DrawFn, rules: Instrument) -> RollingGridConfig:
    """Bots around 100 whose lots soon get old, with every way to protect and to recover them."""
    sell = rules.swap and draw(st.booleans())
    modes, how = ["aggressive", "ladder", "none"], ["alert", "market"]
    return rolling(
        venue=rules.venue, symbol=rules.symbol, direction="sell" if sell else "buy",
        quantity=draw(st.sampled_from(["0.1", "0.037", "0.011"])), take_profit=draw(st.sampled_from(["0.004", "0.01"])),
        grid_step=draw(st.sampled_from(["0", "0.002", "0.006"])), max_orders=draw(st.integers(1, 6)),
        wait_time=draw(st.sampled_from([0, 60, 200.5])), max_margin=draw(st.sampled_from([100, 1000])),
        leverage=draw(st.sampled_from([1, 3])) if rules.swap else 1,
        stop_loss_enabled=draw(st.booleans()), stop_loss=draw(st.sampled_from(["0.01", "0.05"])),
        position_timeout_minutes=5, stuck_distance=draw(st.sampled_from(["0.006", "0.012"])),
        recovery_mode=draw(st.sampled_from(modes)), recovery_escalation=draw(st.sampled_from(how)),
        recovery_rungs=draw(st.sampled_from([("0.002", "0.004", "0.006"), ("0.003",)])),
        recovery_patience_minutes=draw(st.sampled_from([2, 30])), recovery_escalation_minutes=draw(st.sampled_from([5, 20])),
        recovery_loss_budget=draw(maybe("0.2", "1")), stop_price=draw(maybe("108" if sell else "92")),
        pause_price=draw(maybe("97" if sell else "103")), max_position_size=draw(maybe("0.25")),
        requotes=draw(st.integers(0, 4)), requote_after=draw(st.sampled_from([1, 30])),
        post_only_ticks=draw(st.sampled_from([1, 2, 20])), price_source=draw(maybe("last", "mid", "touch")),
    )  # fmt: skip


@st.composite
def scenes(draw: st.DrawFn) -> tuple[RollingGridConfig, Instrument, FillRules, Any, Intrabar]:
    """A bot, its market's rules, how orders fill, and a walk of up to a hundred candles."""
    fees = {"maker": D(draw(st.sampled_from(["0.0002", "0"]))), "taker": D("0.0005")}
    in_base = draw(st.booleans())
    rules = swap(**fees) if draw(st.booleans()) else instrument(**fees, fee_in_base=in_base)
    fills = FillRules(
        cross=draw(st.booleans()), latency_s=draw(st.sampled_from([0.0, 0.5, 7.0, 70.0])),
        spread=D(draw(st.sampled_from(["0", "0.0004"]))), slippage=D(draw(st.sampled_from(["0", "0.001"]))),
    )  # fmt: skip
    walk = random_steps(
        draw(st.integers(0, 10**6)), draw(st.sampled_from([80, 200, 400])), draw(st.sampled_from([10, 40, 90]))
    )
    return draw(configs(rules)), rules, fills, candles(walk), draw(st.sampled_from(list(Intrabar)))


def play(scene: Any, *, jump: bool = True, at: Account | None = None) -> Run:
    """Run a scene from the start."""
    config, rules, fills, series, intrabar = scene
    return run(
        world(ready(config, rules)), at or account(rules, fills), series, jump=jump, intrabar=intrabar,
        long=config.direction == "buy",
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(scenes())
def test_a_run_with_jumps_equals_one_without(scene: Any) -> None:
    """The wake band is never too wide: whatever is recorded is the same when every bar is looked at (RULES 18c)."""
    assert play(scene).record == play(scene, jump=False).record


@settings(max_examples=60, deadline=None)
@given(scenes())
def test_books_places_and_fills_agree_at_every_step(scene: Any) -> None:
    """Lots = inventory = sum of fills = what the places hold; Δequity = realised + Δfloating - fees; no leg is over-filled."""
    rules = scene[1]
    made = play(scene)
    net: Decimal = ZERO
    for step, _ in made.steps:
        bot = step.world.bots["r"]
        net += total(_moved(fill, rules) for _, fill in step.fills)
        lots = list(bot.lots.values())
        assert bot.inventory == total(lot.qty * lot.side.sign for lot in lots) == net
        if bot.state is not None and not _outstanding(bot):
            assert total(_held(slot) for slot in bot.state.slots) == abs(net)
        assert not [one for one in step.raised if one.kind in {"over_filled", "balance_mismatch"}]
        for work in bot.works.values():
            assert work.leg is None or work.executed <= work.leg.qty or work.leg.role is not Role.ENTRY
    bot = made.result.world.bots["r"]
    # The cash that moved is what was realised, less what is bound in lots, less fees (those in base at their own prices).
    cash = -total(exact_product(fill.price, fill.qty) * fill.side.sign for fill in made.fills)
    paid = total(fill.fee for fill in made.fills if fill.fee_asset == rules.quote)
    assert cash - paid == bot.realized - bot.net_cost - bot.fees
    mark = made.result.world.quotes[rules.market].last
    assert floating([bot], mark) == exact_product(mark, bot.inventory) - bot.net_cost


@settings(max_examples=60, deadline=None)
@given(scenes())
def test_caps_are_never_passed(scene: Any) -> None:
    """Lots and orders that may still fill never pass max_margin x leverage nor max_position_size; one entry is in flight."""
    config, _, _, _, _ = scene
    for step, _ in play(scene).steps:
        bot = step.world.bots["r"]
        assert bot.exposure <= config.max_margin * config.leverage
        if config.max_position_size is not None:
            assert abs(bot.inventory) + bot.live.entry_qty <= config.max_position_size
        wanted = [work.leg for work in bot.works.values() if work.leg is not None]
        assert sum(1 for leg in wanted if leg.role is Role.ENTRY) <= 1
        if bot.state is not None:
            assert sum(1 for slot in bot.state.slots if not isinstance(slot, Free)) <= config.max_orders


@settings(max_examples=40, deadline=None)
@given(scenes())
def test_changes_add_up_to_all_that_is_wanted(scene: Any) -> None:
    """The legs at work are those that the machine lists when it is asked for all of them, and none twice."""
    made = play(scene)
    for step, _ in made.steps:
        bot, spec = step.world.bots["r"], step.world.specs["r"]
        if bot.state is None:
            continue
        wanted = spec.machine.wants(spec.plan, bot.state)
        at_work = {
            n: w.leg for n, w in bot.works.items() if w.leg is not None and w.leg.role in {Role.ENTRY, Role.EXIT}
        }
        assert at_work == wanted
    ids = [order.client_id for step, _ in made.steps for order in step.orders if order.status.name == "PENDING"]
    assert len(ids) == len(set(ids))


def _moved(fill: Any, rules: Instrument) -> Decimal:
    assert decode(fill.client_id) is not None
    return net_qty(fill, rules) * fill.side.sign


def _held(slot: Any) -> Decimal:
    if isinstance(slot, Free):
        return slot.dust
    lot = lot_of(slot)
    return lot.held if lot is not None else getattr(slot, "dust", ZERO)


def _outstanding(bot: Any) -> bool:
    # A lot of an over-fill, or an unwind under way, is nobody's place.
    return bot.unwind is not None or any(name.startswith("over") for name in bot.lots)


@settings(max_examples=40, deadline=None)
@given(scenes())
def test_every_state_stands_up_from_what_the_store_keeps(scene: Any) -> None:
    """A restart in any state, and in any episode of recovery, gives the same state back and wants the same legs."""
    for step, _ in play(scene).steps:
        bot, spec = step.world.bots["r"], step.world.specs["r"]
        if bot.state is None:
            continue
        told = json.loads(json.dumps(spec.machine.head(bot.state)))
        places = {i: spec.machine.place(spec.plan, bot.state, i).data for i in range(spec.places)}
        again = spec.machine.restore(spec.plan, told, json.loads(json.dumps(places), object_hook=_numbered))
        assert again == bot.state
        assert spec.machine.wants(spec.plan, again) == spec.machine.wants(spec.plan, bot.state)


def _numbered(data: dict[str, Any]) -> dict[Any, Any]:
    return {int(name) if name.isdigit() else name: value for name, value in data.items()}
