"""What each seed trades: one or two symbols of one account, two bots of one kind, made by the real configuration and plan.

Every kind that trades one market is here. The first draw of a seed is the same for all of them; a grid's draws stand in
`tests.simulation.trading`, where they have always stood, so that its seeds stay what they were.
"""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from pydantic import TypeAdapter

from core.engine import BotSpec, Limits
from core.executors.life import Closed
from core.kinds import AnyBot
from core.machines.grid import state as grid_state
from core.market import Instrument
from tasks.assemble import spec_of
from tests.core.worlds import SWAP, SYMBOL, D, instrument, swap

# The second symbol of some accounts, beside each first one.
BESIDE = {SYMBOL: "ETH/USDT", SWAP: "ETH/USDT:USDT"}
_ADAPTER: TypeAdapter[AnyBot] = TypeAdapter(AnyBot)
Fields = dict[str, Any]


def drawn_of(kind: str, rng: Random) -> tuple[list[Instrument], list[BotSpec], Limits]:
    """Draw an account's instruments, two bots of a kind on them, and its limits."""
    perp = rng.random() < 0.4
    first = swap() if perp else instrument(fee_in_base=rng.random() < 0.3)
    rules = [first]
    if rng.random() < 0.4:
        name = BESIDE[first.symbol]
        rules.append(swap(symbol=name, base="ETH") if perp else instrument(symbol=name, base="ETH"))
    side = rng.choice(["BUY", "SELL"]) if perp else "BUY"
    known = {one.market: one for one in rules}
    specs: list[BotSpec] = []
    for name, about in zip(("a", "b"), (first, rules[-1]), strict=True):
        config = _ADAPTER.validate_python(
            {
                "kind": kind, "id": name, "venue": about.venue, "symbol": about.symbol,
                "max_position_size": rng.choice([None, None, "0.5"]), "max_drawdown": rng.choice([None, None, None, "0.01"]),
            } | DRAWS[kind](rng, side)
        )  # fmt: skip
        # Stops that rest at the exchange are no part of this venue.
        specs.append(replace(spec_of(config, known, "test", key=name), venue_stop=None, venue_stop_price=None))
    limits = Limits(
        max_drawdown=rng.choice([None, None, D("0.004")]), max_exposure_quote=rng.choice([None, None, None, D(60)])
    )
    return rules, specs, limits


def _rolling_grid(rng: Random, side: str) -> Fields:
    return {
        "direction": side.lower(), "quantity": rng.choice(["0.05", "0.1", "0.25"]), "wait_time": rng.choice([0, 10, 30]),
        "take_profit": rng.choice(["0.002", "0.005", "0.01"]), "grid_step": rng.choice(["0.001", "0.003"]),
        "max_orders": rng.randint(1, 5), "max_margin": rng.choice([100, 1000]), "stop_loss_enabled": rng.random() < 0.6,
        "stop_loss": rng.choice(["0.005", "0.01", "0.02"]), "position_timeout_minutes": rng.choice([5, 10]),
        "stuck_distance": rng.choice(["0.004", "0.01"]), "recovery_mode": rng.choice(["none", "aggressive", "ladder"]),
        "recovery_rungs": rng.choice([["0.005", "0.01"], ["0.003", "0.006", "0.009"]]),
        "recovery_patience_minutes": rng.choice([1, 5]), "recovery_escalation": rng.choice(["alert", "market"]),
        "recovery_escalation_minutes": 5, "requote_after": rng.choice([5, 10]),
    }  # fmt: skip


def _ladder(rng: Random, _side: str) -> Fields:
    return {
        "distribution": rng.choice(["linear", "normal"]), "min_price": rng.choice([95, 97]),
        "max_price": rng.choice([100, 102]), "count": rng.randint(2, 6), "qty": rng.choice(["0.05", "0.1"]),
        "profit": rng.choice(["0.002", "0.005", "0.02"]), "loop": rng.random() < 0.6,
        "above_market": rng.choice(["wait", "enter"]), "maker_offset_buy": rng.choice(["0", "0.05"]),
        "maker_offset_sell": rng.choice(["0", "0.05"]),
    }  # fmt: skip


