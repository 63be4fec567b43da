"""The store as fence and as memory: who may hold it, what it refuses, what a failed commit leaves behind."""

import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from core.engine import Incident, Step, World, advance
from core.facts import Action as Word
from core.facts import BalanceRead, Command, Fact, Fill, FundingPaid
from core.market import Quote
from core.values import Side
from tasks.store import Store, TickRow, open_store
from tasks.store_open import AmountRefused, StampMismatch, StoreBusy, StoreDamaged, StoreLost
from tasks.store_rows import amount, tidy
from tests.tasks.store_worlds import START, SYMBOL, grid_spec, new_account, new_world, walk

ROOT = Path(__file__).parents[2]
STAMP = {"mode": "paper", "exchanges": ["binance", "kraken"], "account": "4f2a", "portfolio": "home"}
HOLD = """
import sys
from tasks.store import open_store
store = open_store(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def rows(store: Store, sql: str) -> list[tuple[Any, ...]]:
    """Ask the open store."""
    con = store.reader()
    try:
        return con.execute(sql).fetchall()
    finally:
        con.close()


def counts(store: Store) -> dict[str, int]:
    """How many rows each table has."""
    names = [name for (name,) in rows(store, "SELECT table_name FROM duckdb_tables() ORDER BY table_name")]
    return {name: rows(store, f"SELECT count(*) FROM {name}")[0][0] for name in names}


def quote(price: str, seconds: int = 0) -> Quote:
    """A quote some seconds after the start."""
    value = Decimal(price)
    return Quote(venue="spot", symbol=SYMBOL, bid=value, ask=value, last=value, ts=START + timedelta(seconds=seconds))


def hold(folder: Path) -> subprocess.Popen[str]:
    """Another process that holds the store of a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_told_who_holds_the_store(tmp_path: Path) -> None:
    """The holder's process number stands in the message, so that a person can look at it."""
    holder = hold(tmp_path)
    try:
        with pytest.raises(StoreBusy, match=rf"held by process {holder.pid} .*its own data_dir"):
            open_store(tmp_path, wait_s=0.3)
    finally:
        holder.communicate("")


def test_a_store_that_is_let_go_in_time_is_taken(tmp_path: Path) -> None:
    """A restart that overlaps with the end of the process before it waits instead of failing."""
    holder = hold(tmp_path)
    waiting = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, text=True)
    time.sleep(0.5)
    holder.communicate("")
    waiting.communicate("")
    assert waiting.returncode == 0


def test_a_store_is_open_once_in_a_process(tmp_path: Path) -> None:
    """DuckDB would open a file twice in one process; the fence holds there too."""
    with open_store(tmp_path), pytest.raises(StoreBusy, match="this very process"):
        open_store(tmp_path)
    open_store(tmp_path).close()


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"", "zero bytes"), (b"not a database" * 500, "no readable store"), (b"\x00" * 9000, "no readable")],
)
def test_a_file_that_is_no_store_is_kept_aside(content: bytes, word: str, tmp_path: Path) -> None:
    """An empty or foreign file is renamed, never overwritten, and the next start begins anew."""
    (tmp_path / "trading.duckdb").write_bytes(content)
    with pytest.raises(StoreDamaged, match=word) as caught:
        open_store(tmp_path)
    assert [path.read_bytes() for path in caught.value.aside] == [content]
    open_store(tmp_path).close()


def test_a_torn_store_is_kept_aside(tmp_path: Path) -> None:
    """A store that lost its second half is refused as damaged, and its rest is kept."""
    with open_store(tmp_path) as store:
        walk(new_world(grid_spec()), new_account(), prices=3, keep=committing(store))
    path = tmp_path / "trading.duckdb"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 3])
    with pytest.raises(StoreDamaged, match="backup") as caught:
        open_store(tmp_path)
    assert caught.value.aside[0].stat().st_size == len(content) // 3


def test_a_log_without_its_store_is_kept_aside(tmp_path: Path) -> None:
    """DuckDB would delete a log whose file is gone, and with it the last commits."""
    (tmp_path / "trading.duckdb.wal").write_bytes(b"commits")
    with pytest.raises(StoreDamaged, match="is gone while its log"):
        open_store(tmp_path)
    kept = list(tmp_path.glob("trading.duckdb.wal.damaged-*"))
    assert [path.read_bytes() for path in kept] == [b"commits"]


def test_a_store_deleted_under_its_process_is_noticed(tmp_path: Path) -> None:
    """DuckDB goes on writing into a deleted file; the store stops instead, before anything is sent."""
    with open_store(tmp_path) as store:
        (tmp_path / "trading.duckdb").unlink()
        with pytest.raises(StoreLost, match="deleted or replaced"):
            store.commit_tick(TickRow(tick_id=1, started_at=START, ended_at=START, now=START))


def test_a_stamped_store_keeps_its_token(tmp_path: Path) -> None:
    """The token in all client ids is made once and then the same at every start."""
    with open_store(tmp_path) as store:
        token = store.stamp(**STAMP)
        assert len(token) == 4
    with open_store(tmp_path) as store:
        assert store.stamp(**{**STAMP, "exchanges": ["kraken", "binance"]}) == token


