"""The other markets of a running bot in its report, margin at its leverage, and reports of a day and of a month."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tasks.cli import main
from tasks.publish import publish
from tasks.report import report_of
from tasks.report_beside import leverages_of
from tasks.report_charts import exposure_names
from tasks.sql_query import query
from tasks.store import open_store
from tests.tasks.dashboard_world import traded
from tests.tasks.store_worlds import START

# A short of a third of the first purchase, closed in two parts; its second part is realised at a loss.
HEDGES = (("sell", "0.004", "100", None), ("buy", "0.001", "90", "0.01"), ("buy", "0.001", "120", "-0.02"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published copy of three days, whose bot also traded a swap by three executions on the second day."""
    made = traded(tmp_path_factory.mktemp("beside"))
    with open_store(made) as store:
        con = store.reader()
        for number, (side, qty, price, realized) in enumerate(HEDGES):
            con.execute(
                "INSERT INTO fills SELECT 'perp', 'BTC/USDT:USDT', 'h' || $n, 'h' || $n, 'g1', $side, $price, $qty, 0, 'USDT', "
                "$ts, 'h0-0', 'hedge', '', true, 0, 1, 0, $realized, recorded_at FROM fills ORDER BY recorded_at DESC LIMIT 1",
                {
                    "n": str(number), "side": side, "price": Decimal(price), "qty": Decimal(qty),
                    "ts": START + timedelta(days=1, minutes=number), "realized": realized and Decimal(realized),
                },
            )  # fmt: skip
        con.close()
        publish(store, made)
    return made


def test_what_another_market_holds_is_followed_execution_by_execution(folder: Path) -> None:
    """Exposure is the signed sum of its executions at the price of the last; profit is what they realised."""
    bot = report_of(folder).bots[0]
    assert [one.symbol for one in bot.beside] == ["BTC/USDT:USDT"]
    frame = bot.beside[0].frame
    assert frame["exposure_quote"].tolist() == pytest.approx([-0.4, -0.27, -0.24])
    assert (bot.beside[0].fills, bot.beside[0].profit) == (3, Decimal("-0.01"))
    assert ("ink", "net of all markets") in exposure_names(bot)


def test_before_a_market_was_traded_it_is_not_there(folder: Path) -> None:
    """A report that ends before the first execution knows of no hedge; one that begins after it still holds what is open."""
    second = START + timedelta(days=1)
    assert report_of(folder, to=second).bots[0].beside == ()
    later = report_of(folder, second + timedelta(hours=1)).bots[0].beside[0]
    assert (later.fills, later.profit, later.frame["exposure_quote"].iloc[-1]) == (0, 0, pytest.approx(-0.24))


def test_leverage_comes_from_the_stored_configuration() -> None:
    """A bot without one, or a copy without a configuration, counts as one to one."""
    assert leverages_of("bots:\n- {id: a, leverage: 5}\n- {id: b}\n") == {"a": 5}
    assert leverages_of("") == {}


@pytest.mark.parametrize(("option", "days"), [(["--day", "2026-03-02"], 1), (["--month", "2026-03"], 3)])
def test_a_day_and_a_month_are_spans(option: list[str], days: int, folder: Path, tmp_path: Path) -> None:
    """The export of a day has the executions of that day; of the month all of them."""
    assert main(["report", "--data-dir", str(folder), "--export", "fills", "--out", str(tmp_path), *option]) == 0
    rows = len((tmp_path / "fills.csv").read_text().splitlines()) - 1
    until = "DATE '2026-03-03'" if days == 1 else "DATE '2026-04-01'"
    wanted = query(
        folder, f"SELECT count(*) FROM fills WHERE ts < {until} AND ts >= DATE '2026-03-0{2 if days == 1 else 1}'"
    )
    assert rows == wanted[1][0][0]


@pytest.mark.parametrize(
    ("options", "key"),
    [
        (["--day", "2026-03-02", "--from", "2026-03-01"], "--day"),
        (["--day", "2026-03-02", "--month", "2026-03"], "--day"),
        (["--month", "2026-13"], "--month"),
        (["--day", "yesterday"], "--day"),
    ],
)
def test_two_spans_or_no_date_are_refused(
    options: list[str], key: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and the name of the option."""
    try:
        code = main(["report", "--data-dir", str(folder), *options])
    except SystemExit as left:
        code = left.code
    assert code == 2
    assert key in capsys.readouterr().err
