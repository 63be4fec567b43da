"""What holds for every executor whatever the weather: nothing is executed twice, nothing flips, and each comes to its end."""

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core.engine.world import value_of
from core.executors.life import Closed
from core.lots import unrealized
from core.values import ZERO, exact_product, total
from tests.core.executors.bench import Stage, config_of, stage
from tests.core.worlds import D

EXAMPLES = settings(max_examples=60, deadline=None)
BARRIERS = st.fixed_dictionaries(
    {"time_limit": st.sampled_from([60, 200])},
    optional={
        "stop_loss": st.sampled_from(["0.005", "0.02"]), "take_profit": st.sampled_from(["0.004", "0.02"]),
        "trailing_stop": st.just({"activation": "0.004", "delta": "0.002"}),
        "take_profit_order_type": st.sampled_from(["LIMIT", "LIMIT_MAKER", "MARKET"]),
        "stop_loss_order_type": st.sampled_from(["LIMIT", "MARKET"]),
        "time_limit_order_type": st.sampled_from(["LIMIT", "MARKET"]),
    },
)  # fmt: skip


@st.composite
def positions(draw: st.DrawFn) -> Any:
    """Positions of every order type, side and barrier."""
    on_swap = draw(st.booleans())
    barriers = draw(BARRIERS) | {"open_order_type": draw(st.sampled_from(["LIMIT", "LIMIT_MAKER", "MARKET"]))}
    side = draw(st.sampled_from(["BUY", "SELL"])) if on_swap else "BUY"
    price = draw(st.sampled_from([None, 99, 100, 101]))
    bounds = draw(st.sampled_from([None, "0.005", ("0.002", "0.01")])) if price is not None else None
    return config_of(
        "position", on_swap=on_swap, side=side, entry_price=price, amount="0.5", triple_barrier=barriers,
        activation_bounds=bounds,
    )  # fmt: skip


@st.composite
def dcas(draw: st.DrawFn) -> Any:
    """DCAs of both modes and sides."""
    on_swap = draw(st.booleans())
    side = draw(st.sampled_from(["BUY", "SELL"])) if on_swap else "BUY"
    prices = [100, "99.5", 99] if side == "BUY" else [100, "100.5", 101]
    told = draw(BARRIERS)
    told = {
        k: v for k, v in told.items() if k in {"time_limit", "take_profit", "trailing_stop", "take_profit_order_type"}
    }
    stop = draw(st.sampled_from([None, "0.02"]))
    return config_of(
        "dca", on_swap=on_swap, side=side, prices=prices, amounts_quote=[20, 30, 50],
        mode=draw(st.sampled_from(["MAKER", "TAKER"])), stop_loss=stop,
        activation_bounds=draw(st.sampled_from([None, "0.003"])), **told,
    )  # fmt: skip


@st.composite
def twaps(draw: st.DrawFn) -> Any:
    """TWAPs of both modes and sides."""
    maker: dict[str, Any] = {"mode": "MAKER", "limit_order_buffer": draw(st.sampled_from([0, "0.001"]))}
    if draw(st.booleans()):
        maker["order_resubmission_time"] = 7
    return config_of(
        "twap", side=draw(st.sampled_from(["BUY", "SELL"])), total_amount_quote=200, total_duration=120,
        order_interval=draw(st.sampled_from([10, 25])), **draw(st.sampled_from([{}, maker])),
    )  # fmt: skip


@st.composite
def orders(draw: st.DrawFn) -> Any:
    """Orders of every strategy."""
    how = draw(st.sampled_from(["LIMIT", "LIMIT_MAKER", "MARKET", "LIMIT_CHASER"]))
    more: dict[str, Any] = {"price": draw(st.sampled_from([99, 100, 101]))} if how in {"LIMIT", "LIMIT_MAKER"} else {}
    if how == "LIMIT_CHASER":
        more["chaser_config"] = {"distance": draw(st.sampled_from([0, "0.001"])), "refresh_threshold": "0.002"}
    side = draw(st.sampled_from(["BUY", "SELL"]))
    return config_of("order", side=side, amount="0.3", execution_strategy=how, **more)


