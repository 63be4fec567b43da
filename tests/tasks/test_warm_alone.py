"""When ticks go on without the server, as values."""

from datetime import UTC, datetime, timedelta

from tasks.warm_alone import Alone

NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def tick() -> None:
    """Tick."""


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_a_worker_that_never_ran_does_not_start_by_itself() -> None:
    """Neither silence from the start nor a server without runs lets it tick."""
    alone = Alone(tick)
    assert not alone.due(at(100))
    alone.heard(at(0))
    assert not alone.due(at(100))


def test_silence_is_bridged_at_the_pace_of_the_schedule() -> None:
    """After fifteen seconds of silence it ticks once per interval, until the server is heard."""
    alone = Alone(tick)
    alone.heard(at(0))
    alone.ran(at(0), 2.0)
    assert [second for second in range(30) if alone.due(at(second))] == list(range(15, 30))
    assert alone.ticked(at(15))
    assert not alone.due(at(16))
    assert alone.due(at(17))
    assert not alone.ticked(at(17))
    assert alone.heard(at(18))
    assert not alone.heard(at(19))
    assert not alone.due(at(20))


def test_a_paused_deployment_stays_paused() -> None:
    """Where the last run was long before the server fell silent, nothing ticks."""
    alone = Alone(tick)
    alone.ran(at(0), 2.0)
    alone.heard(at(100))
    assert not alone.due(at(1_000))


def test_a_long_interval_has_longer_patience() -> None:
    """Three intervals must pass in silence before the first tick alone."""
    alone = Alone(tick)
    alone.heard(at(0))
    alone.ran(at(0), 60.0)
    assert not alone.due(at(179))
    assert alone.due(at(180))


def test_a_single_run_without_interval_says_nothing() -> None:
    """A run started by hand does not make the worker tick by itself later."""
    alone = Alone(tick)
    alone.heard(at(0))
    alone.ran(at(0), None)
    assert not alone.due(at(60))


def test_news_of_an_order_brings_a_tick_forward() -> None:
    """Between two scheduled runs news makes an urgent tick, half a second after the last one at the earliest."""
    news = [True]
    alone = Alone(tick, news=lambda: news[0])
    alone.heard(at(0))
    assert not alone.due(at(1)), "nothing has run yet"
    alone.ran(at(1), 5.0)
    assert not alone.due(at(1.2))
    assert alone.due(at(1.6))
    assert not alone.ticked(at(1.6)), "the server is there"
    assert not alone.ticking
    assert not alone.due(at(1.9))
    assert alone.due(at(2.1))
    news[0] = False
    assert not alone.due(at(3))


def test_news_does_not_wake_a_paused_deployment() -> None:
    """Where the scheduled runs have ended, however many urgent ticks there were, news starts no tick."""
    alone = Alone(tick, news=lambda: True)
    alone.ran(at(0), 2.0)
    urgent: list[int] = []
    for second in range(1, 40):
        alone.heard(at(second))
        if alone.due(at(second)):
            assert not alone.ticked(at(second))
            urgent.append(second)
    assert urgent == list(range(1, 16))


def test_a_server_too_slow_to_start_a_run_is_not_waited_for() -> None:
    """It answers now and then, but no run was executed for the patience: tick; the next executed run ends it."""
    alone = Alone(tick)
    alone.heard(at(0))
    alone.ran(at(0), 5.0)
    alone.missed()
    assert not alone.heard(at(14))
    assert not alone.due(at(14))
    assert alone.due(at(15))
    assert alone.ticked(at(15))
    assert not alone.heard(at(16)), "an answer alone is no run"
    assert [second for second in range(16, 22) if alone.due(at(second))] == [20, 21]
    alone.ran(at(21), 5.0)
    assert alone.heard(at(22)), "runs are executed again"
    assert not alone.due(at(35))


def test_a_pause_ends_what_a_slow_server_began() -> None:
    """Nothing is planned any more: who paused the deployment means it."""
    alone = Alone(tick)
    alone.ran(at(0), 5.0)
    alone.missed()
    alone.unplanned()
    alone.heard(at(40))
    assert not alone.due(at(60))
