"""A whole portfolio beside web sockets: a fill brings its tick forward, and a socket that is lost costs nothing but time."""

import asyncio
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tasks import exchange_line, exchange_streams
from tasks.cli import main
from tasks.opening import open_session
from tasks.session import Session
from tasks.stream_news import rest, told_more
from tasks.ticking import tick
from tests.wire.exchange_server import ExchangeServer
from tests.wire.streaming import gone
from tests.wire.trading import keys, stored, wallet, write_portfolio

STREAMED = "market: spot, streams: true, api_url"


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    """Run the loopback exchange."""
    with ExchangeServer() as exchange:
        yield exchange


@pytest.fixture(autouse=True)
def _shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    # The same rules within a test's time.
    monkeypatch.setattr(exchange_streams, "STALL_S", 2.0)
    monkeypatch.setattr(exchange_streams, "LOST_S", 0.6)
    monkeypatch.setattr(exchange_streams, "FRESH_S", 0.5)
    monkeypatch.setattr(exchange_line, "PAUSE_FIRST_S", 0.2)


@pytest.fixture
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in keys().items():
        monkeypatch.setenv(name, value)


def streaming_portfolio(folder: Path, server: ExchangeServer) -> Path:
    """Write the wire portfolio with streams at its venue."""
    file = write_portfolio(folder, server)
    text = file.read_text()
    file.write_text(text.replace("market: spot, api_url", STREAMED))
    assert STREAMED in file.read_text()
    return file


async def open_sockets(session: Session) -> None:
    """Tick until the sockets of the portfolio's venue are up: they open from the second tick on."""
    await tick(session)
    await tick(session)
    streams = session.venues["spot"].streams
    assert await gone(lambda: not streams.up, 20)


@pytest.mark.usefixtures("_keys")
def test_a_fill_brings_the_next_tick_forward(tmp_path: Path, server: ExchangeServer) -> None:
    """A portfolio at long intervals books a fill, and answers it, as soon as the socket tells of it."""

    async def run(file: Path) -> float:
        session, never = await open_session(file), asyncio.Event()
        try:
            await open_sockets(session)
            assert told_more(session), "it was opened just now, and knows nothing of what was before"
            for _ in range(3):
                await tick(session)
                await asyncio.sleep(0.3)
            assert not told_more(session), "what our own orders did is known already"
            began = time.monotonic()
            server.spot.move("BTCUSDT", Decimal(59500))
            await rest(session, never, 60)
            waited_s = time.monotonic() - began
            done = await tick(session)
            assert done.fills > 0
            assert done.orders_placed > 0
            return waited_s
        finally:
            await session.close()

    file = streaming_portfolio(tmp_path, server)
    assert asyncio.run(run(file)) < 20
    assert wallet(file)["USDT"] == server.spot.free["USDT"] + server.spot.locked["USDT"]
    assert stored(file, "SELECT kind FROM incidents") == []


@pytest.mark.usefixtures("_keys")
def test_news_waits_while_the_request_weight_is_used_up(
    tmp_path: Path, server: ExchangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a socket told while the exchange is too busy for an early tick is not forgotten: it hastens the first that may be."""

    async def run(file: Path) -> None:
        session = await open_session(file)
        try:
            await open_sockets(session)
            assert told_more(session), "it was opened just now"
            await tick(session)
            await asyncio.sleep(0.3)
            assert not told_more(session)
            server.spot.move("BTCUSDT", Decimal(59500))
            await asyncio.sleep(1)
            with monkeypatch.context() as used:
                used.setattr("tasks.exchange.BUSY_SHARE", -1.0)
                assert not told_more(session), "nothing is read before its time"
            assert told_more(session)
            assert not told_more(session), "it is asked once"
        finally:
            await session.close()

    asyncio.run(run(streaming_portfolio(tmp_path, server)))


@pytest.mark.usefixtures("_keys")
def test_a_lost_stream_is_one_incident(tmp_path: Path, server: ExchangeServer) -> None:
    """Sockets that cannot be had are one warning a line, resolved when they speak again; trading goes on meanwhile."""

    async def run(file: Path) -> None:
        session = await open_session(file)

        async def ticks(met: Callable[[], bool]) -> None:
            ends = time.monotonic() + 30
            while not met():
                assert time.monotonic() < ends, session.world.incidents
                await asyncio.sleep(0.2)
                server.begin_minute()
                await tick(session)

        try:
            server.sockets.refuse = [503] * 99
            lost = {f"stream_lost//spot {line}" for line in ("quotes", "last", "orders")}
            await ticks(lambda: lost <= set(session.world.incidents))
            server.sockets.refuse.clear()
            await ticks(lambda: not session.world.incidents)
        finally:
            await session.close()

    file = streaming_portfolio(tmp_path, server)
    asyncio.run(run(file))
    rows = stored(file, "SELECT kind, severity, resolved_at IS NOT NULL FROM incidents")
    assert rows == [("stream_lost", "warning", True)] * 3
    assert len(server.spot.orders) >= 5


@pytest.mark.usefixtures("_keys")
def test_a_single_tick_says_that_it_reads(
    tmp_path: Path, server: ExchangeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """`gridkeeper tick` opens no socket and says so in one line."""
    assert main(["tick", "--portfolio", str(streaming_portfolio(tmp_path, server)), "--json"]) == 0
    assert "over REST" in capsys.readouterr().err
    assert server.sockets.dials == []