@pytest.mark.parametrize(
    ("key", "value"), [("mode", "live"), ("exchanges", ["binance"]), ("account", "9c1b"), ("portfolio", "other")]
)
def test_a_store_of_something_else_is_refused(key: str, value: Any, tmp_path: Path) -> None:
    """Going from paper to live, or to another account, on one data folder is refused by name."""
    with open_store(tmp_path) as store:
        store.stamp(**STAMP)
        with pytest.raises(StampMismatch, match=f"made for {key} ") as caught:
            store.stamp(**{**STAMP, key: value})
        assert caught.value.key == key


def committing(store: Store) -> Any:
    """A keeper that commits every step as a tick of its own."""
    numbers = iter(range(1, 100_000))

    def keep(step: Step, now: Any) -> None:
        store.commit_step(step, tick_id=next(numbers), now=now)

    return keep


def first_step(world: World) -> Step:
    """The step with which a grid begins."""
    return advance(world, [quote("25000")], START)


def test_a_failed_commit_is_raised_and_leaves_nothing(tmp_path: Path) -> None:
    """What cannot be stored whole is not stored at all, says so, and the store works on."""
    with open_store(tmp_path) as store:
        step = first_step(new_world(grid_spec()))
        store.commit_step(step, tick_id=1, now=START)
        before = counts(store)
        with pytest.raises(duckdb.ConstraintException):
            store.commit_step(step, tick_id=2, now=START)
        assert counts(store) == before
        store.commit_tick(TickRow(tick_id=2, started_at=START, ended_at=START, now=START))
        assert counts(store)["ticks"] == 1


def test_a_client_id_that_was_used_is_refused(tmp_path: Path) -> None:
    """A second order under a name that was sent before would be taken for the first one."""
    with open_store(tmp_path) as store:
        store.commit_step(first_step(new_world(grid_spec())), tick_id=1, now=START)
        with pytest.raises(duckdb.ConstraintException, match=r"g1-abcd-e\d+-0-0"):
            store.commit_step(first_step(new_world(grid_spec())), tick_id=2, now=START)


def test_an_incident_that_ends_and_stands_anew_in_one_step_stands(tmp_path: Path) -> None:
    """What a step resolved is resolved before what it raised is written; both are kept."""
    incident = Incident("drawdown", "", "account", "critical", "too deep", START)
    with open_store(tmp_path) as store:
        step = first_step(new_world(grid_spec()))
        store.commit_step(replace(step, raised=(incident,)), tick_id=1, now=START)
        later = replace(advance(step.world, [], START), raised=(incident,), resolved=(incident.key,))
        store.commit_step(later, tick_id=2, now=START)
        found = rows(store, "SELECT resolved_at IS NULL FROM incidents ORDER BY id")
    assert found == [(False,), (True,)]


def test_a_quiet_tick_writes_one_row(tmp_path: Path) -> None:
    """A tick in which nothing happened is one row in ticks, and nothing else."""
    with open_store(tmp_path) as store:
        world, now = walk(new_world(grid_spec()), new_account(), prices=3, keep=committing(store))
        store.commit_tick(TickRow(tick_id=1, started_at=now, ended_at=now, now=now), world)
        before = counts(store)
        after = now + timedelta(seconds=5)
        store.commit_tick(TickRow(tick_id=2, started_at=after, ended_at=after, now=after), world)
        assert {name: n - before[name] for name, n in counts(store).items() if n != before[name]} == {"ticks": 1}


def test_equity_is_sampled_every_minute(tmp_path: Path) -> None:
    """Ten minutes of five-second ticks give a sample a minute, worth what the lots are worth."""
    with open_store(tmp_path) as store:
        world, now = walk(new_world(grid_spec()), new_account(), prices=3, keep=committing(store))
        for i in range(121):
            at = now + i * timedelta(seconds=5)
            store.commit_tick(TickRow(tick_id=i + 1, started_at=at, ended_at=at, now=at), world)
        assert counts(store)["equity"] == 11
        bot, last = world.bots["g1"], world.quotes["spot", SYMBOL].last
        worth = world.specs["g1"].capital_quote + bot.realized + last * bot.inventory - bot.cost - bot.fees
        assert rows(store, "SELECT DISTINCT equity FROM equity") == [(worth,)]


def test_facts_of_the_account_are_kept_with_the_step(tmp_path: Path) -> None:
    """Balances, funding payments and words of control are stored once, and known as stored afterwards."""
    facts: list[Fact] = [
        quote("25000"),
        BalanceRead("spot", "USDT", Decimal("1000.5"), START),
        FundingPaid("spot", SYMBOL, Decimal("-0.25"), "USDT", Decimal("0.0001"), "f1", START),
        Command(77, "g1", Word.PAUSE, "", "anna", "news tonight", START),
    ]
    with open_store(tmp_path) as store:
        world = new_world(grid_spec())
        store.commit_step(advance(world, facts, START), tick_id=1, now=START, facts=facts)
        assert rows(store, "SELECT venue, asset, total FROM account_balance") == [("spot", "USDT", Decimal("1000.5"))]
        assert rows(store, "SELECT bot_id, amount FROM funding_payments") == [("g1", Decimal("-0.25"))]
        assert store.commands_applied([76, 77]) == {77}
        assert store.incomes_booked("spot", ["f1", "f2"]) == {"f1"}


