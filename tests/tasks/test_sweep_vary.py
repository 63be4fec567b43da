"""What a sweep varies: ranges, lists, nested fields, and what is refused before anything runs."""

import pytest

from core.machines.grid.config import GridConfig
from tasks.errors import Refused
from tasks.sweep_vary import Vary, apply, configurations, parse_vary


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("start_price=90:92:5", ("90", "90.5", "91", "91.5", "92")),
        ("levels=10:14:5", ("10", "11", "12", "13", "14")),
        ("levels=1:3:5", ("1", "2", "3")),
        ("spacing=arithmetic,geometric", ("arithmetic", "geometric")),
        ("triple_barrier.stop_loss=0.01:0.03:3", ("0.01", "0.02", "0.03")),
        ("triple_barrier.trailing_stop.delta=0.004:0.004:1", ("0.004",)),
        ("triple_barrier.time_limit=0:1:3", ("0", "0.5", "1")),
        ("start_price=1:2:4", ("1", "1.33333333333", "1.66666666667", "2")),
    ],
)
def test_a_variation_becomes_values(text: str, values: tuple[str, ...]) -> None:
    """Ranges have both ends, whole numbers stay whole, and what falls together counts once."""
    assert parse_vary(text, GridConfig) == Vary(text.partition("=")[0], values)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("levels", "no variation"),
        ("levels=", "no variation"),
        ("levels=1:2", "no range"),
        ("levels=1:2:x", "no range"),
        ("levels=1:2:3:4", "no range"),
        ("levels=1:2:0", "no range"),
        ("levels=1:inf:3", "no range"),
        ("levels=1:2:1", "two ends"),
        ("levels=1,,2", "empty"),
        ("levels=1,1", "twice"),
        ("level=1:2:2", "no field"),
        ("id=a,b", "no field"),
        ("start_price.low=1,2", "no field"),
    ],
)
def test_a_bad_variation_is_refused(text: str, word: str) -> None:
    """The refusal names what is wrong and, for a field, the ones there are."""
    with pytest.raises(Refused, match=word) as caught:
        parse_vary(text, GridConfig)
    assert caught.value.key == "--vary"


def test_all_combinations_come_in_order() -> None:
    """The last field turns fastest."""
    found = configurations([Vary("a", ("1", "2")), Vary("b", ("3", "4", "5"))], None, 0)
    assert [tuple(one.values()) for one in found] == [(a, b) for a in "12" for b in "345"]


def test_random_combinations_repeat_with_their_seed() -> None:
    """Drawn ones are different from each other, among all, the same for a seed, and others for another."""
    varied = [Vary("a", tuple("12345")), Vary("b", tuple("12345"))]
    every = [tuple(one.items()) for one in configurations(varied, None, 0)]
    first, again, other = ([tuple(o.items()) for o in configurations(varied, 9, seed)] for seed in (1, 1, 2))
    assert first == again != other
    assert len(set(first)) == 9
    assert set(first) <= set(every)
    assert len(configurations(varied, 99, 1)) == 25


def test_too_many_are_refused() -> None:
    """A mistyped range does not fill the disk."""
    many = tuple(str(i) for i in range(2000))
    with pytest.raises(Refused, match="too many"):
        configurations([Vary("a", many), Vary("b", many)], None, 0)
    with pytest.raises(Refused, match="twice"):
        configurations([Vary("a", ("1",)), Vary("a", ("2",))], None, 0)


def test_nested_fields_are_set_beside_the_others() -> None:
    """A nested value keeps its neighbours, and the mapping given stays as it was."""
    bot = {"levels": 5, "triple_barrier": {"time_limit": 60}}
    changed = apply(bot, {"triple_barrier.stop_loss": "0.05", "triple_barrier.trailing_stop.delta": "0.01"})
    assert changed == {
        "levels": 5, "triple_barrier": {"time_limit": 60, "stop_loss": "0.05", "trailing_stop": {"delta": "0.01"}},
    }  # fmt: skip
    assert bot == {"levels": 5, "triple_barrier": {"time_limit": 60}}
