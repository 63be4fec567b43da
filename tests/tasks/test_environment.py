"""The ATR bot's environment variables: what they make, what they refuse, and that secrets stay where they are."""

import json
from pathlib import Path

import pytest

from core.machines.atr_grid.config import AtrGridConfig
from tasks.cli import main
from tasks.environment import portfolio_file, portfolio_of
from tasks.errors import Refused
from tasks.settings import check, load_portfolio
from tests.core.worlds import D
from tests.tasks.played import write_candles

TOLD = {"SYMBOL": "BNB/USDT", "FUTURES_SYMBOL": "BNB/USDT"}
KEYS = {
    "live": {"API_SPOT_KEY": "k1", "API_SPOT_SECRET": "s1", "API_FUTURE_KEY": "k2", "API_FUTURE_SECRET": "s2"},
    "demo": {
        "API_SPOT_KEY_TEST": "k1", "API_SPOT_SECRET_TEST": "s1", "API_TEST_KEY_FUTURE": "k2", "API_TEST_SECRET_FUTURE": "s2",
    },
}  # fmt: skip


def bot_of(**environ: str) -> AtrGridConfig:
    """The bot that these variables describe."""
    bot = check(portfolio_of(TOLD | environ), TOLD | environ).bots[0]
    assert isinstance(bot, AtrGridConfig)
    return bot


def test_the_document_s_example_is_a_portfolio() -> None:
    """Two symbols are enough; a futures symbol without its settlement is settled in its quote."""
    bot = bot_of()
    assert bot.markets() == (("spot", "BNB/USDT"), ("perp", "BNB/USDT:USDT"))
    assert (bot.initial_capital, bot.levels, bot.order_size_quote) == (1000, 5, None)
    assert portfolio_of({"SYMBOL": "BNB/USDT"})["bots"][0]["futures_symbol"] == "BNB/USDT:USDT"


def test_every_variable_of_the_strategy_fills_its_field() -> None:
    """Capital, levels, multiplier, order size and reserve are taken as they are given."""
    bot = bot_of(
        INITIAL_CAPITAL="2500", GRID_LEVELS="8", ATR_MULTIPLIER="1.5", ORDER_SIZE_USDT="60", RESERVE_RATIO="0.25"
    )
    assert (bot.initial_capital, bot.levels, bot.atr_multiplier) == (2500, 8, D("1.5"))
    assert (bot.order_size_quote, bot.split.grid, bot.split.hedge) == (60, D("0.5"), D("0.25"))


@pytest.mark.parametrize("mode", ["live", "demo"])
def test_real_modes_name_their_keys_and_bound_the_capital(mode: str) -> None:
    """Keys are the document's for each mode, named but not copied; risk limits follow the capital."""
    environ = TOLD | KEYS[mode] | {"MODE": mode, "INITIAL_CAPITAL": "700"}
    raw = portfolio_of(environ)
    assert "k1" not in json.dumps(raw)
    portfolio = check(raw, environ)
    keys = [venue.api_key.get_secret_value() for venue in portfolio.venues if venue.api_key is not None]
    assert (portfolio.mode, keys, portfolio.risk.max_exposure_quote) == (mode, ["k1", "k2"], 700)


@pytest.mark.parametrize(
    ("environ", "key"),
    [
        ({"MODE": "testnet"}, "MODE"),
        ({"MODE": "Live"}, "MODE"),
        ({"ENVIRONMENT": "staging"}, "ENVIRONMENT"),
        ({"SYMBOL": ""}, "SYMBOL"),
        ({"SYMBOL": "BNBUSDT"}, "SYMBOL"),
        ({"FUTURES_SYMBOL": "BNB/USDT:BNB"}, "SYMBOL"),
        ({"GRID_LEVELS": "many"}, "GRID_LEVELS"),
        ({"GRID_LEVELS": "1"}, "GRID_LEVELS"),
        ({"INITIAL_CAPITAL": "-5"}, "INITIAL_CAPITAL"),
        ({"ATR_MULTIPLIER": "nan"}, "ATR_MULTIPLIER"),
        ({"RESERVE_RATIO": "0.5"}, "RESERVE_RATIO"),
        ({"MODE": "live"}, "venues[0].api_key"),
    ],
)
def test_what_is_wrong_is_refused_by_the_variable_s_name(environ: dict[str, str], key: str) -> None:
    """Nothing is guessed: a mode that nobody knows is not live, and the message names what to set."""
    with pytest.raises(Refused) as refused:
        portfolio_of(TOLD | environ)
    assert refused.value.key == key


def test_a_file_that_is_named_is_never_overridden(tmp_path: Path) -> None:
    """With --portfolio the environment is not read."""
    assert portfolio_file("mine.yaml", environ=TOLD | {"MODE": "nonsense"}) == "mine.yaml"
    assert not list(tmp_path.iterdir())


def test_refused_variables_write_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 2 leaves the directory as it was."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYMBOL", "BNB/USDT")
    monkeypatch.setenv("MODE", "testnet")
    assert main(["run"]) == 2
    assert not list(tmp_path.iterdir())


def test_the_file_says_what_runs_and_keeps_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written down is a portfolio file like any other; databases of the document are ignored, and said so."""
    monkeypatch.chdir(tmp_path)
    environ = TOLD | KEYS["live"] | {"MODE": "live", "DB_HOST": "db", "OHLCV_FILE": "x.csv"}
    file = portfolio_file(None, environ=environ)
    assert "s1" not in Path(file).read_text()
    assert load_portfolio(file, environ).bots[0].symbol == "BNB/USDT"


def test_the_document_s_backtest_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`export MODE=backtest …; gridkeeper backtest` over a CSV of Time,Open,High,Low,Close,Volume."""
    monkeypatch.chdir(tmp_path)
    candles = write_candles(tmp_path / "ohlcv.csv", 300, price=600.0)
    for name, value in {**TOLD, "MODE": "backtest", "OHLCV_FILE": str(candles), "DB_HOST": "localhost"}.items():
        monkeypatch.setenv(name, value)
    assert main(["backtest", "--json"]) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert (told["ok"], told["data"]["bars"], told["data"]["symbol"]) == (True, 300, "BNB/USDT")
    assert "DB_HOST: ignored" in err
    assert main(["run"]) == 2  # backtest mode does not tick
