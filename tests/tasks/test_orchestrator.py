"""Executors created, stopped and stored while a portfolio runs, across restarts; and what they report."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from prefect.logging import disable_run_logger

from core.executors.hold import Hold, add
from core.executors.life import CloseType, Status
from core.values import ZERO, Side, ratio
from flows.control import control
from tasks.cli import main
from tasks.errors import Refused
from tasks.manager import (
    CreateExecutorAction,
    StopExecutorAction,
    StoreExecutorAction,
    execute_action,
    generate_performance_report,
    get_executors_report,
    get_positions_report,
)
from tasks.opening import open_session
from tasks.orchestrator import executors
from tasks.orchestrator_queue import submit
from tasks.session import Session
from tasks.ticking import tick
from tests.tasks.played import stored, write_candles, write_portfolio

D = Decimal
Deed = Callable[[Session], Any]


@pytest.fixture
def portfolio(tmp_path: Path) -> Path:
    """Return a portfolio over 400 made-up candles."""
    return write_portfolio(tmp_path, write_candles(tmp_path / "candles.csv", 400))


def market(**changes: Any) -> dict[str, Any]:
    """A purchase of one coin at the market."""
    values = {"id": "buy1", "kind": "order", "venue": "spot", "symbol": "COIN/USDT", "side": "BUY", "amount": 1,
              "execution_strategy": "MARKET"}  # fmt: skip
    return values | changes


def position(**changes: Any) -> dict[str, Any]:
    """A long at the market with a time limit only."""
    values = {"id": "pos1", "kind": "position", "venue": "spot", "symbol": "COIN/USDT", "side": "BUY", "amount": 2,
              "triple_barrier": {"open_order_type": "MARKET", "time_limit": 1_000_000}}  # fmt: skip
    return values | changes


def run(file: Path, *deeds: Deed | int) -> list[Any]:
    """Open the portfolio, do each deed (a number: so many ticks), close it; returns what the deeds said."""

    async def loop() -> list[Any]:
        session = await open_session(file)
        said: list[Any] = []
        try:
            for deed in deeds:
                if isinstance(deed, int):
                    for _ in range(deed):
                        await tick(session)
                    continue
                answer = deed(session)
                said.append(await answer if asyncio.iscoroutine(answer) else answer)
        finally:
            await session.close()
        return said

    return asyncio.run(loop())


def info(name: str) -> Deed:
    """The snapshot of one executor."""
    return lambda session: executors(session, [name])[0]


def does(action: Any) -> Deed:
    """Execute an action."""
    return lambda session: execute_action(session, action)


def test_created_it_trades_and_survives_restarts(portfolio: Path) -> None:
    """An executor created by an action trades from the next tick on, is there after a restart, and its end is kept."""
    run(portfolio, 3, does(CreateExecutorAction(position())), 3)
    (again,) = run(portfolio, 3, info("pos1"))
    assert again.status is Status.RUNNING
    assert again.is_trading
    assert again.custom_info["held_base"] == "2"
    assert run(portfolio, does(StopExecutorAction("pos1")), 5, info("pos1"))[-1].close_type is CloseType.EARLY_STOP
    (ended,) = run(portfolio, 1, info("pos1"))
    assert (ended.status, ended.is_active, ended.custom_info["held_base"]) == (Status.TERMINATED, False, "0")
    snapshots = [row[0] for row in stored(portfolio, "SELECT reason FROM journal WHERE decision = 'SNAPSHOT'")]
    for status in ("RUNNING", "TERMINATED"):
        assert any(f'"status": "{status}"' in text for text in snapshots)


def test_the_queue_is_obeyed_by_the_next_tick(portfolio: Path) -> None:
    """From another process: a file in the queue, obeyed once, gone afterwards; a senseless one is refused and said."""
    folder = portfolio.parent / "data"
    run(portfolio, 3)
    submit(folder, CreateExecutorAction(market()))
    submit(folder, StopExecutorAction("nobody"))
    (done,) = run(portfolio, 3, info("buy1"))
    assert done.close_type is CloseType.POSITION_HOLD
    assert list((folder / "actions").glob("[0-9]*")) == []
    words = stored(portfolio, "SELECT bot_id, decision FROM journal WHERE subject = 'action' ORDER BY tick_id, n")
    assert words == [("buy1", "CREATE"), ("nobody", "NOT_OBEYED")]
    with pytest.raises(Refused, match="price"):
        submit(folder, CreateExecutorAction(market(execution_strategy="LIMIT")))


def test_create_stop_and_store_from_the_command_line_and_the_form(
    portfolio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`gridkeeper control` and the form put the same actions into the queue; what makes no sense is refused at once."""
    place = ["--portfolio", str(portfolio), "--json"]
    file = portfolio.parent / "buy.yaml"
    file.write_text("{kind: order, venue: spot, symbol: COIN/USDT, side: BUY, amount: 1, execution_strategy: MARKET}\n")
    run(portfolio, 3)
    assert main(["control", "buy1", "create", *place]) == 2
    assert "create needs a configuration" in capsys.readouterr().out
    assert main(["control", "buy1", "create", "--config", str(file), *place]) == 0
    (held,) = run(portfolio, 3, info("buy1"))
    assert held.close_type is CloseType.POSITION_HOLD
    assert main(["control", "buy1", "stop", "--close-hold", *place]) == 0
    assert run(portfolio, 4, info("buy1"))[0].custom_info["held_base"] == "0"
    with disable_run_logger():
        control.fn(str(portfolio.parent / "data"), "buy1", "store")
        control.fn(str(portfolio.parent / "data"), "pos1", "create", executor_config={**position(), "id": "pos1"})
        with pytest.raises(Refused, match="no configuration"):
            control.fn(str(portfolio.parent / "data"), "pos1", "stop", executor_config=position())
    assert run(portfolio, 2, lambda session: sorted(session.world.specs)) == [["g1", "pos1"]]


