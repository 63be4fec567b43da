"""The process dies at every boundary between two side effects of scripted days: each one, with and without its store."""

from itertools import combinations
from random import Random

import pytest

from tests.simulation.scenes import SCENES, Scene, play

# Two crashes in one day: so many pairs of boundaries are drawn for each scene, from a seed.
PAIRS = 25

scenes = pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)


@scenes
def test_a_scene_shows_what_it_is_named_after(scene: Scene) -> None:
    """Undisturbed, a scene does what its name says and breaks nothing; it has boundaries to die at."""
    run = play(scene)
    assert run.found == []
    assert scene.shows(run)
    assert run.played >= 25


@scenes
@pytest.mark.parametrize("store_lost", [False, True], ids=["store kept", "store lost"])
def test_a_crash_at_any_boundary_breaks_nothing(scene: Scene, store_lost: bool) -> None:
    """Killed before or after any commit or request and started again, from the store or from the exchange alone."""
    for boundary in range(play(scene).played):
        run = play(scene, frozenset({boundary}), store_lost=store_lost)
        assert run.crashes == 1
        assert run.stores_lost == store_lost
        assert run.found == [], f"crash at boundary {boundary}"


@scenes
def test_two_crashes_break_nothing(scene: Scene) -> None:
    """Pairs of boundaries, neighbours among them, so that recovery itself is interrupted; every other one loses its store."""
    rng = Random(scene.name)
    count = play(scene).played
    pairs = [(at, at + 1) for at in range(0, count - 1, 4)]
    pairs += rng.sample(list(combinations(range(count), 2)), PAIRS)
    for number, pair in enumerate(pairs):
        run = play(scene, frozenset(pair), store_lost=number % 2 == 1)
        assert run.found == [], f"crashes at boundaries {pair}"
