"""Funding in the store: the exchange's row once, a share for each owner, and views in which only bots are bots."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from core.engine import advance
from core.facts import FundingPaid
from core.values import Side, plain
from tasks.migrations import migrate, read_migrations
from tasks.publish import publish
from tasks.sql_query import query
from tasks.store import TickRow, open_store
from tests.core.engine.test_netting import trade, two_bots
from tests.core.worlds import SWAP, T0, D

SCHEMA = Path(__file__).parents[2] / "sql" / "schema" / "trading"
LATER = T0 + timedelta(hours=1)


def paid(ref: str, amount: str = "-1") -> FundingPaid:
    """A payment for the net position of the perpetual."""
    return FundingPaid("perp", SWAP, D(amount), "USDT", D("0.0001"), ref, T0 + timedelta(minutes=30))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bots hold 0.1 and 0.2; a hand sells 0.2 and buys them again; a payment before, between and after; published."""
    folder = tmp_path_factory.mktemp("shared")
    sold, bought = (trade("hand", n, side, "100", "0.2") for n, side in ((8, Side.SELL), (9, Side.BUY)))
    late = replace(bought, ts=LATER)
    with open_store(folder) as store:
        world = two_bots()
        for number, facts in enumerate(([paid("f1")], [sold], [paid("f2")], [late, paid("f3", "0.5")]), start=1):
            step = advance(world, facts, LATER)
            store.commit_step(step, tick_id=number, now=LATER, facts=facts)
            world = step.world
        store.commit_tick(TickRow(tick_id=9, started_at=LATER, ended_at=LATER, now=LATER), world)
        assert store.traded_since("perp", SWAP, T0) == (("external", D(0)),)
        assert store.traded_since("perp", SWAP, LATER) == (("external", D("0.2")),)
        assert store.traded_since("perp", "ETH/USDT:USDT", T0) == ()
        publish(store, folder)
    return folder


def test_every_payment_is_one_row_and_its_shares_sum_to_it(shared: Path) -> None:
    """The exchange's row is as it was told; those of the owners add up to it, to the last digit, as the ledger does."""
    told = query(shared, "SELECT ref, bot_id, amount FROM funding_payments ORDER BY ref")[1]
    assert told == [("f1", "", D(-1)), ("f2", "", D(-1)), ("f3", "", D("0.5"))]
    summed = query(shared, "SELECT ref, sum(amount), count(*) FROM funding_shares GROUP BY ref ORDER BY ref")[1]
    assert summed == [("f1", D(-1), 2), ("f2", D(-1), 3), ("f3", D("0.5"), 3)]
    mine = "SELECT bot_id, ref, amount FROM {} ORDER BY ALL"
    ledger = "(SELECT * FROM ledger WHERE kind = 'funding' AND account = 'wallet')"
    assert query(shared, mine.format("funding_shares")) == query(shared, mine.format(ledger))
    (check,) = query(shared, (SCHEMA.parents[1] / "checks" / "assert_funding_is_shared.sql").read_text())[1:]
    assert check == []


def test_a_share_that_is_not_certain_says_why(shared: Path) -> None:
    """The hand traded after the third payment was made: its shares carry the reason, the others none."""
    notes = dict(query(shared, "SELECT DISTINCT ref, note FROM funding_shares")[1])
    assert (notes["f1"], notes["f2"]) == ("", "")
    assert notes["f3"].endswith("somebody else traded after it was paid; whose quantity that changed is not certain")
    assert query(shared, "SELECT bot_id, inexact FROM report_funding ORDER BY 1")[1] == [("a", 1), ("b", 1)]


def test_only_bots_are_shown_as_bots(shared: Path) -> None:
    """Neither the stranger nor several names in one: each bot with what its own books have."""
    for view in ("report_pnl_daily", "report_funding"):
        rows = query(
            shared, f"SELECT bot_id, sum({'net' if view == 'report_funding' else 'funding'}) FROM {view} GROUP BY 1"
        )[1]
        known = query(shared, "SELECT bot_id, sum(amount) FROM funding_shares WHERE bot_id <> 'external' GROUP BY 1")[1]
        assert sorted(rows) == sorted(known)
        assert sorted(bot for bot, _ in rows) == ["a", "b"]


def test_payments_of_an_older_store_are_shared_as_its_ledger_has_them(tmp_path: Path) -> None:
    """The columns with several names become rows with one each, and say that the quantities were those of the reading."""
    older = tmp_path / "schema"
    older.mkdir()
    for one in read_migrations(SCHEMA)[:5]:
        (older / f"{one.version:03d}_{one.name}.sql").write_text(one.text)
    with duckdb.connect(str(tmp_path / "trading.duckdb")) as con:
        migrate(con, older)
        for seq, (ref, bot, account, amount) in enumerate((
            ("f1", "a", "wallet", "-1"), ("f1", "a", "funding", "1"), ("f1", "external", "wallet", "-2"),
            ("f1", "external", "funding", "2"), ("f2", "b", "wallet", "0.5"), ("f2", "b", "funding", "-0.5"),
        )):  # fmt: skip
            values = [seq, seq // 2, bot, account, Decimal(amount), ref]
            con.execute("INSERT INTO ledger VALUES (?, ?, now(), ?, 'perp', ?, 'USDT', ?, 'funding', ?, now())", values)
        for ref, bots, amount in (("f1", "a,external", "-3"), ("f2", "b", "0.5")):
            values = [SWAP, ref, bots, Decimal(amount)]
            con.execute(
                "INSERT INTO funding_payments VALUES ('perp', ?, ?, ?, now(), ?, 'USDT', 0.0001, now())", values
            )
        migrate(con, SCHEMA)
        assert con.execute("SELECT bot_id FROM funding_payments ORDER BY ref").fetchall() == [("",), ("b",)]
        rows = con.execute("SELECT ref, bot_id, amount, note FROM funding_shares ORDER BY ALL").fetchall()
        check = (SCHEMA.parents[1] / "checks" / "assert_funding_is_shared.sql").read_text()
        assert con.execute(check).fetchall() == []
    assert [(ref, bot, plain(amount), note[:6]) for ref, bot, amount, note in rows] == [
        ("f1", "a", "-1", "shared"), ("f1", "external", "-2", "shared"), ("f2", "b", "0.5", ""),
    ]  # fmt: skip
