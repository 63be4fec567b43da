"""A portfolio file edited while it runs: taken over whole between two ticks, or refused whole with the reason."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from core.engine import Mode
from tasks.errors import Refused
from tasks.reload_rules import compare
from tasks.session import Session
from tasks.settings import load_portfolio
from tests.tasks.played import play, stored, write_candles, write_portfolio
from tests.tasks.prefect_lab import wait_until

SECOND = """
  - {id: g2, kind: grid, venue: spot, symbol: COIN/USDT, start_price: 95, end_price: 105, levels: 5,
     total_amount_quote: 500, on_stop: %s}
"""


@pytest.fixture
def portfolio(tmp_path: Path) -> Path:
    """Return a portfolio over 400 made-up candles."""
    return write_portfolio(tmp_path, write_candles(tmp_path / "candles.csv", 400))


def edit(file: Path, change: Callable[[str], str]) -> None:
    """Edit a file as if it had been done a while ago."""
    file.write_text(change(file.read_text()))
    os.utime(file, (time.time() - 5, time.time() - 5 + file.stat().st_size / 1e6))


def acting(at: int, deed: Callable[[], None]) -> Callable[[int, Session], None]:
    """Do something before a tick."""
    return lambda number, _: deed() if number == at else None


def reasons(file: Path, decision: str) -> list[str]:
    """The journal's reasons of a decision."""
    return [reason for (reason,) in stored(file, f"SELECT reason FROM journal WHERE decision = '{decision}'")]


def test_limits_change_between_two_ticks(portfolio: Path) -> None:
    """A new cap counts from the next decision on: no entry is placed above it, and the journal has both values."""
    deed = acting(
        50, lambda: edit(portfolio, lambda text: text.replace("\nbots:", "\nrisk: {max_exposure_quote: 1}\nbots:"))
    )
    last: list[int] = []

    def watch(number: int, session: Session) -> None:
        deed(number, session)
        if number == 52:
            last.append(session.tick_id)

    play(portfolio, 150, watch)
    assert reasons(portfolio, "CONFIG") == ["risk.max_exposure_quote None -> 1"]
    after = stored(portfolio, f"SELECT decision, subject, reason FROM journal WHERE tick_id > {last[0]}")
    assert [subject for decision, subject, _ in after if decision == "PLACE" and subject[0] == "e"] == []
    assert {reason for decision, _, reason in after if decision == "DECLINED"} == {
        "max_exposure_quote 1 would be passed"
    }


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("initial_inventory: market", "initial_inventory: none", "bots[0].initial_inventory"),
        ("data_dir: data", "data_dir: other", "data_dir"),
        ("levels: 20", "levels: many", "levels"),
        ("id: g1", "id: g1, id: g2", "stands twice"),
        ("bots:", "bits:", "is missing"),
    ],
)
def test_what_may_not_change_is_refused_whole(old: str, new: str, word: str, portfolio: Path) -> None:
    """One forbidden or broken field refuses the edit with its key; the allowed change beside it is not taken either."""

    def deed() -> None:
        edit(
            portfolio,
            lambda text: text.replace(old, new).replace("\nvenues:", "\nrisk: {max_exposure_quote: 1}\nvenues:"),
        )

    limits: list[object] = []
    play(portfolio, 60, lambda n, s: (acting(20, deed)(n, s), limits.append(s.world.limits.max_exposure_quote))[0])
    assert set(limits) == {None}
    assert word in reasons(portfolio, "REFUSED")[0]
    assert stored(portfolio, "SELECT kind, resolved_at FROM incidents") == [("config_refused", None)]


def test_a_refused_edit_that_is_taken_back_resolves_its_incident(portfolio: Path) -> None:
    """Putting the old value back ends it; trading went on all the time."""

    def watch(number: int, session: Session) -> None:
        market, resting = "initial_inventory: market", "initial_inventory: resting"
        acting(20, lambda: edit(portfolio, lambda text: text.replace(market, resting)))(number, session)
        acting(40, lambda: edit(portfolio, lambda text: text.replace(resting, market)))(number, session)

    done = play(portfolio, 100, watch)
    assert stored(portfolio, "SELECT count(*) FROM incidents WHERE resolved_at IS NULL") == [(0,)]
    assert sum(one.fills for one in done[20:40]) > 0


