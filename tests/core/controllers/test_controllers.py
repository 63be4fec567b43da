"""Controllers: pure proposals, and the limits that hold whatever is proposed."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from core.controllers import AnyController
from core.controllers.protocol import Create, Mine, Proposals, Scene, Stop, decide
from core.executors.life import CloseType, Status
from tests.core.worlds import T0, D, after, quote

ANY: TypeAdapter[Any] = TypeAdapter(AnyController)
BASE = {"id": "c", "venue": "spot", "symbol": "BTC/USDT", "total_amount_quote": 300}


def controller(name: str, **fields: Any) -> Any:
    """A controller of a kind."""
    return ANY.validate_python(BASE | {"controller_name": name} | fields)


def strike(**fields: Any) -> Any:
    """A grid strike between 90 and 110."""
    return controller("grid_strike", start_price=90, end_price=110, min_spread_between_orders="0.01", **fields)


def ladder(**fields: Any) -> Any:
    """Two levels below and one above."""
    told = {"buy_spreads": ["0.01", "0.02"], "sell_spreads": ["0.01"], "triple_barrier": {"stop_loss": "0.03"},
            "tick_size": "0.01", "lot_step": "0.001"}  # fmt: skip
    return controller("maker_ladder", **(told | fields))


def scene(price: str = "100", *mine: Mine, at_s: float = 0, **memory: Any) -> Scene:
    """A scene at a price."""
    return Scene(now=after(at_s), quote=quote(price, after(at_s)), mine=mine, memory=memory)


def one(level: str, status: Status = Status.RUNNING, **changes: Any) -> Mine:
    """An executor of a level."""
    values = {"id": f"c{level}", "level_id": level, "status": status, "close_type": None, "created_at": T0,
              "closed_at": None, "net_pnl_quote": D(0), "is_trading": False}  # fmt: skip
    return Mine(**(values | changes))


def levels(told: Proposals) -> list[str]:
    """The levels that are to be created."""
    return [action.level_id for action in told.actions if isinstance(action, Create)]


def test_grid_strike_lays_one_grid_inside_its_range() -> None:
    """Inside and none there: one. There already, shutting down, or outside: none."""
    assert levels(decide(strike(), scene())) == ["grid"]
    assert levels(decide(strike(), scene("120"))) == []
    assert levels(decide(strike(), scene("100", one("grid")))) == []
    assert levels(decide(strike(), scene("100", one("grid", Status.SHUTTING_DOWN)))) == []


def test_cooldown_holds_after_a_bad_end() -> None:
    """The original lays the grid again at once after a stop loss or for want of money; here the cooldown passes first."""
    for word, at_s, wanted in (
        (CloseType.STOP_LOSS, 59, []), (CloseType.STOP_LOSS, 60, ["grid"]), (CloseType.INSUFFICIENT_BALANCE, 10, []),
        (CloseType.FAILED, 10, []), (CloseType.TAKE_PROFIT, 1, ["grid"]),
    ):  # fmt: skip
        ended = one("grid", Status.TERMINATED, close_type=word, closed_at=T0)
        assert levels(decide(strike(), scene("100", ended, at_s=at_s))) == wanted, word


def test_maker_ladder_prices_amounts_and_sides() -> None:
    """Price = mid (1 -/+ spread), money by weights over both sides; prices on the tick, sizes on the lot."""
    told = decide(ladder(buy_amounts_pct=[1, 2], sell_amounts_pct=[3]), scene())
    made = {action.level_id: action.config for action in told.actions if isinstance(action, Create)}
    assert {name: (c["side"], c["entry_price"], c["amount"]) for name, c in made.items()} == {
        "buy_0": ("BUY", D(99), D("0.505")), "buy_1": ("BUY", D(98), D("1.020")), "sell_0": ("SELL", D(101), D("1.485")),
    }  # fmt: skip


def test_maker_ladder_renews_what_waited_and_nothing_that_trades() -> None:
    """After the refresh time an idle level is stopped; its successor comes once it is over, never beside it."""
    idle, trading = one("buy_0"), one("buy_1", is_trading=True)
    told = decide(ladder(), scene("100", idle, trading, at_s=300))
    assert [action for action in told.actions if isinstance(action, Stop)] == [Stop("cbuy_0", reason="refreshed")]
    assert levels(told) == ["sell_0"]
    leaving = replace(idle, status=Status.SHUTTING_DOWN)
    assert levels(decide(ladder(), scene("100", leaving, trading, at_s=302))) == ["sell_0"]
    gone = replace(idle, status=Status.TERMINATED, close_type=CloseType.EARLY_STOP, closed_at=after(303))
    assert levels(decide(ladder(), scene("100", gone, trading, at_s=304))) == ["buy_0", "sell_0"]


def test_caps_are_true_caps() -> None:
    """Those alive count, however they stand; the rest of the room is filled and no more."""
    told = decide(ladder(max_executors=2), scene("100", one("buy_1", Status.SHUTTING_DOWN)))
    assert levels(told) == ["buy_0"]


def test_drawdown_stops_once_and_stays() -> None:
    """Held positions count, the trip is latched, and it is said once to each executor, not at every tick."""
    config = ladder(max_drawdown_quote=10)
    first = decide(config, scene("100", one("buy_0", net_pnl_quote=D(5))))
    assert first.memory["peak"] == "5"
    held = one("buy_1", Status.TERMINATED, close_type=CloseType.POSITION_HOLD, net_pnl_quote=D(-9))
    fallen = decide(config, scene("100", one("buy_0", net_pnl_quote=D(3)), held, **first.memory))
    assert [action.executor_id for action in fallen.actions if isinstance(action, Stop)] == ["cbuy_0"]
    assert levels(fallen) == []
    kept = replace(held, holds=True)
    closed = decide(config, scene("100", one("buy_0", Status.SHUTTING_DOWN), kept, **fallen.memory))
    assert [(action.executor_id, action.close_hold) for action in closed.actions if isinstance(action, Stop)] == [
        ("cbuy_1", True)
    ]
    over = one("buy_0", Status.TERMINATED, net_pnl_quote=D(30))
    again = decide(config, scene("100", over, **fallen.memory))
    assert again.actions == ()


def test_kill_switch_stops_everything_that_runs() -> None:
    """manual_kill_switch: every executor is stopped and none is created."""
    told = decide(ladder(manual_kill_switch=True), scene("100", one("buy_0"), one("buy_1", Status.SHUTTING_DOWN)))
    assert told.actions == (Stop("cbuy_0", reason="manual_kill_switch"),)


def test_dca_waits_for_its_band_and_never_sees_the_future() -> None:
    """A band of five samples at a minute's distance; the price that is judged is in none of them."""
    config = controller("dca_bands", samples=5, take_profit="0.01", tick_size="0.01")
    memory: dict[str, Any] = {}
    for minute, price in enumerate(["100", "101", "100", "99", "100"]):
        told = decide(config, scene(price, at_s=60 * minute, **memory))
        assert told.actions == ()
        memory = dict(told.memory)
    band = config.lower_band([D(price) for price in memory["prices"]])
    assert band == 100 - 2 * D("0.4").sqrt()
    assert levels(decide(config, scene("98.8", at_s=241, **memory))) == []
    told = decide(config, scene("98.7", at_s=241, **memory))
    assert levels(told) == ["band"]
    made = next(action.config for action in told.actions if isinstance(action, Create))
    assert made["prices"] == [D("98.70"), D("97.71")]
    assert made["amounts_quote"] == [D(100), D(200)]


def test_the_same_scene_gives_the_same_proposals() -> None:
    """Pure: asked twice, the same."""
    for config in (strike(), ladder(), controller("dca_bands", take_profit="0.01", tick_size="0.01")):
        assert decide(config, scene()) == decide(config, scene())


@pytest.mark.parametrize(
    ("name", "fields", "said"),
    [
        ("grid_strike", {"start_price": 110, "end_price": 90, "min_spread_between_orders": "0.01"}, "not below"),
        ("maker_ladder", {"triple_barrier": {}, "tick_size": 1, "lot_step": 1}, "no level on either side"),
        ("dca_bands", {"take_profit": "0.01", "tick_size": 1, "weights": [1]}, "one for each works"),
        ("dca_bands", {"take_profit": "0.01", "tick_size": 1, "id": "toolong"}, "id"),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, fields: dict[str, Any], said: str) -> None:
    """Each says its field."""
    with pytest.raises(ValidationError, match=said):
        controller(name, **fields)


def test_refresh_counts_from_creation() -> None:
    """An executor that has not begun yet has no age."""
    young = one("buy_0", created_at=None)
    assert not [a for a in decide(ladder(), scene("100", young, at_s=10_000)).actions if isinstance(a, Stop)]
