"""Gates with numbers (RULES 18d): what nothing can be earned on earns nothing, and a sweep's winner does not either."""

import pytest

from benchmarks import martingale, true_path
from tasks import kernel_native
from tasks.kernel_run import Room

WALKS = 40
# Of the means of fair games one in a thousand lies beyond 3.3 standard errors.
WIDTH = 3.3


@pytest.fixture(autouse=True)
def _prepared() -> None:
    kernel_native.prepare()


def test_the_bias_of_paths_and_fill_rules_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The true path earns nothing; the default rules invent no more than a tenth of the fees; a fixed path invents much."""
    monkeypatch.setattr(martingale, "STEPS", (30, 60))
    rows = martingale.biases([martingale.unit_walk(seed) for seed in range(WALKS)], Room())
    found = {(row["step"], row["path"], row["fill"], row["latency_s"]): row for row in rows}
    for step in (30, 60):
        truth, default = found[step, "true path", "touch", 0.0], found[step, "adaptive", "cross", 6.0]
        assert abs(truth["bias"]) <= WIDTH * truth["error"], truth
        assert default["bias"] <= 0.10, default
    assert found[30, "ohlc", "touch", 0.0]["bias"] > 0.2
    assert found[30, "olhc", "touch", 0.0]["bias"] > 0.2


def test_a_winner_earns_nothing_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """The best of 18 grids in sample has no positive mean out of sample on series without a direction."""
    monkeypatch.setattr(martingale, "SERIES", WALKS)
    for row in martingale.winners(Room()):
        assert row["mean_out_of_sample"] <= 2 * row["error"], row
        assert row["fees"] > 0


def test_the_known_true_path_comes_out() -> None:
    """Over a month of W1's walk the adaptive path stays near the truth where a step is a bar wide; a fixed one does not."""
    walk = true_path.true_walk(43_200)
    candles = true_path.columns_of(true_path.series(true_path.bars_of(walk)), "1m")
    points = true_path.columns_of(true_path.points_of(walk), "1s")
    rules = {"fill": "touch", "latency_s": 0.0, "engine": "kernel"}
    room = Room()

    def net(columns: object, path: str, step: int) -> float:
        options = true_path.Options(intrabar=path, **rules)  # type: ignore[arg-type]
        return float(true_path.earned(step, columns, options, room)[0])

    truth = net(points, "ohlc", 30)
    assert abs(net(candles, "adaptive", 30) - truth) < 0.1 * abs(net(candles, "ohlc", 30) - truth)
    assert {net(points, "ohlc", 210)} == {net(candles, path, 210) for path in true_path.PATHS}
