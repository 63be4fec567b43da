"""What seeded bugs showed to be untested: each test here was written because a mutant had lived (benchmarks/mutants.py)."""

from datetime import datetime
from pathlib import Path

import pytest

from core.orders import Order
from tasks.paper import PaperVenue
from tasks.session import Session
from tasks.venue import Answer
from tests.tasks.played import play, write_candles, write_portfolio


def test_an_order_is_stored_before_it_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """I-05: at the moment in which the venue hears of an order, another reader of the store finds it committed."""
    place = PaperVenue.place
    opened: list[Session] = []
    stored: list[bool] = []

    async def look_first(self: PaperVenue, order: Order, now: datetime) -> Answer:
        reader = opened[0].store.reader()
        found = reader.execute("SELECT count(*) FROM orders WHERE client_id = ?", [order.client_id]).fetchone()
        reader.close()
        stored.append(found == (1,))
        return await place(self, order, now)

    monkeypatch.setattr(PaperVenue, "place", look_first)
    play(
        write_portfolio(tmp_path, write_candles(tmp_path / "candles.csv", 40)), 40,
        lambda _, session: opened.append(session),
    )  # fmt: skip
    assert len(stored) > 20
    assert all(stored)
