"""The portfolio file: what is refused, and that the refusal names the key and what would be accepted."""

import copy
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import Refused
from tasks.settings import check, data_dir, load_portfolio
from tasks.yaml_strict import load

GOOD = """
mode: paper
venues:
  - {id: spot, exchange: binance, market: spot}
  - {id: perp, exchange: binanceusdm, market: swap}
feed: {kind: synthetic}
bots:
  - {id: btc1, kind: grid, venue: spot, symbol: BTC/USDT, start_price: 90000, end_price: 110000, levels: 20,
     total_amount_quote: 1000}
"""


def good() -> dict[str, Any]:
    """Return a fresh copy of a portfolio that is accepted."""
    return copy.deepcopy(load(GOOD, "good.yaml"))


def test_a_good_file_is_accepted() -> None:
    """A plain portfolio is read, and its numbers are exact decimals."""
    portfolio = check(good(), {})
    assert [bot.id for bot in portfolio.bots] == ["btc1"]
    assert str(portfolio.bots[0].start_price) == "90000"


BOT_MISTAKES = [
    ("levles", 3, "bots[0].levles", "unknown key"),
    ("start_price", 120000, "bots[0].start_price", "below end_price"),
    ("start_price", 0, "bots[0].start_price", "greater than 0"),
    ("start_price", -5, "bots[0].start_price", "greater than 0"),
    ("start_price", ".nan", "bots[0].start_price", "no number"),
    ("start_price", "NaN", "bots[0].start_price", "no finite number"),
    ("start_price", "inf", "bots[0].start_price", "no finite number"),
    ("start_price", True, "bots[0].start_price", "not true or false"),
    ("total_amount_quote", 0, "bots[0].total_amount_quote", "greater than 0"),
    ("total_amount_quote", -100, "bots[0].total_amount_quote", "greater than 0"),
    ("amount_base", 1, "bots[0].total_amount_quote", "either"),
    ("safe_extra_spread", "2.0", "bots[0].safe_extra_spread", "no fraction"),
    ("activation_bounds", 2, "bots[0].activation_bounds", "no fraction"),
    ("triple_barrier", {"stop_loss": "2.0"}, "bots[0].triple_barrier.stop_loss", "no fraction"),
    ("triple_barrier", {"stop_loss": "0.3"}, "bots[0].triple_barrier.stop_loss", "allow_wide"),
    ("levels", 0, "bots[0].levels", "greater than or equal to 1"),
    ("levels", "many", "bots[0].levels", "integer"),
    ("id", "BTC_1", "bots[0].id", "pattern"),
    ("id", "waytoolongid", "bots[0].id", "pattern"),
    ("id", "external", "bots[0].id", "no bot"),
    ("kind", "gird", "bots[0].kind", "no bot kind"),
    ("venue", "moon", "bots[0].venue", "no venue"),
    ("symbol", "BTCUSDT", "bots[0].symbol", "no spot symbol"),
    ("symbol", "BTC/USDT:USDT", "bots[0].symbol", "no spot symbol"),
    ("leverage", 5, "bots[0].leverage", "no leverage"),
    ("limit_price", 95000, "bots[0].limit_price", "below its start_price"),
    ("exit", "take_profit", "bots[0].triple_barrier.take_profit", "needed"),
]


@pytest.mark.parametrize(("key", "value", "named", "reason"), BOT_MISTAKES)
def test_a_mistake_in_a_bot_is_refused_by_its_key(key: str, value: Any, named: str, reason: str) -> None:
    """Every mistake in a bot names the key that holds it, and why."""
    raw = good()
    raw["bots"][0][key] = value
    with pytest.raises(Refused) as refused:
        check(raw, {})
    assert refused.value.key == named
    assert reason in refused.value.reason
    assert refused.value.exit_code == 2


FILE_MISTAKES = [
    ({"mode": "prod"}, "mode"),
    ({"moed": "paper"}, "moed"),
    ({"bots": []}, "bots"),
    ({"feed": {"kind": "candles"}}, "feed.paths"),
    ({"feed": {"kind": "synthetic", "speed": "fast"}}, "feed.speed"),
    ({"feed": {"kind": "synthetic", "speed": -1}}, "feed.speed"),
    ({"risk": {"max_drawdown": 10}}, "risk.max_drawdown"),
    ({"mode": "live"}, "risk.max_exposure_quote"),
    ({"venues": [{"id": "spot", "exchange": "binance", "market": "futures"}]}, "venues[0].market"),
]


@pytest.mark.parametrize(("change", "named"), FILE_MISTAKES)
def test_a_mistake_in_the_file_is_refused_by_its_key(change: dict[str, Any], named: str) -> None:
    """Every mistake outside of the bots names its key too."""
    with pytest.raises(Refused) as refused:
        check(good() | change, {})
    assert refused.value.key == named


