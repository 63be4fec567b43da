"""An account in hedge mode against the loopback exchange: which position an order is for, what is read, what is refused."""

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.facts import Accepted, Refused
from core.orders import Kind, Role
from tasks.errors import Refused as ConfigOff
from tasks.exchange_clock import utc_now
from tasks.session import Session
from tasks.settings import check
from tasks.venue import ConfigRefused, ReadFailed
from tests.wire.accounts import SWAP, account, order, venue_at
from tests.wire.exchange_server import API_KEY, SECRET, ExchangeServer
from tests.wire.trading import stored, trade

D = Decimal
SIDES = {("b1", SWAP.symbol): "SELL", ("b2", SWAP.symbol): "BUY"}
GRID: dict[str, Any] = {
    "kind": "grid", "venue": "perp", "symbol": SWAP.symbol, "start_price": 59000, "end_price": 61000, "levels": 5,
    "total_amount_quote": 2000,
}  # fmt: skip


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    with ExchangeServer() as exchange:
        exchange.swap.hedged = True
        yield exchange


def test_each_bot_trades_the_position_of_its_side(server: ExchangeServer) -> None:
    """A short and a long stand beside each other; closing one leaves the other; what is read is their sum."""

    async def scene() -> None:
        async with account(server, SWAP, position_mode="hedge", directions=SIDES) as venue:

            async def trade(name: str, side: str, price: str, qty: str, bot: str, *, closes: bool = False) -> Decimal:
                made = order(
                    SWAP, name, side, price, qty, bot_id=bot, kind=Kind.MARKET, reduce_only=closes, role=Role.HEDGE
                )
                assert isinstance(await venue.place(made, utc_now()), Accepted)
                [read] = await venue.positions([SWAP.symbol], utc_now())
                return read.qty

            assert await trade("a1", "sell", "59000", "0.02", "b1") == D("-0.02")
            assert await trade("a2", "buy", "61000", "0.02", "b2") == 0
            assert venue.reader.standing == {SWAP.symbol}, "long and short of one size are not nothing"
            assert await trade("a3", "buy", "61000", "0.01", "b1", closes=True) == D("0.01")
        standing = {name: held.qty for name, held in server.swap.positions.items()}
        assert standing == {"BTCUSDT SHORT": D("-0.01"), "BTCUSDT LONG": D("0.02")}

    asyncio.run(scene())


def test_no_order_turns_a_position_over(server: ExchangeServer) -> None:
    """The exchange refuses to buy back what is not short, though no order says reduceOnly there."""

    async def scene() -> None:
        async with account(server, SWAP, position_mode="hedge", directions=SIDES) as venue:
            made = order(SWAP, "a1", "buy", "61000", bot_id="b1", kind=Kind.MARKET, reduce_only=True)
            answer = await venue.place(made, utc_now())
            assert isinstance(answer, Refused)
            assert "ReduceOnly" in answer.reason
            assert server.swap.trades == []

    asyncio.run(scene())


def test_a_stop_rests_for_its_side(server: ExchangeServer) -> None:
    """The stop of a short is taken by its position's name and closes that one alone."""

    async def scene() -> None:
        async with account(server, SWAP, position_mode="hedge", directions=SIDES) as venue:
            for name, side, price, bot in (("a1", "sell", "59000", "b1"), ("a2", "buy", "61000", "b2")):
                await venue.place(order(SWAP, name, side, price, bot_id=bot, kind=Kind.MARKET), utc_now())
            stop = order(
                SWAP, "a3", "buy", None, bot_id="b1", kind=Kind.STOP_MARKET, role=Role.STOP, reduce_only=True,
                stop_price=D(66000),
            )  # fmt: skip
            assert isinstance(await venue.place(stop, utc_now()), Accepted)
            server.swap.move("BTCUSDT", "66500")
            [read] = await venue.positions([SWAP.symbol], utc_now())
            assert read.qty == D("0.01")

    asyncio.run(scene())


def test_a_bot_without_a_side_sends_nothing(server: ExchangeServer) -> None:
    """An order whose position nobody can name is refused before it leaves the house."""

    async def scene() -> None:
        async with account(server, SWAP, position_mode="hedge", directions=SIDES) as venue:
            answer = await venue.place(order(SWAP, "a1", "sell", "59000", bot_id="b3"), utc_now())
            assert isinstance(answer, Refused)
            assert "no one side" in answer.reason
            assert server.log == []

    asyncio.run(scene())


