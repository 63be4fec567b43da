"""What the parts of a bot's profit are called, by its kind: only grids earn a grid profit."""

from collections.abc import Collection

GRIDS = frozenset({"grid", "rolling_grid", "atr_grid", "ladder"})
# Kinds whose two legs are one trade: what either earns alone says nothing.
PAIRS = frozenset({"arbitrage", "xemm", "funding_arb"})


def part_names(kind: str) -> tuple[str, str]:
    """Return what a kind's own closings and those of its other markets are called."""
    if kind in GRIDS:
        return "Grid profit", "Hedge"
    return ("First leg", "Other leg") if kind in PAIRS else ("Closed trades", "Other markets")


def own_part(kinds: Collection[str]) -> str:
    """Return what bots of these kinds call their own closings; of several names the one that fits all."""
    names = {part_names(kind)[0] for kind in kinds}
    return names.pop() if len(names) == 1 else "Closed trades"