def test_stop_is_idempotent_and_means_what_it_says(portfolio: Path) -> None:
    """keep_position keeps, said again it changes nothing: not the close type, not what is held."""
    said = run(
        portfolio, 3, does(CreateExecutorAction(position())), 3, does(StopExecutorAction("pos1", keep_position=True)), 3,
        does(StopExecutorAction("pos1")), 5, info("pos1"),
    )  # fmt: skip
    assert "already" in said[2]
    assert (said[3].status, said[3].close_type) == (Status.TERMINATED, CloseType.POSITION_HOLD)
    assert said[3].custom_info["held_base"] == "2"


def test_a_held_position_is_closed_when_that_is_asked_for(portfolio: Path) -> None:
    """close_hold: what an ended executor still holds is sold, over a restart too; how it ended stays, and it can be stored."""
    run(portfolio, 3, does(CreateExecutorAction(market())), 3, does(StopExecutorAction("buy1", close_hold=True)))
    said = run(
        portfolio, 4, info("buy1"), does(StopExecutorAction("buy1", close_hold=True)), does(StoreExecutorAction("buy1"))
    )
    assert (said[0].status, said[0].close_type) == (Status.TERMINATED, CloseType.POSITION_HOLD)
    assert said[0].custom_info["held_base"] == "0"
    assert "already" in said[1]
    sides = stored(portfolio, "SELECT side, sum(qty) FROM fills WHERE bot_id = 'buy1' GROUP BY side ORDER BY side")
    assert sides == [("buy", D(1)), ("sell", D(1))]


def test_a_grid_joins_the_family(portfolio: Path) -> None:
    """The grid of the file is listed, and a stop of it closes what it holds, once."""
    said = run(portfolio, 30, info("g1"), does(StopExecutorAction("g1")), 5, info("g1"), does(StopExecutorAction("g1")))
    assert (said[0].type, said[0].status) == ("grid_executor", Status.RUNNING)
    assert (said[2].status, said[2].close_type) == (Status.TERMINATED, CloseType.EARLY_STOP)
    assert "already" in said[3]


def test_store_takes_out_what_is_over_alone(portfolio: Path) -> None:
    """Not one that runs, not one that holds, not one of the file; an id is never used twice; said again it is no error."""

    def refused(action: Any, reason: str) -> Deed:
        async def attempt(session: Session) -> None:
            with pytest.raises(Refused, match=reason):
                await execute_action(session, action)

        return attempt

    run(
        portfolio, 3, does(CreateExecutorAction(position())), does(CreateExecutorAction(market())), 3,
        refused(StoreExecutorAction("pos1"), "RUNNING"), refused(StoreExecutorAction("buy1"), "stay in the books"),
        does(StopExecutorAction("pos1")), 5, does(StoreExecutorAction("pos1")), does(StoreExecutorAction("pos1")), 2,
        refused(CreateExecutorAction(position()), "used before"),
        refused(CreateExecutorAction(market(amount=2)), "another executor"),
        refused(CreateExecutorAction(market(id="else1", symbol="OTHER/USDT")), "not traded"),
    )  # fmt: skip
    (left,) = run(portfolio, lambda session: sorted(session.world.specs))
    assert left == ["buy1", "g1"]


def test_positions_net_what_ended_executors_hold(portfolio: Path) -> None:
    """Two holds of a controller are one position; its fees count; the report sums executors and capital."""
    both = [market(id="b1", controller_id="mine"), market(id="b2", controller_id="mine", amount=3)]
    said = run(
        portfolio, 3, *(does(CreateExecutorAction(one)) for one in both), 3, get_positions_report,
        lambda session: generate_performance_report(session, "mine"), get_executors_report,
    )  # fmt: skip
    (held,), report, listed = said[2]["mine"], said[3], said[4]
    assert (held.amount, held.side) == (D(4), "BUY")
    assert held.cum_fees_quote > ZERO
    assert report.volume_traded == held.volume_traded_quote == held.amount_quote
    assert report.close_type_counts == {CloseType.POSITION_HOLD: 2}
    assert report.global_pnl_quote == held.global_pnl_quote
    assert report.global_pnl_pct_of_capital == ratio(report.global_pnl_quote, report.capital_quote)
    assert sorted(one.id for one in listed["mine"]) == ["b1", "b2"]
    assert [one.id for one in listed["main"]] == ["g1"]


def test_holds_net_at_cost_exactly() -> None:
    """Adding averages, closing realises against it, what is over flips; sums are exact to the last digit."""
    hold = Hold()
    for side, qty, price in (
        (Side.BUY, "1", "10"),
        (Side.BUY, "2", "11"),
        (Side.SELL, "1", "12"),
        (Side.SELL, "5", "9"),
    ):
        hold = add(hold, side, D(qty), D(price), D("0.01"))
    assert (hold.qty, hold.cost, hold.average) == (D(-3), D(27), D(9))
    assert hold.fees == D("0.04")
    assert hold.realized == D(12 + 18 - 32)  # all that was bought for 32 went for 12 and for 2 x 9
    assert hold.floating(D(8)) == D(3)
    flat = add(hold, Side.BUY, D(3), D(9), ZERO)
    assert (flat.qty, flat.cost) == (ZERO, ZERO)
    assert flat.sold - flat.bought == flat.realized
