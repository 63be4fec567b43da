"""Every check finds nothing in a sound store, and speaks when its rule is broken."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from core.engine import Step, advance
from core.facts import BalanceRead, FundingPaid
from tasks.store import TickRow, open_store
from tests.tasks.store_worlds import grid_spec, new_account, new_world, walk

CHECKS = Path(__file__).parents[2] / "sql" / "checks"

# What breaks each rule, in a copy of a sound store.
BREAK: dict[str, str] = {
    "exchange_order_has_one_name": "UPDATE orders SET exchange_id = 'same' WHERE rowid < 2",
    "fee_has_a_rate": "UPDATE fills SET fee_quote = NULL WHERE rowid = 0",
    "fill_has_an_order": "UPDATE fills SET client_id = 'g1-abcd-e77-0-0' WHERE rowid = 0",
    "fill_is_stored_once": "INSERT INTO fills SELECT * FROM fills LIMIT 1",
    "funding_is_shared": "UPDATE funding_shares SET amount = amount + 0.000000000000000001",
    "ledger_balances": "UPDATE ledger SET amount = amount + 0.000000000000000001 WHERE seq = 1",
    "ledger_has_every_fill": "DELETE FROM ledger WHERE ref = (SELECT max(ref) FROM ledger WHERE kind = 'fill')",
    "ledger_has_no_gap": "DELETE FROM ledger WHERE seq = 3",
    "leg_has_one_live_order": (
        "INSERT INTO orders SELECT * REPLACE (client_id || '9' AS client_id, attempt + 1 AS attempt) FROM orders "
        "WHERE status = 'OPEN' LIMIT 1"
    ),
    "leg_is_not_overworked": "UPDATE orders SET leg_qty = filled_qty / 2 WHERE status = 'FILLED'",
    "lots_are_entries_less_exits": "UPDATE lots SET qty = qty / 2 WHERE qty > 0",
    "lots_are_the_position": "DELETE FROM lots WHERE qty > 0",
    "lots_are_whole": "UPDATE lots SET cost = 0.01 WHERE qty = 0",
    "lots_make_the_profit": "UPDATE fills SET realized = realized + 0.01 WHERE realized IS NOT NULL",
    "numbers_are_sane": "UPDATE fills SET price = -price WHERE rowid = 0",
    "order_adds_up": "DELETE FROM fills WHERE rowid = 0",
    "order_is_not_overfilled": "UPDATE orders SET filled_qty = qty * 2 WHERE status = 'FILLED'",
    "order_over_is_settled": (
        "UPDATE orders SET traded_qty = 0, updated_at = created_at - INTERVAL 1 DAY WHERE status = 'FILLED'"
    ),
    "status_fits_quantity": "UPDATE orders SET status = 'CANCELED' WHERE status = 'FILLED'",
    "times_run_forward": "UPDATE ticks SET ended_at = started_at - INTERVAL 1 SECOND",
    "wallet_agrees_with_venue": "UPDATE account_balance SET total = total + 0.01",
}
MORE_BREAKS: dict[str, str] = {
    "exchange_order_has_one_name": "UPDATE orders SET leg_id = 'e0-0', attempt = 0",
    "fill_has_an_order": "UPDATE orders SET side = 'sell'",
    "funding_is_shared": "UPDATE ledger SET bot_id = 'g2' WHERE kind = 'funding'",
    "ledger_has_every_fill": "UPDATE fills SET trade_id = 'other' WHERE rowid = 0",
    "lots_are_the_position": "UPDATE bot_state SET inventory = inventory + 0.001",
    "lots_make_the_profit": "UPDATE bot_state SET grid_profit = grid_profit + 1",
    "numbers_are_sane": "ALTER TABLE equity ALTER COLUMN equity TYPE DOUBLE",
    "status_fits_quantity": "UPDATE orders SET status = 'GONE' WHERE status = 'OPEN'",
    "times_run_forward": "UPDATE fills SET ts = recorded_at + INTERVAL 2 DAY",
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which a grid has traded, with nothing wrong in it."""
    folder = tmp_path_factory.mktemp("sound")
    with open_store(folder) as store:
        tick = 0

        def keep(step: Step, now: object) -> None:
            nonlocal tick
            tick += 1
            store.commit_step(step, tick_id=tick, now=now)  # type: ignore[arg-type]

        world, now = walk(new_world(grid_spec()), new_account(), prices=60, seed=3, keep=keep)
        now += timedelta(seconds=5)
        paid = [FundingPaid("spot", "BTC/USDT", Decimal("-0.25"), "USDT", Decimal("0.0001"), "f1", now)]
        step = advance(world, paid, now)
        store.commit_step(step, tick_id=tick + 1, now=now, facts=paid)
        world = step.world
        read = [BalanceRead("spot", asset, total, now) for (_, asset), total in world.wallet.items()]
        store.commit_step(advance(world, read, now), tick_id=tick + 2, now=now, facts=read)
        store.commit_tick(TickRow(tick_id=1, started_at=now, ended_at=now, now=now), world)
        assert world.bots["g1"].lots
        assert world.bots["g1"].round_trips
    return folder / "trading.duckdb"


