"""The whole tick over played candles: gather, decide, commit, act, with real stores and the durable paper venue."""

import os
import sqlite3
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from tasks import inbox
from tasks.errors import Halted, Refused
from tasks.session import Session
from tests.tasks.played import play, stored, write_candles, write_portfolio

CANDLES = 400


@pytest.fixture
def portfolio(tmp_path: Path) -> Path:
    """Return a portfolio over 400 made-up candles."""
    return write_portfolio(tmp_path, write_candles(tmp_path / "candles.csv", CANDLES))


def test_a_run_trades_and_its_books_agree(portfolio: Path) -> None:
    """After a run the paper venue's own balances equal the ledger's wallet to the last digit, and every trade is stored once."""
    done = play(portfolio, CANDLES)
    assert sum(one.fills for one in done) > 20
    wallet = dict(stored(portfolio, "SELECT asset, sum(amount) FROM ledger WHERE account = 'wallet' GROUP BY asset"))
    books = sqlite3.connect(portfolio.parent / "data" / "paper" / "spot.sqlite")
    held = {asset: Decimal(text) for asset, text in books.execute("SELECT asset, amount FROM balances")}
    made = [str(number) for (number,) in books.execute("SELECT trade_id FROM trades ORDER BY trade_id")]
    books.close()
    assert wallet == held
    assert [t for (t,) in stored(portfolio, "SELECT trade_id FROM fills ORDER BY CAST(trade_id AS INTEGER)")] == made
    assert stored(portfolio, "SELECT txn_id, asset FROM ledger GROUP BY txn_id, asset HAVING sum(amount) <> 0") == []


def test_the_same_run_twice_is_the_same_to_the_byte(tmp_path: Path) -> None:
    """Two runs over the same candles store identical fills and ledgers, ids and times included."""
    told: list[list[list[tuple]]] = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        file = write_portfolio(folder, write_candles(folder / "candles.csv", CANDLES))
        play(file, CANDLES)
        told.append(
            [stored(file, f"SELECT * FROM {table} ORDER BY ALL") for table in ("fills", "ledger", "orders", "journal")]
        )
    assert told[0] == told[1]
    assert len(told[0][0]) > 20