def test_a_bot_is_added_and_trades(portfolio: Path) -> None:
    """A new bot on a market that is traded starts with the next tick, and knows itself after a restart."""
    deed = acting(20, lambda: edit(portfolio, lambda text: text + SECOND % "cancel"))
    play(portfolio, 100, deed)
    assert stored(portfolio, "SELECT count(*) > 0 FROM fills WHERE bot_id = 'g2'") == [(True,)]
    done = play(portfolio, 50)
    assert all(one.incidents == 0 for one in done)


@pytest.mark.parametrize("how", ["leave", "cancel", "flatten"])
def test_a_removed_bot_is_stopped_as_it_says(how: str, portfolio: Path) -> None:
    """leave: its orders rest and it places none; cancel: they are gone; flatten: so is its inventory, and it has ended."""
    edit(portfolio, lambda text: text + SECOND % how)
    first = portfolio.read_text()
    without = first[: first.index("  - {id: g2")]
    worlds: list[Mode | None] = []

    def watch(number: int, session: Session) -> None:
        acting(60, lambda: edit(portfolio, lambda _: without))(number, session)
        bot = session.world.bots.get("g2")
        worlds.append(bot.mode if bot is not None else None)

    play(portfolio, 64, watch)
    open_orders = stored(portfolio, "SELECT count(*) FROM orders WHERE bot_id = 'g2' AND status = 'OPEN'")[0][0]
    held = stored(portfolio, "SELECT coalesce(sum(qty), 0) FROM lots WHERE bot_id = 'g2'")[0][0]
    known = json.loads((portfolio.parent / "data" / "bots.json").read_text())
    if how == "flatten":
        assert (open_orders, held, worlds[-1], known["stopping"]) == (0, 0, None, {})
    else:
        assert worlds[-1] is {"leave": Mode.LEFT, "cancel": Mode.STOPPED}[how]
        assert (open_orders > 0) is (how == "leave")
        assert list(known["stopping"]) == ["g2"]
    play(portfolio, 60)
    later = "created_at > (SELECT max(ts) FROM journal WHERE decision = 'CONFIG') AND role <> 'unwind'"
    assert stored(portfolio, f"SELECT count(*) FROM orders WHERE bot_id = 'g2' AND {later}") == [(0,)]
    assert stored(portfolio, "SELECT count(*) FROM incidents") == [(0,)]
    bad = stored(portfolio, "SELECT txn_id FROM ledger GROUP BY txn_id, asset HAVING sum(amount) <> 0")
    assert bad == []


def test_a_bot_removed_while_nothing_ran_is_not_forgotten(portfolio: Path) -> None:
    """The next start stops it as its configuration said; put back into the file it trades on."""
    edit(portfolio, lambda text: text + SECOND % "cancel")
    first = portfolio.read_text()
    play(portfolio, 60)
    edit(portfolio, lambda text: text[: text.index("  - {id: g2")])
    modes: list[Mode] = []
    play(portfolio, 5, lambda _, session: modes.append(session.world.bots["g2"].mode))
    assert modes[-1] is Mode.STOPPED
    assert stored(portfolio, "SELECT count(*) FROM orders WHERE bot_id = 'g2' AND status = 'OPEN'") == [(0,)]
    deed = acting(1, lambda: edit(portfolio, lambda _: first))
    play(portfolio, 20, lambda n, s: (deed(n, s), modes.append(s.world.bots["g2"].mode))[0])
    assert modes[-1] is Mode.RUN
    assert stored(portfolio, "SELECT count(*) > 0 FROM orders WHERE bot_id = 'g2' AND status = 'OPEN'") == [(True,)]


def test_a_bot_that_nobody_knows_any_more_is_an_incident(portfolio: Path) -> None:
    """With bots.json lost as well, what is left of the bot is named."""
    edit(portfolio, lambda text: text + SECOND % "cancel")
    play(portfolio, 60)
    (portfolio.parent / "data" / "bots.json").unlink()
    edit(portfolio, lambda text: text[: text.index("  - {id: g2")])
    play(portfolio, 2)
    assert stored(portfolio, "SELECT kind, bot_id, severity FROM incidents") == [("bot_forgotten", "g2", "critical")]


