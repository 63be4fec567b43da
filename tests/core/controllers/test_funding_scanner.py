"""The funding scanner: which coins get a pair, in which order, and which pairs lose their place."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from core.controllers import AnyController
from core.controllers.protocol import Create, Mine, Proposals, Scene, Stop, decide
from core.executors.life import Status
from core.facts import RateSeen
from core.kinds import AnyBot
from core.market import Market
from tests.core.worlds import T0, D, quote, swap

LEGS: list[Market] = [(venue, f"{coin}/USDT:USDT") for coin in ("BTC", "ETH") for venue in ("pa", "pb")]


def scanner(**changes: Any) -> Any:
    """Two coins at two venues."""
    told = {
        "id": "fs", "controller_name": "funding_scanner", "total_amount_quote": 6000,
        "legs": [{"venue": venue, "symbol": symbol} for venue, symbol in LEGS],
    }  # fmt: skip
    return TypeAdapter(AnyController).validate_python(told | changes)


def scene(*rates: str, mine: tuple[Mine, ...] = (), at_s: float = 0, prices: tuple[str, ...] = ("100",) * 4) -> Scene:
    """A scene with a rate in eight hours for each leg, told at the beginning, and fresh prices."""
    now = T0 + timedelta(seconds=at_s)
    quotes = {
        market: quote(price, now, swap(venue=market[0], symbol=market[1]))
        for market, price in zip(LEGS, prices, strict=True)
    }
    seen = {
        market: RateSeen(market, D(rate), 28_800, T0 + timedelta(hours=8), T0)
        for market, rate in zip(LEGS, rates, strict=False)
    }
    return Scene(now=now, quote=quotes[LEGS[0]], mine=mine, quotes=quotes, rates=seen)


def created(told: Proposals) -> list[str]:
    """The coins for which a pair is to be created, in order."""
    return [one.level_id for one in told.actions if isinstance(one, Create)]


def one(coin: str, **changes: Any) -> Mine:
    """A pair of a coin that runs."""
    values = {
        "id": f"fs{coin}", "level_id": coin, "status": Status.RUNNING, "close_type": None, "created_at": T0,
        "closed_at": None, "net_pnl_quote": D(0), "is_trading": False, "holds": False,
    }  # fmt: skip
    return Mine(**(values | changes))


def test_the_widest_difference_comes_first() -> None:
    """Both coins pay, ETH more; with room for one pair alone it is ETH's."""
    both = scene("0", "0.002", "-0.001", "0.003")
    assert created(decide(scanner(), both)) == ["eth", "btc"]
    assert created(decide(scanner(max_executors=1), both)) == ["eth"]


def test_what_costs_eat_or_nobody_knows_is_left_alone() -> None:
    """A difference below the fees, one rate unknown, one that is two intervals old, prices too far apart."""
    assert created(decide(scanner(), scene("0", "0.0008", "0", "0.0005"))) == []
    assert created(decide(scanner(), scene("0.002"))) == []
    assert created(decide(scanner(), scene("0", "0.01", at_s=57_601))) == []
    assert created(decide(scanner(), scene("0", "0.01", prices=("100", "102", "100", "100")))) == []


def test_what_it_proposes_is_an_executor_of_all_venues_of_the_coin() -> None:
    """The configuration is one of `funding_arb` as it stands; half of a pair's share of the money in each leg."""
    (made,) = (one for one in decide(scanner(pair={"max_loss": "0.02"}), scene("0", "0.002")).actions)
    assert isinstance(made, Create)
    bot = TypeAdapter[Any](AnyBot).validate_python({"id": "x", **made.config})
    assert (bot.kind, bot.size_quote, bot.max_loss) == ("funding_arb", D(1000), D("0.02"))
    assert bot.markets() == (("pa", "BTC/USDT:USDT"), ("pb", "BTC/USDT:USDT"))


def test_a_pair_that_waits_in_vain_loses_its_place() -> None:
    """Flat for an hour while its coin pays no more: stopped. One that holds, or pays, or is young, stays."""
    poor, rich = scene("0", "0", mine=(one("btc"),), at_s=3600), scene("0", "0.002", mine=(one("btc"),), at_s=3600)
    assert [a.executor_id for a in decide(scanner(), poor).actions if isinstance(a, Stop)] == ["fsbtc"]
    assert decide(scanner(), rich).actions == ()
    young = scene("0", "0", mine=(one("btc"),), at_s=3599)
    held = scene("0", "0", mine=(one("btc", holds=True),), at_s=3600)
    assert decide(scanner(), young).actions == decide(scanner(), held).actions == ()


def test_a_coin_at_one_venue_is_refused() -> None:
    """A pair needs two."""
    with pytest.raises(ValidationError, match="ETH is named at one venue only"):
        scanner(legs=[{"venue": venue, "symbol": symbol} for venue, symbol in LEGS[:3]])