def play(config: Any, seed: int, ticks: int = 120, **fills: Any) -> Stage:
    """Run a configuration through bad weather on a seeded walk, then let it settle."""
    run = stage(config, seed, rough=True, **fills)
    price = 10_000
    for _ in range(ticks):
        price += run.rng.randint(-15, 15)
        run.tick(D(price) / 100)
    run.calm(D(price) / 100, 60, 10)
    return run


@EXAMPLES
@given(st.one_of(positions(), dcas()), st.integers(0, 10**6))
def test_what_closes_comes_to_its_end_with_nothing_held(config: Any, seed: int) -> None:
    """Position and DCA: time limits are over, so each is TERMINATED, nothing rests, and what is left is below the minimum
    and named by an incident.
    """
    run = play(config, seed)
    assert isinstance(run.machine.life, Closed)
    assert exact_product(abs(run.bot.inventory), run.account.prices[run.symbol]) < D("1.2")  # the minimum is 1
    assert all(work.order is None for work in run.bot.works.values())
    if run.spec.instrument.floor_qty(abs(run.bot.inventory)) > ZERO:
        assert any(one.kind == "executor_residue" for one in run.raised)


@EXAMPLES
@given(st.one_of(twaps(), orders()), st.integers(0, 10**6))
def test_what_holds_executes_no_more_than_asked(config: Any, seed: int) -> None:
    """TWAP and order: what executed is held to the last lot, and never more than was asked for."""
    run = play(config, seed)
    state = run.machine
    assert abs(run.bot.inventory) == state.done
    if config.kind == "order":
        assert state.done <= config.amount
    else:
        assert isinstance(state.life, Closed)
        assert state.spent <= config.total_amount_quote * D("1.01")
    if isinstance(state.life, Closed):
        assert all(work.order is None for work in run.bot.works.values())


@EXAMPLES
@given(st.one_of(positions(), dcas(), twaps(), orders()), st.integers(0, 10**6))
def test_equity_is_conserved(config: Any, seed: int) -> None:
    """The account's change in worth is realised + floating - fees, exactly."""
    run = stage(config, seed, rough=True)
    opening = dict(run.account.balances)
    for _ in range(60):
        run.tick(D(10_000 + run.rng.randint(-150, 150)) / 100)
    about, mark = run.spec.instrument, run.account.prices[run.symbol]
    worth = run.account.balances["USDT"] - opening["USDT"]
    if about.swap:
        swaps = run.account.swaps.values()
        worth += total(exact_product(s.qty, mark) - (s.cost if s.qty > 0 else -s.cost) for s in swaps)
    else:
        worth += exact_product(run.account.balances["BTC"] - opening["BTC"], mark)
    bot = run.bot
    floating = total(unrealized(lot, mark) for lot in bot.lots.values())
    assert worth == bot.realized + floating - bot.fees
    value = value_of(bot, run.spec, run.state.quotes)
    assert value is not None
    assert value[0] == worth


@settings(max_examples=40, deadline=None)
@given(st.one_of(positions(), dcas(), twaps(), orders()), st.integers(0, 10**6))
def test_a_step_inside_the_wake_band_does_nothing(config: Any, seed: int) -> None:
    """The wake contract: a machine that is asked although its band was not left says nothing and stays as it is."""
    from core.engine.bot import machine_due, view_of
    from core.engine.draft import open_draft, thaw

    run = stage(config, seed, rough=True)
    for _ in range(80):
        run.tick(D(10_000 + run.rng.randint(-120, 120)) / 100)
        now = run.now + timedelta(seconds=1)
        price = D(10_000 + run.rng.randint(-120, 120)) / 100
        run.account.jump(run.symbol, price, now)
        quote = run.account.quote(run.symbol, now)
        assert quote is not None
        draft = open_draft(run.state, now)
        bot = thaw(run.bot, run.spec)
        if machine_due(draft, bot, quote):
            continue
        outcome = run.spec.machine.step(run.spec.plan, bot.state, (), view_of(draft, bot, quote))
        assert outcome.state == bot.state
        assert not outcome.notes
        assert not outcome.unwind
        assert all(bot.works[n].leg == leg if n in bot.works else leg is None for n, leg in outcome.wants.items())
