"""What parts of a profit are called: by kind, and for several kinds together."""

import pytest

from core.kinds import KINDS
from tasks.part_names import own_part


@pytest.mark.parametrize(
    ("kinds", "named"),
    [
        (["grid"], "Grid profit"),
        (["grid", "atr_grid", "ladder", "rolling_grid"], "Grid profit"),
        (["position"], "Closed trades"),
        (["xemm", "arbitrage"], "First leg"),
        (["grid", "position"], "Closed trades"),
        ([], "Closed trades"),
    ],
)
def test_closings_are_called_what_their_kinds_call_them(kinds: list[str], named: str) -> None:
    """Grids earn a grid profit, pairs speak of legs, the others and mixtures of closed trades."""
    assert set(kinds) <= set(KINDS)
    assert own_part(kinds) == named
