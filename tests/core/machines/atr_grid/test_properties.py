"""What holds for every ATR grid on every path: equity, books, the short's bound, and that looking less often changes nothing."""

from collections import defaultdict
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core.engine import Limits, Place
from core.lots import unrealized
from core.market import Intrabar
from core.orders import Role, decode
from core.series import ts_to_ms
from core.simbook import FillRules
from core.values import ZERO, exact_product, total
from tests.core.machines.atr_grid.bots import BAR_S, PERP, SPOT, Play, config, rules, walk, worth
from tests.core.worlds import SWAP, SYMBOL, T0, D, Run

EXAMPLES = settings(max_examples=25, deadline=None)


@st.composite
def plays(draw: st.DrawFn) -> Play:
    """Runs of some hundred candles, of every option, with fees, funding, latency, basis and thin accounts."""
    told = config(
        levels=draw(st.sampled_from([2, 3, 5, 8])),
        atr_multiplier=draw(st.sampled_from(["0.5", "1", "2"])),
        atr_smoothing=draw(st.sampled_from(["sma", "wilder"])),
        allow_loss_sale=draw(st.booleans()),
        down_sale=draw(st.sampled_from([0, "0.5"])),
        adjust_cooldown_bars=draw(st.sampled_from([2, 24])),
        recenter_cooldown_bars=draw(st.sampled_from([2, 24])),
        order_size_quote=draw(st.sampled_from([None, 300])),
        max_drawdown=draw(st.sampled_from([None, None, "0.05"])),
        hedge=draw(HEDGES),
    )
    maker, taker = draw(st.sampled_from([("0.0002", "0.0005"), ("0", "0"), ("0.001", "0.001")]))
    in_base = draw(st.booleans())
    about = rules(maker=D(maker), taker=D(taker))
    about[SPOT] = type(about[SPOT])(**{**_fields(about[SPOT]), "fee_in_base": in_base})
    return Play(
        told, walk(draw(st.integers(0, 10**6)), draw(st.sampled_from([120, 240])), draw(st.sampled_from([20, 40, 90]))),
        shifts=draw(st.sampled_from([(D(0),), (D("0.1"), D("-0.2"), D("0.05")), (D(-1),)])), about=about,
        fills=FillRules(
            cross=draw(st.booleans()), latency_s=draw(st.sampled_from([0.0, 6.0, 50.0])),
            spread=D(draw(st.sampled_from(["0", "0.0004"]))), slippage=D(draw(st.sampled_from(["0", "0.001"]))),
        ),
        limits=Limits(max_exposure_quote=draw(st.sampled_from([None, None, D(2000)]))),
        rates=[(ts_to_ms(T0) + i * 3_600_000, D(rate), 3600.0) for i, rate in enumerate(["0.001", "-0.002", "0.0005"], 1)],
        intrabar=draw(st.sampled_from(list(Intrabar))),
        opening=draw(st.sampled_from([{}, {}, {"perp": 900}, {"spot": 2500}])),
    )  # fmt: skip


HEDGES = st.fixed_dictionaries(
    {},
    optional={
        "cooldown_bars": st.sampled_from([1, 4]), "break_atr": st.sampled_from([0, 1]), "deadband": st.sampled_from([0, "0.1"]),
        "max_loss": st.sampled_from([0, "0.01"]), "cost_multiple": st.sampled_from([0, 3]),
        "recovery_from": st.sampled_from(["0.06", "0.15"]), "deadline_s": st.sampled_from([30, 120]),
        "enabled": st.sampled_from([True, True, True, False]),
    },
)  # fmt: skip


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


@EXAMPLES
@given(plays())
def test_equity_changes_by_what_is_booked_and_nothing_else(play: Play) -> None:
    """Δ equity = realised + Δ floating - fees + funding over both markets, to the last digit, at the end of every bar."""
    _, at = play.open()
    opening = worth_at_start(play)
    done = play.run(at=at)
    bot = done.result.world.bots["a"]
    marks = {SPOT: at["spot"].prices[SYMBOL]} | ({PERP: at["perp"].prices[SWAP]} if "perp" in at else {})
    floating = total(unrealized(lot, marks[lot.venue, lot.symbol]) for lot in bot.lots.values())
    assert worth(at, play.told) - opening == bot.realized + floating - bot.fees + bot.funding


def worth_at_start(play: Play) -> Decimal:
    """What was in the accounts before the first bar."""
    return total(D(play.opening.get(venue, 100_000)) for venue, _ in play.told.markets())


