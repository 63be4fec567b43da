"""Lots by FIFO, LIFO and average, against sums done by hand and against an independent computation."""

import random
from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from tasks.exports_lots import Deal, Disposal, Method, match

START = datetime(2026, 1, 1)


def deal(day: int, side: str, qty: str | Decimal, value: str | Decimal, symbol: str = "BTC/USDT") -> Deal:
    """A deal on a day."""
    return Deal(START + timedelta(days=day), "v", symbol, side == "buy", Decimal(qty), Decimal(value), f"t{day}", "b")


BOUGHT = [deal(0, "buy", "1", "100"), deal(1, "buy", "1", "200"), deal(2, "buy", "2", "600")]


@pytest.mark.parametrize(
    ("method", "costs"),
    [
        (Method.FIFO, [(0, "1", "100"), (1, "0.5", "100")]),
        (Method.LIFO, [(2, "1.5", "450")]),
        (Method.AVERAGE, [(None, "1.5", "337.5")]),
    ],
)
def test_a_sale_takes_the_lots_of_its_method(method: Method, costs: list[tuple[int | None, str, str]]) -> None:
    """Three purchases and a sale of one and a half for 600: which lots go, and at what cost."""
    found = list(match([*BOUGHT, deal(3, "sell", "1.5", "600")], method))
    wanted = [(None if d is None else START + timedelta(days=d), Decimal(q), Decimal(c)) for d, q, c in costs]
    assert [(one.opened_at, one.qty, one.cost) for one in found] == wanted
    assert sum(one.proceeds for one in found) == 600
    gains = [one.gain for one in found if one.gain is not None]
    assert sum(gains) == 600 - sum(Decimal(c) for _, _, c in costs)


def test_what_was_never_bought_has_no_cost() -> None:
    """A spot sale of more than is held says so for the rest, and the next purchase is no cover for it."""
    found = list(match([*BOUGHT[:1], deal(1, "sell", "3", "330"), deal(2, "buy", "1", "90")], Method.FIFO))
    assert [(one.qty, one.proceeds, one.cost, one.gain) for one in found] == [
        (1, 110, 100, 10),
        (2, 220, None, None),
    ]


def test_a_short_position_gains_when_it_is_bought_back_lower() -> None:
    """On a swap the sale opens; turning over closes first and opens the rest the other way."""
    swap = "BTC/USDT:USDT"
    found = list(
        match(
            [deal(0, "sell", "2", "200", swap), deal(1, "buy", "3", "240", swap), deal(2, "sell", "1", "95", swap)],
            Method.FIFO,
        )
    )
    assert [(one.short, one.qty, one.proceeds, one.cost, one.gain) for one in found] == [
        (True, 2, 200, 160, 40),
        (False, 1, 95, 80, 15),
    ]


def test_markets_do_not_mix() -> None:
    """A coin of one market is not given up in another."""
    found = list(match([deal(0, "buy", "1", "100"), deal(1, "sell", "1", "5", "ETH/USDT")], Method.FIFO))
    assert [one.cost for one in found] == [None]


def units(deals: list[Deal], method: Method) -> tuple[Fraction, Fraction]:
    """Gain and cost left, by another way: every lot of 0.001 is a unit of its own, and the average an exact fraction."""
    held: list[Fraction] = []
    gain, average, count = Fraction(0), Fraction(0), 0
    for one in deals:
        size = int(one.qty * 1000)
        each = Fraction(one.value) / size
        if one.buys:
            held += [each] * size
            average, count = (average * count + Fraction(one.value)) / (count + size), count + size
            continue
        taken = held[:size] if method is Method.FIFO else held[-size:]
        held = held[size:] if method is Method.FIFO else held[:-size]
        gain += Fraction(one.value) - (average * size if method is Method.AVERAGE else sum(taken, Fraction(0)))
        count -= size
    return gain, average * count if method is Method.AVERAGE else sum(held, Fraction(0))


@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize("seed", range(8))
def test_gains_equal_an_independent_computation(method: Method, seed: int) -> None:
    """Random lives: the gain agrees with a count of units to a billionth, and nothing is lost between the lots."""
    chance, held, deals = random.Random(seed), 0, list[Deal]()
    for day in range(60):
        size = chance.randint(1, 40)
        buys = held < size or chance.random() < 0.5
        held += size if buys else -size
        price = Decimal(chance.randint(5_000, 9_000)) / 7
        deals.append(
            deal(day, "buy" if buys else "sell", Decimal(size) / 1000, (Decimal(size) * price / 1000).quantize(Decimal("1E-8")))
        )  # fmt: skip
    found = list(match(deals, method))
    gain, left = units(deals, method)
    assert abs(Fraction(sum((one.gain or Decimal(0)) for one in found)) - gain) < Fraction(1, 10**9)
    by_trade: dict[str, Decimal] = defaultdict(Decimal)
    for one in found:
        by_trade[one.trade_id] += one.proceeds
    assert by_trade == {one.trade_id: one.value for one in deals if not one.buys}
    bought, cost = sum(one.value for one in deals if one.buys), total_cost(found)
    assert abs(Fraction(bought - cost) - left) < Fraction(1, 10**9)


def total_cost(found: list[Disposal]) -> Decimal:
    """The cost of all that was given up."""
    return sum((one.cost or Decimal(0) for one in found), Decimal(0))