def test_a_run_that_is_cut_goes_on_where_it_was(tmp_path: Path) -> None:
    """Stopping and starting every few ticks gives the same fills and ledger as one long run."""
    told: list[list[list[tuple]]] = []
    for name, cut in (("whole", CANDLES), ("cut", 37)):
        folder = tmp_path / name
        folder.mkdir()
        file = write_portfolio(folder, write_candles(folder / "candles.csv", CANDLES))
        for _ in range(-(-CANDLES // cut)):
            play(file, cut)
        told.append([stored(file, f"SELECT * FROM {table} ORDER BY ALL") for table in ("fills", "ledger")])
    assert told[0] == told[1]


def test_a_quiet_tick_writes_one_row_and_nothing_else(portfolio: Path) -> None:
    """Where nothing happens only `ticks` grows."""
    before: dict[str, int] = {}
    quiet = 0

    def watch(_: int, session: Session) -> None:
        nonlocal quiet
        session.store.flush()
        con = session.store.reader()
        tables = ("orders", "fills", "ledger", "lots", "levels", "journal", "incidents", "bot_state", "ticks")
        now = {t: con.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables}  # type: ignore[index]
        last = con.execute("SELECT quiet FROM ticks ORDER BY tick_id DESC LIMIT 1").fetchone()
        con.close()
        if before and last is not None and last[0]:
            quiet += 1
            assert now.pop("ticks") == before.pop("ticks") + 1
            assert now == {k: before[k] for k in now}
            now["ticks"] = 0
            now["ticks"] = session.tick_id
        before.clear()
        before.update(now)

    play(portfolio, 120, watch)
    assert quiet > 20


def test_a_second_instance_is_refused(portfolio: Path) -> None:
    """The store is the fence: while one process ticks, another waits ten seconds, exits 4 and names the holder."""
    said: list[subprocess.CompletedProcess[str]] = []

    def intrude(number: int, _: Session) -> None:
        if number == 1:
            command = [sys.executable, "-m", "tasks.cli", "tick", "--portfolio", str(portfolio)]
            said.append(subprocess.run(command, capture_output=True, text=True, check=False, timeout=60))

    play(portfolio, 2, intrude)
    assert said[0].returncode == 4
    assert str(os.getpid()) in said[0].stderr


def test_pause_and_resume_reach_the_bot_through_the_inbox(portfolio: Path) -> None:
    """A paused bot places no entry, keeps its exits working, and goes on after resume; the journal says who and why."""

    def say(number: int, session: Session) -> None:
        if number == 50:
            inbox.submit(session.data_dir, "g1", "pause", "ann", "news")
        if number == 250:
            inbox.submit(session.data_dir, "g1", "resume", "ann", "")

    play(portfolio, CANDLES, say)
    entries = stored(portfolio, "SELECT tick_id FROM journal WHERE decision = 'PLACE' AND subject LIKE 'e%'")
    ticks = [tick for (tick,) in entries]
    assert not [tick for tick in ticks if 51 <= tick <= 250]
    assert [tick for tick in ticks if tick > 250]
    said = stored(portfolio, "SELECT decision, reason FROM journal WHERE subject = 'control' ORDER BY tick_id")
    assert [word for word, _ in said] == ["pause", "resume"]
    assert "ann: news" in said[0][1]


def test_flatten_sells_everything_and_halts(portfolio: Path) -> None:
    """After flatten nothing is held, nothing rests, and the bot is halted until released."""

    def say(number: int, session: Session) -> None:
        if number == 30:
            inbox.submit(session.data_dir, "g1", "flatten", "ann", "")

    play(portfolio, 60, say)
    assert stored(portfolio, "SELECT count(*) FROM lots WHERE qty > 0.001") == [(0,)]
    assert stored(portfolio, "SELECT count(*) FROM orders WHERE status IN ('OPEN', 'PENDING', 'CANCELING')") == [(0,)]
    assert stored(portfolio, "SELECT mode FROM bot_state") == [("halted",)]


def test_a_grid_below_the_exchange_minimum_is_refused_and_writes_nothing(tmp_path: Path) -> None:
    """A refused portfolio leaves no file behind and names the amount that would work."""
    file = write_portfolio(tmp_path, write_candles(tmp_path / "candles.csv", 10), bot=", min_order_amount_quote: 500")
    with pytest.raises(Refused) as refused:
        play(file, 1)
    assert refused.value.key == "bots[0].total_amount_quote"
    assert "works" in refused.value.reason
    assert not (tmp_path / "data").exists()


def test_another_portfolio_cannot_take_over_a_store(portfolio: Path) -> None:
    """A store is stamped with what it belongs to; another id in the file is refused with exit code 2."""
    play(portfolio, 3)
    portfolio.write_text(portfolio.read_text().replace("id: test", "id: other"))
    with pytest.raises(Refused) as refused:
        play(portfolio, 1)
    assert refused.value.exit_code == 2


def test_a_grid_that_was_moved_under_its_lots_is_refused(portfolio: Path) -> None:
    """Changing the range of a bot that holds lots would sell them at other prices; it is refused with what to do."""
    play(portfolio, 30)
    portfolio.write_text(portfolio.read_text().replace("end_price: 110", "end_price: 111"))
    with pytest.raises(Refused, match="another id") as refused:
        play(portfolio, 1)
    assert refused.value.exit_code == 2


def test_cancel_takes_entries_off_for_one_tick(portfolio: Path) -> None:
    """The word cancel withdraws every resting entry, places none at that moment, and the next one places them again."""
    seen: dict[int, int] = {}

    def say(number: int, session: Session) -> None:
        orders = [work.order for bot in session.world.bots.values() for work in bot.works.values() if work.order]
        seen[number] = sum(1 for order in orders if order.role.value == "e" and order.live)
        if number == 30:
            inbox.submit(session.data_dir, "g1", "cancel", "ann", "")

    play(portfolio, 34, say)
    assert seen[30] > 0
    assert seen[33] > 0
    gone = stored(portfolio, "SELECT ts, subject FROM journal WHERE tick_id = 31 AND decision = 'CANCEL'")
    assert len(gone) == seen[30]
    placed = "SELECT ts FROM journal WHERE tick_id = 31 AND decision = 'PLACE' AND subject LIKE 'e%'"
    assert gone[0][0] not in [ts for (ts,) in stored(portfolio, placed)]


def test_a_lost_store_does_not_start_beside_its_old_orders(portfolio: Path) -> None:
    """Where the store is gone but its account still has orders, a start halts with exit code 3 and says what to do."""
    play(portfolio, 5)
    for file in (portfolio.parent / "data").glob("trading.duckdb*"):
        file.unlink()
    with pytest.raises(Halted, match="gone") as halted:
        play(portfolio, 1)
    assert halted.value.exit_code == 3