def test_a_late_trade_is_added_to_its_order(tmp_path: Path) -> None:
    """A trade of an order that was put away still counts in that order's row."""
    with open_store(tmp_path) as store:
        world = new_world(grid_spec(initial_inventory="resting"))
        keep = committing(store)
        world, now = walk(world, new_account(), prices=30, keep=keep)
        client_id, qty, price, side, symbol = rows(
            store, "SELECT client_id, qty, price, side, symbol FROM orders WHERE status = 'FILLED' ORDER BY ALL LIMIT 1"
        )[0]
        late = Fill(
            venue="spot", symbol=symbol, trade_id="late", client_id=client_id, side=Side(side), price=price,
            qty=Decimal("0.01"), fee=Decimal(0), fee_asset="USDT", ts=now, maker=True,
        )  # fmt: skip
        keep(advance(world, [late], now), now)
        found = rows(store, f"SELECT filled_qty, traded_qty, status FROM orders WHERE client_id = '{client_id}'")
        assert found == [(qty + Decimal("0.01"), qty + Decimal("0.01"), "FILLED")]


def test_decisions_of_one_tick_are_numbered_through(tmp_path: Path) -> None:
    """Several rounds of one tick give one gapless list of decisions, across a restart as well."""
    account = new_account()
    world = new_world(grid_spec())
    for part in range(2):
        with open_store(tmp_path) as store:
            start = START + part * timedelta(minutes=10)

            def keep(step: Step, now: Any, store: Store = store) -> None:
                store.commit_step(step, tick_id=7, now=now)

            world, _ = walk(world, account, prices=10, seed=part, keep=keep, start=start)
            numbers = [n for (n,) in rows(store, "SELECT n FROM journal ORDER BY n")]
            assert numbers == list(range(len(numbers)))
            assert store.next_tick_id() == 8


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("NaN", "not a finite number"),
        ("Infinity", "not a finite number"),
        ("1E-19", "more than 18 decimal places"),
        ("1E+20", "too large"),
        ("123456789012345678901.5", "too large"),
    ],
)
def test_an_amount_that_would_be_rounded_is_refused(value: str, reason: str) -> None:
    """Money is stored to the last digit or not at all."""
    with pytest.raises(AmountRefused, match=reason):
        amount(Decimal(value))


@pytest.mark.parametrize(
    "value", ["0", "-0.000000000000000001", "99999999999999999999.999999999999999999", "2E+3", "1.10"]
)
def test_an_amount_comes_back_as_it_was(value: str, tmp_path: Path) -> None:
    """The longest and the smallest amount survive the store."""
    con = duckdb.connect()
    con.execute("CREATE TABLE t (a DECIMAL(38, 18))")
    con.execute("INSERT INTO t VALUES (?)", [amount(Decimal(value))])
    found = con.execute("SELECT a FROM t").fetchone()
    assert found is not None
    assert tidy(found[0]) == Decimal(value)
    assert "E+" not in str(tidy(found[0]))


COMMIT_FOR_EVER = """
import sys
from tasks.store import open_store
from tests.tasks.store_worlds import *
tick = 0
with open_store(sys.argv[1]) as store:
    def keep(step, now):
        global tick
        tick += 1
        store.commit_step(step, tick_id=tick, now=now)
        print(step.world.numbering.seq, flush=True)
    walk(new_world(grid_spec(levels=30)), new_account(), prices=100_000, keep=keep)
"""


@pytest.mark.parametrize("after_s", [0.3, 0.7])
def test_a_killed_process_loses_nothing_that_was_committed(after_s: float, tmp_path: Path) -> None:
    """After kill -9 the store has every step that was acknowledged, whole, and no part of another."""
    process = subprocess.Popen(
        [sys.executable, "-c", COMMIT_FOR_EVER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    first = process.stdout.readline()  # on a busy machine it may be the only one
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    told = [int(line) for line in [first, *process.communicate()[0].splitlines()] if line]
    with open_store(tmp_path) as store:
        world = store.load_world(new_world(grid_spec(levels=30)).specs, new_world().limits)
        assert world is not None
        assert world.numbering.seq >= max(told)
        con = store.reader()
        for path in sorted((ROOT / "sql" / "checks").glob("assert_*.sql")):
            assert con.execute(path.read_text()).fetchall() == [], path.name
        con.close()


def test_rewriting_rows_does_not_blow_up_the_file(tmp_path: Path) -> None:
    """Level rows rewritten many times over take no more room than a few copies of them."""
    with open_store(tmp_path) as store:
        world, _ = walk(new_world(grid_spec(levels=100)), new_account(), prices=60, keep=committing(store))
        assert world.bots["g1"].round_trips > 40
    assert (tmp_path / "trading.duckdb").stat().st_size < 8_000_000
