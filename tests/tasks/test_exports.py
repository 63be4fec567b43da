"""Exports as files: what the command writes equals what the store holds, and is safe to open."""

import csv
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tasks.cli import main
from tasks.exports import TAX, ExportRefused, Kind, Span, write_export
from tasks.exports_csv import cell
from tasks.exports_lots import Method
from tasks.publish import FILE_NAME, published_folder
from tests.tasks.dashboard_world import FORMULA, ask, traded


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published copy of three days."""
    return traded(tmp_path_factory.mktemp("exports"))


def read(path: Path) -> list[dict[str, str]]:
    """A CSV as a spreadsheet gets it."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def export(folder: Path, out: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, str]]:
    """Run the command and read what it wrote."""
    assert main(["report", "--data-dir", str(folder), "--out", str(out), "--json", *words]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    rows = read(Path(data["files"][0]))
    assert len(rows) == data["rows"]
    return rows


def test_fills_are_all_there_and_exact(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One row per execution, amounts to the last digit."""
    rows = export(folder, tmp_path, capsys, "--export", "fills")
    stored = ask(folder, "SELECT trade_id, price, qty, fee FROM fills ORDER BY ts, trade_id")
    assert [(r["trade_id"], Decimal(r["price"]), Decimal(r["qty"]), Decimal(r["fee"])) for r in rows] == stored


def test_round_trips_sum_to_what_was_realised(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit less entry is the profit of each row, the rows make the bot's sum, and no trip ends before it began."""
    rows = export(folder, tmp_path, capsys, "--export", "round-trips")
    assert rows
    for row in rows:
        gain = Decimal(row["exit_value_quote"]) - Decimal(row["entry_value_quote"])
        assert gain == Decimal(row["realized_before_fees_quote"])
        assert "" < row["opened_at"] <= row["closed_at"]
    ((realized,),) = ask(folder, "SELECT sum(realized) FROM bot_state")
    assert sum(Decimal(row["realized_before_fees_quote"]) for row in rows) == realized


@pytest.mark.parametrize("method", Method)
def test_a_year_adds_up_whatever_the_method(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], method: Method
) -> None:
    """Proceeds and quantity are those of the sales after fees; gain is proceeds less cost."""
    rows = export(folder, tmp_path, capsys, "--export", "tax", "--year", "2026", "--lots", method.value)
    ((qty, value),) = ask(folder, "SELECT sum(qty), sum(quote_qty - fee_quote) FROM fills WHERE side = 'sell'")
    assert sum(Decimal(row["qty"]) for row in rows) == qty
    assert sum(Decimal(row["proceeds_quote"]) for row in rows) == value
    assert {row["method"] for row in rows} == {method.value}
    for row in rows:
        assert Decimal(row["gain_quote"]) == Decimal(row["proceeds_quote"]) - Decimal(row["cost_quote"])
    assert not export(folder, tmp_path, capsys, "--export", "tax", "--year", "2025", "--lots", method.value)


def test_methods_differ_in_gain_and_not_in_proceeds(folder: Path, tmp_path: Path) -> None:
    """The same sales gain differently under each method: naming it matters."""
    gains = set[Decimal]()
    for method in Method:
        path = tmp_path / f"{method}.csv"
        write_export(folder, Kind.TAX, path, Span(), method)
        gains.add(sum((Decimal(row["gain_quote"]) for row in read(path)), Decimal(0)))
    assert len(gains) == 3


@pytest.mark.parametrize(
    "words",
    [
        ("--export", "tax"), ("--export", "tax", "--year", "2026"), ("--export", "tax", "--lots", "fifo"),
        ("--export", "tax", "--lots", "fifo", "--year", "2026", "--from", "2026-01-01"),
        ("--export", "tax", "--lots", "fifo", "--year", "12345"), ("--export", "fills", "--lots", "fifo"), ("--year", "2026"),
    ],
)  # fmt: skip
def test_an_export_without_its_method_or_span_is_refused(
    folder: Path, tmp_path: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is written where the sum would depend on something that nobody said."""
    assert main(["report", "--data-dir", str(folder), "--out", str(tmp_path), *words]) == 2
    assert "accepted" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def poisoned(folder: Path, **values: Any) -> None:
    """Change the fills of the copy's own day."""
    with duckdb.connect(published_folder(folder) / FILE_NAME) as con:
        for name, value in values.items():
            con.execute(f"UPDATE fills_today SET {name} = ?", [value])


def test_a_fee_without_a_rate_stops_the_tax_export_alone(tmp_path: Path) -> None:
    """A gain that leaves a fee out would be wrong, so there is none; fills still come, and no half file stays."""
    folder = traded(tmp_path / "data", days=1)
    poisoned(folder, fee_asset="BNB", fee_quote=None)
    with pytest.raises(ExportRefused, match="BNB has no rate"):
        write_export(folder, Kind.TAX, tmp_path / "out" / "tax.csv", Span())
    assert list((tmp_path / "out").iterdir()) == []
    assert write_export(folder, Kind.FILLS, tmp_path / "out" / "fills.csv", Span()) > 0


def test_a_fee_in_the_coin_makes_the_quantity_smaller(tmp_path: Path) -> None:
    """What was bought is what arrived; its cost is all that was paid."""
    folder = traded(tmp_path / "data", days=1)
    poisoned(folder, fee_asset="BTC", fee="0.0001", fee_quote="2.5")
    path = tmp_path / "tax.csv"
    write_export(folder, Kind.TAX, path, Span(), Method.FIFO)
    first = read(path)[0]
    ((qty, value),) = ask(folder, "SELECT qty, quote_qty FROM fills ORDER BY ts, trade_id LIMIT 1")
    cost = Decimal(first["cost_quote"]) / Decimal(first["qty"])
    assert abs(cost - value / (qty - Decimal("0.0001"))) < Decimal("1E-9")


def test_formulas_become_text(tmp_path: Path) -> None:
    """A name that a spreadsheet would run gets an apostrophe; negative numbers stay numbers."""
    folder = traded(tmp_path / "data", days=1)
    poisoned(folder, leg_id=FORMULA)
    path = tmp_path / "fills.csv"
    write_export(folder, Kind.FILLS, path, Span())
    assert {row["leg_id"] for row in read(path)} == {"'" + FORMULA}
    for text in ("=1", "+1", "-1", "@a", "\t=1", "\r=1", " =1"):
        assert cell(text) == "'" + text
    assert (cell(Decimal("-1.50")), cell(-2), cell("a-b"), cell(None), cell(True)) == ("-1.5", "-2", "a-b", "", "true")


def test_the_columns_of_the_year_say_their_unit() -> None:
    """Every sum names its asset's role, and the method stands in every row."""
    assert {"quote_asset", "proceeds_quote", "cost_quote", "gain_quote", "method"} <= set(TAX)