MISTYPED = [
    ({"moed": "paper"}, "mode"),
    ({"mode": "papr"}, "paper"),
    ({"feed": {"kind": "synthetics"}}, "synthetic"),
    ({"feed": {"kind": "synthetic", "speed": "candel"}}, "candle"),
    ({"risk": {"max_drawdwon": "0.1"}}, "max_drawdown"),
    ({"venues": [{"id": "spot", "exchange": "binance", "market": "Spott"}]}, "spot"),
    ({"bots": [{"levles": 3}]}, "levels"),
    ({"bots": [{"side": "buy"}]}, "BUY"),
    ({"bots": [{"kind": "gird"}]}, "grid"),
    ({"bots": [{"venue": "sopt"}]}, "spot"),
    ({"bots": [{"venue_stop": "autoo"}]}, "auto"),
    ({"bots": [{"triple_barrier": {"stop_los": "0.1"}}]}, "stop_loss"),
    ({"bots": [{"lower_price": 90000}]}, ""),
    ({"bots": [{"max_order_amount_quote": 90}]}, ""),
    ({"bots": [{"total_amount": 90}]}, "total_amount_quote"),
    ({"bots": [{"venue": "moon"}]}, ""),
]


@pytest.mark.parametrize(("change", "meant"), MISTYPED)
def test_a_mistyped_word_is_told_which_one_was_meant(change: dict[str, Any], meant: str) -> None:
    """A key or word that is like a known one names it; one that is like none guesses nothing."""
    raw = good()
    bots = [raw["bots"][0] | one for one in change.get("bots", [{}])]
    with pytest.raises(Refused) as refused:
        check(raw | change | {"bots": bots}, {})
    said = refused.value.reason.partition("; did you mean ")[2]
    assert said == (f"{meant}?" if meant else "")
    assert refused.value.accepted


@pytest.mark.parametrize(
    ("change", "home"),
    [({"stop_loss": "0.1"}, "triple_barrier"), ({"trailing_stop": {}}, "triple_barrier"), ({"levles": 3}, "")],
)
def test_a_key_that_stands_one_step_too_far_out_is_told_where_it_belongs(change: dict[str, Any], home: str) -> None:
    """A barrier beside `triple_barrier` instead of inside it is the likeliest mistake after a slip of the finger."""
    raw = good()
    raw["bots"][0] |= change
    with pytest.raises(Refused) as refused:
        check(raw, {})
    wanted = f"unknown key here; it belongs under {home}" if home else "unknown key; did you mean levels?"
    assert refused.value.reason == wanted


@pytest.mark.parametrize(
    ("value", "reason"), [("-1", "greater than 0"), ("1.5", "no fraction"), ("wide", "'wide' is not known")]
)
def test_where_a_word_or_a_number_fits_the_refusal_is_of_what_was_given(value: str, reason: str) -> None:
    """A number out of its bounds is not told that it is no word, and a word not that it is no number."""
    raw = good()
    if value == "-1":
        raw["feed"]["speed"] = value
    else:
        raw["bots"][0]["venue_stop"] = value
    with pytest.raises(Refused, match=reason):
        check(raw, {})


def test_two_bots_with_one_id_are_refused() -> None:
    """Ids must be unique: they are part of every client order id."""
    raw = good()
    raw["bots"].append(copy.deepcopy(raw["bots"][0]))
    with pytest.raises(Refused, match="two bots are called 'btc1'"):
        check(raw, {})


def test_opposite_grids_on_one_net_position_are_refused() -> None:
    """On a one-way account a long and a short grid of one symbol would close each other's positions."""
    raw = good()
    bot = {**raw["bots"][0], "venue": "perp", "symbol": "BTC/USDT:USDT"}
    raw["bots"] = [{**bot, "id": "long"}, {**bot, "id": "short", "side": "SELL"}]
    with pytest.raises(Refused, match="one net position"):
        check(raw, {})


def test_a_duplicate_key_is_refused_with_its_line() -> None:
    """A key that stands twice would silently lose one of its values."""
    with pytest.raises(Refused, match=r"levels: stands twice \(line 3\)"):
        load("bots:\n  - levels: 3\n    levels: 4\n", "twice.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [("no", "no"), ("010", "010"), ("1:30", "1:30"), ("0.1", "0.1"), ("7", 7), ("true", True), ("", None)],
)
def test_scalars_are_read_without_surprises(text: str, value: Any) -> None:
    """Only decimal integers, true, false and null are more than text."""
    assert load(f"key: {text}", "scalar.yaml") == {"key": value}


def test_a_variable_comes_from_the_environment() -> None:
    """`${NAME}` takes the environment's value; a missing one is refused by key."""
    raw = good() | {"data_dir": "${PLACE}/x"}
    assert check(raw, {"PLACE": "there"}).data_dir == "there/x"
    with pytest.raises(Refused) as refused:
        check(raw, {})
    assert refused.value.key == "data_dir"


def test_paper_needs_no_keys() -> None:
    """The same file may serve paper and live: a missing key is no fault where none is used."""
    raw = good()
    raw["venues"][0]["api_key"] = "${API_SPOT_KEY}"
    assert check(raw, {}).venues[0].api_key is None


def test_a_secret_does_not_show(tmp_path: Path) -> None:
    """A key is hidden wherever the portfolio is printed."""
    raw = good()
    raw["venues"][0]["api_key"] = "${API_SPOT_KEY}"
    assert "canary" not in repr(check(raw, {"API_SPOT_KEY": "canary"}))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """The message names the file."""
    with pytest.raises(Refused, match="no file"):
        load_portfolio(tmp_path / "none.yaml")


def test_the_data_directory_lies_beside_the_file(tmp_path: Path) -> None:
    """Running from another directory must not make a second store."""
    portfolio = check(good(), {})
    assert data_dir(portfolio, tmp_path / "p.yaml") == tmp_path / "data"