def _barriers(rng: Random) -> Fields:
    trailing = {"activation": "0.004", "delta": "0.002"} if rng.random() < 0.3 else None
    return {
        "stop_loss": rng.choice([None, "0.005", "0.02"]), "take_profit": rng.choice([None, "0.003", "0.01"]),
        "time_limit": rng.choice([120, 400, 1500]), "trailing_stop": trailing,
        "take_profit_order_type": rng.choice(["MARKET", "LIMIT", "LIMIT_MAKER"]),
    }  # fmt: skip


def _position(rng: Random, side: str) -> Fields:
    price = rng.choice([None, "99.5", "100.5"])
    barriers = _barriers(rng) | {
        "open_order_type": rng.choice(["MARKET", "LIMIT", "LIMIT_MAKER"]),
        "stop_loss_order_type": rng.choice(["MARKET", "LIMIT"]), "time_limit_order_type": rng.choice(["MARKET", "LIMIT"]),
    }  # fmt: skip
    return {
        "side": side, "amount": rng.choice(["0.1", "0.3", "0.5"]), "entry_price": price, "triple_barrier": barriers,
        "activation_bounds": None if price is None else rng.choice([None, "0.002"]),
    }  # fmt: skip


def _dca(rng: Random, side: str) -> Fields:
    step = -1 if side == "BUY" else 1
    count = rng.randint(1, 4)
    barriers = _barriers(rng)
    return barriers | {
        "side": side, "amounts_quote": [rng.choice([10, 15, 25]) for _ in range(count)],
        "prices": [str(100 + step * D("0.4") * index) for index in range(count)], "mode": rng.choice(["MAKER", "TAKER"]),
        "stop_loss": rng.choice([None, "0.03", "0.05"]),
    }  # fmt: skip


def _twap(rng: Random, side: str) -> Fields:
    maker = rng.random() < 0.5
    return {
        "side": side, "total_amount_quote": rng.choice([40, 90]), "total_duration": rng.choice([100, 500]),
        "order_interval": rng.choice([20, 60]), "mode": "MAKER" if maker else "TAKER",
    } | ({"limit_order_buffer": "0.001", "order_resubmission_time": rng.choice([None, 20])} if maker else {})  # fmt: skip


def _order(rng: Random, side: str) -> Fields:
    how = rng.choice(["LIMIT", "LIMIT_MAKER", "MARKET", "LIMIT_CHASER"])
    extra: Fields = {"price": rng.choice(["99", "99.8", "100.2"])} if how in {"LIMIT", "LIMIT_MAKER"} else {}
    if how == "LIMIT_CHASER":
        extra = {"chaser_config": {"distance": "0.0005", "refresh_threshold": "0.002"}}
    return {"side": side, "amount": rng.choice(["0.1", "0.4"]), "execution_strategy": how} | extra


DRAWS: dict[str, Callable[[Random, str], Fields]] = {
    "rolling_grid": _rolling_grid, "ladder": _ladder, "position": _position, "dca": _dca, "twap": _twap, "order": _order,
}  # fmt: skip
EVERY_KIND = ("grid", *DRAWS)
# A rolling grid writes down every minute or so how a lot that is stuck stands; that adds no row and sends nothing.
KEEPS_TIME = frozenset({"rolling_grid"})


def kind_of(seed: int) -> str:
    """Draw what a seed trades: a grid in every third seed, for most rules are about grids."""
    rng = Random(f"kind {seed}")
    return "grid" if rng.random() < 1 / 3 else rng.choice([*DRAWS])


def offers(spec: BotSpec, state: Any) -> bool:
    """Whether a bot that has come to rest offers all that it holds, by exits of its own."""
    if spec.kind == "grid":
        return isinstance(state.phase, grid_state.Running)
    if spec.kind in {"position", "dca"}:
        return isinstance(state.life, Closed)
    return spec.kind in {"rolling_grid", "ladder"}


def ended(spec: BotSpec, state: Any) -> bool:
    """Whether a bot whose time is over has ended: all executors but an order, which may rest for ever."""
    return spec.kind not in {"position", "dca", "twap"} or isinstance(state.life, Closed)