@EXAMPLES
@given(plays())
def test_skipping_bars_changes_nothing(play: Play) -> None:
    """The wake contract: with and without jumps a run has the identical journal, orders, fills, ledger and levels."""
    jumped, walked = play.run(jump=True).record, play.run(jump=False).record
    for kind, rows in walked.items():
        assert jumped[kind] == rows, kind


@EXAMPLES
@given(plays())
def test_books_and_machine_agree(play: Play) -> None:
    """Lots are the fills, the levels hold the spot lots, the hedge's legs are the short, in every step."""
    done = play.run()
    sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for step, _ in done.steps:
        for _, fill in step.fills:
            base_fee = fill.fee if fill.fee_asset == "BTC" else ZERO
            sums[fill.venue, fill.symbol] += fill.qty * fill.side.sign - base_fee
        bot = step.world.bots["a"]
        assert bot.inventory == sums[SPOT]
        assert total(one.inventory for one in bot.beside.values()) == sums[PERP]
        if bot.state is None:
            continue
        held = total(getattr(level, "held", ZERO) for level in bot.state.levels)
        # What is below a lot step stays behind where a level starts over.
        assert ZERO <= bot.inventory - held < D("0.001") * len(bot.state.levels) * (1 + bot.round_trips)
        hedge = bot.state.short
        assert (
            total(one.inventory for one in bot.beside.values()) <= hedge.bought - hedge.sold + ZERO or hedge.cycle > 0
        )


@EXAMPLES
@given(plays())
def test_the_short_never_outgrows_the_bag(play: Play) -> None:
    """A hedge is sold for a bag that is there: no order goes out that would make the short larger than it."""
    done = play.run()
    for step, _ in done.steps:
        bot = step.world.bots["a"]
        live = [work.order for work in bot.works.values() if work.order is not None]
        selling = total(one.unbooked for one in live if one.role is Role.HEDGE and one.side.sign < 0)
        orders = [one.order for one in step.intents if isinstance(one, Place)]
        sent = [one for one in orders if one.role is Role.HEDGE and one.side.sign < 0]
        if sent:
            short = -total(one.inventory for one in bot.beside.values())
            assert short + selling <= bot.inventory


@EXAMPLES
@given(plays())
def test_no_leg_is_over_filled_and_cash_is_never_lent(play: Play) -> None:
    """Executed never exceeds the most that was asked of a leg; purchases rest within the grid's share of the money."""
    done = play.run()
    asked: dict[str, Decimal] = defaultdict(Decimal)
    filled: dict[str, Decimal] = defaultdict(Decimal)
    for step, _ in done.steps:
        for name, work in step.world.bots["a"].works.items():
            asked[name] = max(asked[name], work.leg.qty if work.leg is not None else ZERO)
        for _, fill in step.fills:
            who = decode(fill.client_id)
            assert who is not None
            filled[who.leg_id] += fill.qty
        state = step.world.bots["a"].state
        if state is not None:
            resting = total(
                exact_product(one.price, one.qty - one.bought)
                for one in state.levels
                if type(one).__name__ == "Resting"
            )
            assert resting <= max(state.money.cash, ZERO) or play.told.order_size_quote is not None
    for name, amount in filled.items():
        if name[0] != Role.UNWIND.value:
            assert amount <= asked[name], name


@EXAMPLES
@given(plays())
def test_a_flat_bag_has_no_short(play: Play) -> None:
    """Whenever nothing is held in spot, either nothing is short or it is being bought back, or an incident says why not."""
    for step, _ in play.run().steps:
        bot = step.world.bots["a"]
        if bot.state is None or bot.inventory > D("0.05") or bot.mode.value != "run":
            continue
        short = -total(one.inventory for one in bot.beside.values())
        hedge = bot.state.short
        assert short <= ZERO or hedge.asked_buy - hedge.bought >= short - bot.inventory or hedge.off_since is not None


def traded(run: Run) -> int:
    """How many executions a run had."""
    return len(run.fills)


def test_the_walks_are_worth_walking() -> None:
    """The random worlds do trade and do hedge: properties of runs without events would say nothing."""
    fills = [fill for seed in range(3) for fill in Play(config(), walk(seed, 240, 60)).run().fills]
    roles = {who.role for fill in fills if (who := decode(fill.client_id)) is not None}
    assert roles == {Role.ENTRY, Role.EXIT, Role.HEDGE}
    assert BAR_S == 60
