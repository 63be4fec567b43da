"""What an ATR grid remembers, as plain values, and how they are written down for a restart."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.indicators import Gauge, Reading
from core.quick import quick
from core.values import ZERO


@quick
@dataclass(frozen=True, slots=True)
class Idle:
    """The place has no level; `reason` says why."""

    cycle: int
    reason: str


@quick
@dataclass(frozen=True, slots=True)
class Resting:
    """A level that buys `qty` at `price` and sells `spacing` above what it paid.

    Of it `bought` gross so far; `held` net of base fees at `entry` on average; `sold` gross by its exit.
    """

    cycle: int
    price: Decimal
    spacing: Decimal
    qty: Decimal
    bought: Decimal = ZERO
    held: Decimal = ZERO
    entry: Decimal = ZERO
    sold: Decimal = ZERO


@quick
@dataclass(frozen=True, slots=True)
class Holding:
    """A lot bought at `entry` on average by the level at `price`, for sale at `target`; `sold` gross in this cycle.

    `cut_to` > 0: the lot is being reduced until `sold` reaches it, at `cap` or better.
    """

    cycle: int
    price: Decimal
    spacing: Decimal
    held: Decimal
    entry: Decimal
    target: Decimal
    sold: Decimal
    cut_to: Decimal = ZERO
    cap: Decimal = ZERO


Level = Idle | Resting | Holding


@dataclass(frozen=True, slots=True)
class Layout:
    """The grid as last laid: its base price, its spacing, the prices of its levels (filled ones too), rising."""

    base: Decimal
    spacing: Decimal
    lines: tuple[Decimal, ...]


@quick
@dataclass(frozen=True, slots=True)
class Mood:
    """What the closed candles say. `volatility` is calm, wild or nothing yet; `trend` is down, up, sideways or nothing yet.

    `pending_since`: the falling market left the grid behind, and a new one waits; `fallen`: it did so once since the grid
    was laid, and does not again before the price is back in it. `recovery`: the bag lost too much for new
    purchases. `adjusted_at` and `recentered_at` count candles.
    """

    volatility: str = ""
    trend: str = ""
    pending_since: datetime | None = None
    fallen: bool = False
    recovery: bool = False
    adjusted_at: int = 0
    recentered_at: int = 0


@quick
@dataclass(frozen=True, slots=True)
class Money:
    """Quote: cash left of the grid's share; what hedges earned, losses taken off, and have not paid yet for losing lots
    (below zero: what later ones must earn first); net result of all hedges so far.
    """

    cash: Decimal
    budget: Decimal = ZERO
    hedged: Decimal = ZERO


@quick
@dataclass(frozen=True, slots=True)
class Short:
    """The hedge. `ratio` of the bag is wanted short, for the reason in `zone`.

    `asked_*` are the cumulative quantities of this cycle's two legs, capped at `cap_*`; `sold` and `bought` what they have
    traded. `proceeds` is the money they moved, `costs` the fees reckoned on them, `funding_from` the bot's funding when the
    short was opened. `off_since`: since when the position is not what is wanted.
    """

    cycle: int = 0
    ratio: Decimal = ZERO
    zone: str = ""
    asked_sell: Decimal = ZERO
    asked_buy: Decimal = ZERO
    sold: Decimal = ZERO
    bought: Decimal = ZERO
    cap_sell: Decimal = ZERO
    cap_buy: Decimal = ZERO
    asked_at: datetime | None = None
    tries: int = 0
    proceeds: Decimal = ZERO
    costs: Decimal = ZERO
    funding_from: Decimal = ZERO
    opened_at: datetime | None = None
    off_since: datetime | None = None
    refusal: str = ""
    cool_until: int = 0


@quick
@dataclass(frozen=True, slots=True)
class AtrGridState:
    """Everything. `bar_at` is the opening time of the newest candle that was taken in."""

    levels: tuple[Level, ...]
    gauge: Gauge | None
    bar_at: datetime | None
    layout: Layout | None
    mood: Mood
    money: Money
    short: Short


def level_data(level: Level) -> dict[str, str]:
    """Write a level down; `read_level` is its inverse."""
    return {"is": type(level).__name__} | {one.name: str(getattr(level, one.name)) for one in fields(level)}


def read_level(data: Mapping[str, str]) -> Level:
    """Read a level back; raises `ValueError` for a state that this version does not know."""
    kinds: dict[str, type[Resting | Holding]] = {"Resting": Resting, "Holding": Holding}
    cycle = int(data["cycle"])
    if data["is"] == "Idle":
        return Idle(cycle, data["reason"])
    if data["is"] not in kinds:
        message = f"unknown level state {data['is']!r}"
        raise ValueError(message)
    kind = kinds[data["is"]]
    return kind(cycle, **{one.name: Decimal(data[one.name]) for one in fields(kind) if one.name != "cycle"})


def write_head(state: AtrGridState) -> dict[str, Any]:
    """Write down what is not in the levels, JSON-ready."""
    gauge, layout = state.gauge, state.layout
    return {
        "gauge": None if gauge is None else {
            "count": gauge.count, "close": str(gauge.close), "ranges": [str(one) for one in gauge.ranges],
            "tr": str(gauge.reading.tr), "atr_14": str(gauge.reading.atr_14), "atr_28": str(gauge.reading.atr_28),
            "emas": [str(one) for one in gauge.reading.emas],
        },
        "bar_at": _text(state.bar_at),
        "layout": None if layout is None else {
            "base": str(layout.base), "spacing": str(layout.spacing), "lines": [str(one) for one in layout.lines],
        },
        "mood": _plain(state.mood),
        "money": _plain(state.money),
        "short": _plain(state.short),
    }  # fmt: skip


def read_head(head: Mapping[str, Any], levels: tuple[Level, ...]) -> AtrGridState:
    """Read an ATR grid back from its head and its levels; raises `KeyError` or `ValueError` where they are not its own."""
    gauge, layout = head["gauge"], head["layout"]
    return AtrGridState(
        levels=levels,
        gauge=None if gauge is None else Gauge(
            gauge["count"], Decimal(gauge["close"]), tuple(map(Decimal, gauge["ranges"])),
            Reading(
                Decimal(gauge["tr"]), Decimal(gauge["atr_14"]), Decimal(gauge["atr_28"]),
                tuple(map(Decimal, gauge["emas"])),
            ),
        ),
        bar_at=_time(head["bar_at"]),
        layout=None if layout is None else Layout(
            Decimal(layout["base"]), Decimal(layout["spacing"]), tuple(map(Decimal, layout["lines"])),
        ),
        mood=_mood(head["mood"]),
        money=Money(**{name: Decimal(value) for name, value in head["money"].items()}),
        short=_short(head["short"]),
    )  # fmt: skip


def _mood(told: Mapping[str, Any]) -> Mood:
    return replace(Mood(**told), pending_since=_time(told["pending_since"]))


def _short(told: Mapping[str, Any]) -> Short:
    times = {name: _time(told[name]) for name in ("asked_at", "opened_at", "off_since")}
    whole = {name: told[name] for name in ("cycle", "tries", "cool_until", "zone", "refusal")}
    return Short(
        **{name: Decimal(value) for name, value in told.items() if name not in {*times, *whole}}, **times, **whole
    )


def _plain(value: Mood | Money | Short) -> dict[str, Any]:
    return {one.name: _jsonable(getattr(value, one.name)) for one in fields(value)}


def _jsonable(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    return value.isoformat() if isinstance(value, datetime) else value


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None