def test_leverage_is_left_alone_while_both_sides_stand(server: ExchangeServer) -> None:
    """Their sum is zero, and yet changing leverage would change both (RULES 8)."""

    async def scene() -> None:
        async with account(server, SWAP, position_mode="hedge", directions=SIDES) as venue:
            for name, side, price, bot in (("a1", "sell", "59000", "b1"), ("a2", "buy", "61000", "b2")):
                await venue.place(order(SWAP, name, side, price, bot_id=bot, kind=Kind.MARKET), utc_now())
        again = venue_at(server, SWAP, position_mode="hedge", directions=SIDES, leverage={SWAP.symbol: 3})
        try:
            with pytest.raises(ConfigRefused) as caught:
                await again.start([SWAP.symbol])
            assert caught.value.key == "leverage"
        finally:
            await again.close()

    asyncio.run(scene())


def test_a_mode_that_changes_under_way_is_no_reading(server: ExchangeServer) -> None:
    """Somebody switched the account: its rows are not summed as if they were of the other mode."""

    async def scene() -> None:
        async with account(server, SWAP, position_mode="hedge", directions=SIDES) as venue:
            server.swap.hedged = False
            server.swap.place({"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.01"})
            with pytest.raises(ReadFailed, match="one-way mode"):
                await venue.positions([SWAP.symbol], utc_now())

    asyncio.run(scene())


@pytest.mark.parametrize("side", ["BUY", "NEUTRAL"])
def test_each_bot_of_a_hedge_mode_venue_has_one_side(side: str) -> None:
    """A neutral grid could stand on both, so nobody could say which position its order is for."""
    raw = {
        "id": "wire", "mode": "paper",
        "venues": [{"id": "perp", "exchange": "binanceusdm", "market": "swap", "position_mode": "hedge"}],
        "bots": [GRID | {"id": "up", "side": side}, GRID | {"id": "down", "side": "SELL"}],
    }  # fmt: skip
    if side == "BUY":
        check(raw, {})
        return
    with pytest.raises(ConfigOff) as caught:
        check(raw, {})
    assert (caught.value.key, "either side" in caught.value.reason) == ("bots[0].venue", True)


def test_two_grids_trade_against_each_other_on_one_symbol(
    server: ExchangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long and short side by side through whole ticks: the exchange's two positions are the two bots' books."""
    monkeypatch.setenv("WIRE_KEY", API_KEY)
    monkeypatch.setenv("WIRE_SECRET", SECRET)
    file = tmp_path / "portfolio.yaml"
    bots = [GRID | {"id": "up", "side": "BUY"}, GRID | {"id": "down", "side": "SELL"}]
    perp = {
        "id": "perp", "exchange": "binanceusdm", "market": "swap", "position_mode": "hedge", "api_url": server.url,
        "api_key": "${WIRE_KEY}", "secret": "${WIRE_SECRET}",
    }  # fmt: skip
    risk = {"max_exposure_quote": 20000, "max_drawdown": 0.5, "unknown_quarantine_s": 1}
    told = {"id": "wire", "mode": "demo", "data_dir": "data", "venues": [perp], "risk": risk, "bots": bots}
    file.write_text(yaml.safe_dump(told))
    prices = {3: 59600, 5: 60500, 7: 59800}

    def move(number: int, _: Session) -> None:
        if number in prices:
            server.swap.move("BTCUSDT", D(prices[number]))

    trade(file, 11, move)
    sums = stored(file, "SELECT bot_id, sum(CASE side WHEN 'buy' THEN qty ELSE -qty END) FROM fills GROUP BY 1")
    held = dict(sums)
    standing = {name: one.qty for name, one in server.swap.positions.items()}
    assert standing == {"BTCUSDT LONG": held["up"], "BTCUSDT SHORT": held["down"]}
    assert held["up"] > 0 > held["down"]
    assert stored(file, "SELECT kind, detail FROM incidents WHERE resolved_at IS NULL") == []
