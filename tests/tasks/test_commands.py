"""The commands as a user calls them: one JSON document, exit codes, and what a person is shown."""

import json
from pathlib import Path

import pytest

from tasks.cli import COMMANDS, main
from tasks.outcome import money
from tests.tasks.played import play, write_candles, write_portfolio


@pytest.fixture(scope="module")
def portfolio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a portfolio that has run for 200 candles, with a cap that leaves some levels without an order."""
    folder = tmp_path_factory.mktemp("commands")
    file = write_portfolio(folder, write_candles(folder / "candles.csv", 300), more="risk: {max_exposure_quote: 1200}")
    play(file, 200)
    return file


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict]:
    """Run a command with --json; returns its exit code and its only document."""
    code = main([*words, "--json"])
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    return code, json.loads(out)


def test_every_command_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` of each command says what it does and gives an example."""
    for name in COMMANDS:
        with pytest.raises(SystemExit) as left:
            main([name, "--help"])
        assert left.value.code == 0
        assert f"gridkeeper {name}" in capsys.readouterr().out


def test_status_gives_a_reason_for_every_level_that_is_not_working(
    portfolio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each level either has an order or says why it has none, and the copy says how old it is."""
    code, document = told(capsys, "status", "--portfolio", str(portfolio))
    levels = document["data"]["bots"][0]["level_list"]
    assert code == 0
    assert len(levels) == 20
    assert all(level["working"] or level["reason"] for level in levels)
    assert any("max_exposure_quote" in level["reason"] for level in levels)
    assert document["data"]["age_s"] >= 0


def test_status_shows_a_person_the_same(portfolio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page names mode, age, profit with its unit, and the reason of a missing level."""
    assert main(["status", "--portfolio", str(portfolio)]) == 0
    page = capsys.readouterr().out
    assert "paper" in page
    assert " old" in page
    assert "USDT" in page
    assert "max_exposure_quote" in page


def test_sql_reads_the_views(portfolio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A query returns columns and rows with the age of the copy."""
    code, document = told(capsys, "sql", "SELECT bot_id, net_pnl FROM report_bots", "--portfolio", str(portfolio))
    assert code == 0
    assert document["data"]["rows"][0]["bot_id"] == "g1"


@pytest.mark.parametrize(
    "query", ["DROP TABLE ticks", "SELECT 1; SELECT 2", "SELECT * FROM nowhere", "ATTACH 'x.db'", ""]
)
def test_sql_refuses_everything_but_reading(query: str, portfolio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no single read on the copy exits 2 with one line."""
    code, document = told(capsys, "sql", query, "--portfolio", str(portfolio))
    assert code == 2
    assert document["error"]["reason"]


def test_report_writes_html_and_pictures(portfolio: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The report lands where it was asked for."""
    code, document = told(capsys, "report", "--portfolio", str(portfolio), "--out", str(tmp_path))
    assert code == 0
    assert {Path(file).suffix for file in document["data"]["files"]} == {".html", ".png"}
    assert (tmp_path / "report.html").read_text().count("g1") > 0


def test_control_refuses_what_it_cannot_mean(portfolio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown bot, an unknown word and a close-lot without a lot exit 2; a good word gets a number."""
    place = ["--portfolio", str(portfolio)]
    assert told(capsys, "control", "ghost", "pause", *place)[1]["error"]["key"] == "BOT"
    assert told(capsys, "control", "g1", "dance", *place)[0] == 2
    assert told(capsys, "control", "g1", "close-lot", *place)[1]["error"]["key"] == "--lot"
    code, document = told(capsys, "control", "g1", "pause", *place, "--note", "test")
    assert code == 0
    assert document["data"]["id"] > 0


def test_run_ends_with_one_document(portfolio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`run` over the rest of the candles ends by itself and sums up what it did."""
    code, document = told(capsys, "run", "--portfolio", str(portfolio), "--ticks", "20")
    assert code == 0
    assert document["data"]["ticks"] == 20


def test_doctor_looks_and_says_how_to_mend(portfolio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On a sound machine nothing fails; a grid that the exchange would refuse fails with exit code 3."""
    code, document = told(capsys, "doctor", "--portfolio", str(portfolio))
    states = {one["what"]: one["state"] for one in document["data"]["findings"]}
    assert states["portfolio"] == "ok"
    assert states["bot g1"] == "ok"
    assert code in {0, 3}  # a machine whose packages differ from the pins fails there
    broken = portfolio.with_name("broken.yaml")
    broken.write_text(portfolio.read_text().replace("total_amount_quote: 2000", "total_amount_quote: 20"))
    code, document = told(capsys, "doctor", "--portfolio", str(broken))
    assert code == 3
    assert any(one["state"] == "failed" and "works" in one["found"] for one in document["data"]["findings"])


def test_candles_are_imported_once_and_checked(portfolio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Importing twice adds nothing the second time; the check finds no fault in made-up candles."""
    words = ["candles", "import", str(portfolio.parent / "candles.csv"), "--symbol", "COIN/USDT", "--timeframe", "1m"]
    place = ["--portfolio", str(portfolio)]
    assert told(capsys, *words, *place)[1]["data"]["new"] == 300
    assert told(capsys, *words, *place)[1]["data"]["new"] == 0
    assert told(capsys, "candles", "check", *place)[1]["data"]["findings"] == []
    play(portfolio, 1)
    code, document = told(capsys, "sql", "SELECT count(*) AS n, max(high) AS top FROM ohlcv", *place)
    assert code == 0
    assert document["data"]["rows"][0]["n"] == 300


def test_an_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A typing mistake exits 2 and shows every command there is."""
    assert main(["statsu"]) == 2
    said = capsys.readouterr().err
    assert all(name in said for name in COMMANDS)


MISTYPED = [
    (["stauts"], "COMMAND", "status"),
    (["status", "--wacth"], "--wacth", "--watch"),
    (["backtest", "--candels", "x.csv"], "--candels", "--candles"),
    (["backtest", "--candles", "x.csv", "--engine=krenel"], "--engine", "kernel"),
    (["candles", "imprt", "x.csv"], "import|download|check", "import"),
    (["candles", "import", "x.csv", "--smybol", "A/B"], "--smybol", "--symbol"),
    (["control", "g1", "pasue"], "action", "pause"),
    (["control", "G1", "pause"], "BOT", "g1"),
    (["control", "ghost", "pause"], "BOT", ""),
    (["candles", "import", "x.csv", "--symbol", "BTCUSDT", "--timeframe", "1m"], "--symbol", ""),
    (["status", "--bot", "gl"], "--bot", ""),
    (["status", "--bot", "G1"], "--bot", "g1"),
    (["status", "words"], "words", ""),
    (["run", "--ticks", "many"], "--ticks", ""),
    (["sql"], "SQL", ""),
]


@pytest.mark.parametrize(("words", "key", "meant"), MISTYPED)
def test_a_mistyped_word_is_told_which_one_was_meant(
    words: list[str], key: str, meant: str, portfolio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistyped command, option, value or bot exits 2, names itself and the nearest known word, and says what is accepted."""
    place = ["--portfolio", str(portfolio)] if words[0] in {"control", "status"} else []
    code, document = told(capsys, *words, *place)
    assert (code, document["error"]["key"]) == (2, key)
    assert document["error"]["reason"].partition("; did you mean ")[2] == (f"{meant}?" if meant else "")
    assert document["error"]["accepted"]


def test_a_bot_is_known_by_the_published_copy_where_no_file_names_it(
    portfolio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the data directory alone a mistyped bot is refused too: nobody waits for a word that no bot obeys."""
    place = ["--data-dir", str(portfolio.parent / "data")]
    code, document = told(capsys, "control", "G1", "flatten", *place)
    assert (code, document["error"]["key"], document["error"]["accepted"]) == (2, "BOT", "g1")
    assert told(capsys, "control", "g1", "pause", *place)[0] == 0


def test_json_may_stand_before_the_command(portfolio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` is understood on either side of the command's name."""
    assert main(["--json", "status", "--portfolio", str(portfolio)]) == 0
    assert json.loads(capsys.readouterr().out)["command"] == "status"


def test_nothing_published_yet_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the first tick there is no copy to read."""
    file = write_portfolio(tmp_path, write_candles(tmp_path / "candles.csv", 10))
    code, document = told(capsys, "status", "--portfolio", str(file))
    assert code == 2
    assert "published" in document["error"]["reason"]


def test_a_mistyped_exchange_is_refused_before_anything_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`run` refuses an exchange that ccxt does not know and writes nothing; `doctor` finds it, and both name the likely one."""
    file = tmp_path / "typo.yaml"
    file.write_text(
        "venues: [{id: spot, exchange: binanc}]\nbots:\n  - {id: g1, kind: grid, venue: spot, symbol: BTC/USDT, "
        "start_price: 90000, end_price: 110000, levels: 20, total_amount_quote: 1000}\n"
    )
    code, document = told(capsys, "run", "--portfolio", str(file), "--ticks", "1")
    assert (code, document["error"]["key"]) == (2, "venues[0].exchange")
    assert "did you mean binance?" in document["error"]["reason"]
    assert list(tmp_path.iterdir()) == [file]
    code, document = told(capsys, "doctor", "--portfolio", str(file))
    assert code == 3
    assert any("did you mean binance?" in one["found"] for one in document["data"]["findings"])


@pytest.mark.parametrize(
    ("value", "sign", "text"),
    [
        ("1234.5678", True, "+1,234.57 USDT"), ("-0.499", True, "-0.50 USDT"), ("0.00031415", True, "+0.000314 USDT"),
        ("0", True, "+0.00 USDT"), ("12", False, "12.00 USDT"), (None, True, "-"),
    ],
)  # fmt: skip
def test_money_is_written_to_the_cent_or_to_three_digits(value: str | None, sign: bool, text: str) -> None:
    """Sums in dollars end at the cent; sums that would vanish there, as those in coins, keep three digits."""
    assert money(value, "USDT", sign=sign) == text
