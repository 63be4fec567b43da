"""The risk gate as a table: which order may go out, and the reason of each that may not."""

from datetime import timedelta

import pytest

from core.orders import Role
from core.risk import Approved, Caps, Declined, Exposure, check
from core.values import Side
from core.working import Send
from tests.core.test_working import leg
from tests.core.worlds import T0, D, quote

CAPS = Caps(max_open_orders=None, max_position_size=None, max_exposure_quote=None, max_price_age_s=15.0)
NOTHING = Exposure(inventory=D(0), live_entries=0, live_entry_qty=D(0), live_exit_qty=D(0), account_quote=D(0))


def caps(**changes: object) -> Caps:
    """Caps with some of them set."""
    values = {name: getattr(CAPS, name) for name in CAPS.__slots__}
    return Caps(**(values | changes))  # type: ignore[arg-type]


def stake(**changes: object) -> Exposure:
    """Something at stake."""
    values = {name: getattr(NOTHING, name) for name in NOTHING.__slots__}
    return Exposure(**(values | changes))  # type: ignore[arg-type]


ENTRY = Send(D(100), D(1), post_only=True)


@pytest.mark.parametrize(
    ("at", "limits", "word"),
    [
        (NOTHING, CAPS, None),
        (stake(live_entries=1), caps(max_open_orders=2), None),
        (stake(live_entries=2), caps(max_open_orders=2), "max_open_orders 2"),
        (stake(inventory=D(1)), caps(max_position_size=D(2)), None),
        (stake(inventory=D(1), live_entry_qty=D("0.1")), caps(max_position_size=D(2)), "max_position_size 2"),
        (stake(inventory=D(-2)), caps(max_position_size=D(2)), "max_position_size 2"),
        (stake(account_quote=D(400)), caps(max_exposure_quote=D(500)), None),
        (stake(account_quote=D("400.01")), caps(max_exposure_quote=D(500)), "max_exposure_quote 500"),
    ],
)
def test_an_entry_passes_every_cap(at: Exposure, limits: Caps, word: str | None) -> None:
    """A cap may be reached and not passed; what may still fill counts as filled."""
    said = check(leg(), ENTRY, quote("101"), at, limits, T0, swap=False)
    assert isinstance(said, Approved) if word is None else isinstance(said, Declined) and word in said.reason


@pytest.mark.parametrize(
    ("price", "word"),
    [
        (quote("101", T0 - timedelta(seconds=16)), "16 s old"),
        (quote("101", bid=D(102)), "crossed"),
        (quote("101", last=D(0)), "not positive"),
    ],
)
def test_an_entry_needs_a_sane_price_and_an_exit_does_not(price: object, word: str) -> None:
    """A bad price opens nothing and is asked again; what reduces risk goes out whatever the price (RULES 7)."""
    said = check(leg(), ENTRY, price, NOTHING, CAPS, T0, swap=False)  # type: ignore[arg-type]
    assert isinstance(said, Declined)
    assert word in said.reason
    assert said.passing
    leave = leg(role=Role.EXIT, side=Side.SELL)
    held = stake(inventory=D(1))
    assert isinstance(check(leave, ENTRY, price, held, CAPS, T0, swap=False), Approved)  # type: ignore[arg-type]


@pytest.mark.parametrize("role", [Role.EXIT, Role.UNWIND, Role.STOP])
@pytest.mark.parametrize(
    ("inventory", "leaving", "passes"), [("1", "0", True), ("1", "0.1", False), ("0.9", "0", False), ("-1", "0", True)]
)
def test_nobody_leaves_with_more_than_is_there(role: Role, inventory: str, leaving: str, passes: bool) -> None:
    """Exits together never exceed what is held; caps of entries do not touch them."""
    strict = caps(max_open_orders=0, max_position_size=D("0.001"), max_exposure_quote=D(1))
    at = stake(inventory=D(inventory), live_exit_qty=D(leaving), live_entries=9, account_quote=D(10**6))
    said = check(leg(role=role, side=Side.SELL), ENTRY, quote("101"), at, strict, T0, swap=True)
    assert isinstance(said, Approved) == passes


def test_a_purchase_counts_at_its_own_price_wherever_it_is_sent() -> None:
    """An entry sent behind the touch may come back to its own price: that one must fit."""
    behind = Send(D(90), D(1), post_only=True)
    said = check(leg(), behind, quote("91"), NOTHING, caps(max_exposure_quote=D(95)), T0, swap=False)
    assert isinstance(said, Declined)
    assert not said.passing


def test_a_sale_that_follows_the_touch_is_asked_again() -> None:
    """A short entry above its own price is the dearer for it; it may fit once the touch comes back."""
    above = Send(D(110), D(1), post_only=True)
    said = check(leg(side=Side.SELL), above, quote("109"), NOTHING, caps(max_exposure_quote=D(105)), T0, swap=True)
    assert isinstance(said, Declined)
    assert said.passing