@pytest.fixture
def scratch(sound: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The sound store's rows without its keys, so that any rule can be broken."""
    con = duckdb.connect()
    con.execute(f"ATTACH '{sound}' AS sound (READ_ONLY)")
    names = con.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'sound'").fetchall()
    for (name,) in names:
        con.execute(f"CREATE TABLE {name} AS SELECT * FROM sound.{name}")
    con.execute("DETACH sound")
    yield con
    con.close()


def found(con: duckdb.DuckDBPyConnection, name: str) -> list[tuple[object, ...]]:
    """What a check finds."""
    return con.execute((CHECKS / f"assert_{name}.sql").read_text()).fetchall()


def test_each_check_has_a_way_to_break_its_rule() -> None:
    """A check that was never seen to speak proves nothing."""
    assert {path.stem.removeprefix("assert_") for path in CHECKS.glob("*.sql")} == set(BREAK)


def test_a_sound_store_breaks_no_rule(scratch: duckdb.DuckDBPyConnection) -> None:
    """Nothing is found where nothing is wrong."""
    assert {name: rows for name in BREAK if (rows := found(scratch, name))} == {}


@pytest.mark.parametrize(("name", "statement"), [*BREAK.items(), *MORE_BREAKS.items()])
def test_a_broken_rule_is_found(name: str, statement: str, scratch: duckdb.DuckDBPyConnection) -> None:
    """The check names the rows that are wrong."""
    scratch.execute(statement)
    assert found(scratch, name), statement


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE account_balance SET ts = ts - INTERVAL 1 HOUR",
        'INSERT INTO account_state VALUES (1, NULL, \'[["spot", "BTC", "0.01"], ["spot", "USDT", "1"]]\', \'{}\', now())',
        (
            "INSERT INTO incidents SELECT 1, ts, 'critical', '', 'balance_mismatch', venue || ' ' || asset, '', NULL "
            "FROM account_balance"
        ),
    ],
    ids=["older than the books", "seen once", "an incident"],
)
def test_a_difference_that_is_explained_is_no_violation(statement: str, scratch: duckdb.DuckDBPyConnection) -> None:
    """A reading from before the last booking proves nothing, and what is known already is not told twice."""
    scratch.execute(BREAK["wallet_agrees_with_venue"])
    scratch.execute(statement)
    assert found(scratch, "wallet_agrees_with_venue") == []


def test_every_check_says_what_it_claims() -> None:
    """The first line of a check is its claim, for whoever reads its name in an alarm."""
    for path in CHECKS.glob("*.sql"):
        first = path.read_text().splitlines()[0]
        assert first.startswith("-- "), path.name
        assert len(first) > 30, path.name