def test_range_and_money_of_a_running_grid_change(portfolio: Path) -> None:
    """Entries move to the new lines, what is held leaves where it was planned to, books balance, a restart goes on."""
    change = acting(
        60,
        lambda: edit(
            portfolio,
            lambda text: text.replace("start_price: 90, end_price: 110", "start_price: 92, end_price: 108").replace(
                "total_amount_quote: 2000", "total_amount_quote: 3000"
            ),
        ),
    )
    prices: dict[str, set[Decimal]] = {}

    def watch(number: int, session: Session) -> None:
        change(number, session)
        if number in {60, 64}:
            works = session.world.bots["g1"].works
            for word, letter in (("entries", "e"), ("exits", "x")):
                legs = [work.leg for leg, work in works.items() if leg[0] == letter and work.leg is not None]
                prices[f"{word} {number}"] = {leg.price for leg in legs if leg.price is not None}

    play(portfolio, 150, watch)
    assert "total_amount_quote 2000 -> 3000" in reasons(portfolio, "CONFIG")[0]
    lines = {Decimal(92) + Decimal(16) * i / 20 for i in range(20)}
    assert prices["entries 64"] <= lines
    assert prices["exits 64"] & prices["exits 60"]
    done = play(portfolio, 150)
    assert sum(one.fills for one in done) > 0
    assert stored(portfolio, "SELECT count(*) FROM incidents WHERE resolved_at IS NULL") == [(0,)]
    assert {price for (price,) in stored(portfolio, "SELECT DISTINCT entry_price FROM levels")} == lines


def test_an_edit_that_would_drop_levels_is_refused(portfolio: Path) -> None:
    """Fewer levels than are on record need another bot; nothing else of the edit is taken."""
    change = acting(20, lambda: edit(portfolio, lambda text: text.replace("levels: 20", "levels: 10")))
    play(portfolio, 40, change)
    assert "bots[0].levels" in reasons(portfolio, "REFUSED")[0]


def test_only_declared_fields_change(portfolio: Path) -> None:
    """The comparison names the first field that asks for a restart."""
    old = load_portfolio(portfolio)
    edit(portfolio, lambda text: text.replace("levels: 20", "levels: 20, max_open_orders: 5"))
    assert compare(old, load_portfolio(portfolio)).words == ("bot g1: max_open_orders None -> 5",)
    edit(portfolio, lambda text: text.replace("levels: 20", "levels: 20, max_drawdown: 0.1, trigger_price: 95"))
    with pytest.raises(Refused, match=r"bots\[0\].trigger_price.*restart"):
        compare(old, load_portfolio(portfolio))


REAL = """
id: reload
mode: paper
data_dir: data
venues: [{id: spot, exchange: binance}]
feed: {kind: synthetic, seed: 7, speed: 60}
risk: {max_exposure_quote: 5000}
bots:
  - {id: btc1, kind: grid, venue: spot, symbol: BTC/USDT, start_price: 90000, end_price: 130000,
     total_amount_quote: 2000, levels: 10}
"""


def test_a_real_process_takes_an_edit_over(tmp_path: Path) -> None:
    """`gridkeeper run`, edited while it runs: one edit is refused, the next is taken, and the books are whole."""
    file = tmp_path / "portfolio.yaml"
    file.write_text(REAL)
    command = [sys.executable, "-m", "tasks.cli", "run", "--portfolio", str(file), "--interval", "0.2"]
    process = subprocess.Popen(
        command, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    known = tmp_path / "data" / "bots.json"
    try:
        wait_until(known.exists, "the first tick")
        file.write_text(REAL.replace("levels: 10", "levels: 10, trigger_price: 100000"))
        time.sleep(2.5)
        file.write_text(REAL + REAL[REAL.index("  - {id: btc1") :].replace("btc1", "btc2"))
        wait_until(lambda: "btc2" in known.read_text(), "the second bot is taken over")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(15)
    assert process.returncode == 0
    assert "bots[0].trigger_price" in reasons(file, "REFUSED")[0]
    assert reasons(file, "CONFIG") == ["bot btc2 added"]
    assert stored(file, "SELECT count(*) FROM incidents WHERE resolved_at IS NULL") == [(0,)]
