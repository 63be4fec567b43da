"""A portfolio of one ATR grid from environment variables, for `run` and `backtest` when no `--portfolio` is given (RULES 1).

The names are those of the ATR bot's document. What they make is written down as a portfolio file, `data/environment.yaml`
in the working directory (backtests: `data/environment-backtest.yaml`), so that it can be read, kept and changed; secrets
stay in the environment, the file only names them. Nothing is written before everything was checked.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tasks.errors import Refused
from tasks.outcome import say
from tasks.settings import check

FOLDER = Path("data")
MODES = ("backtest", "paper", "demo", "live")
# The variable and the field that it fills.
_FIELDS = {
    "INITIAL_CAPITAL": "initial_capital", "GRID_LEVELS": "levels", "ATR_MULTIPLIER": "atr_multiplier",
    "ORDER_SIZE_USDT": "order_size_quote", "RESERVE_RATIO": "reserve_ratio",
}  # fmt: skip
# Key and secret by mode and market; paper and backtest need none.
_KEYS = {
    "live": {"spot": ("API_SPOT_KEY", "API_SPOT_SECRET"), "swap": ("API_FUTURE_KEY", "API_FUTURE_SECRET")},
    "demo": {"spot": ("API_SPOT_KEY_TEST", "API_SPOT_SECRET_TEST"), "swap": ("API_TEST_KEY_FUTURE", "API_TEST_SECRET_FUTURE")},
}  # fmt: skip
# The document names no limits, and real money needs some: the capital, and a third of it.
DRAWDOWN = "0.3"


def portfolio_file(given: str | None, *, backtest: bool = False, environ: Mapping[str, str] | None = None) -> str:
    """Return the portfolio file that was named, else the one that the environment describes.

    Raises `Refused` where the environment describes none, or one that is refused; the key is then the variable's name.
    """
    if given is not None:
        return given
    told = os.environ if environ is None else environ
    raw = portfolio_of(told, backtest=backtest)
    for text in _warnings(told, backtest=backtest):
        say(f"! {text}")
    file = FOLDER / ("environment-backtest.yaml" if backtest else "environment.yaml")
    try:
        FOLDER.mkdir(parents=True, exist_ok=True)
        file.write_text(_HEAD + yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    except OSError as fault:
        raise Refused(
            f"{file} cannot be written: {fault}", key="portfolio", accepted="a writable working directory"
        ) from None
    say(f"no --portfolio: {file} was made from the environment")
    return str(file)


def candle_files(given: list[str] | None, environ: Mapping[str, str] | None = None) -> list[str]:
    """Return the candle files that were named, else `OHLCV_FILE`; raises `Refused` where there is neither."""
    if given:
        return given
    told = os.environ if environ is None else environ
    if not told.get("OHLCV_FILE"):
        raise Refused("is missing", key="--candles", accepted="[VENUE=]PATH, or OHLCV_FILE in the environment")
    return [told["OHLCV_FILE"]]


def portfolio_of(environ: Mapping[str, str], *, backtest: bool = False) -> dict[str, Any]:
    """Return the portfolio that the variables describe, as plain data that passed every check; raises `Refused`."""
    mode = environ.get("MODE") or ("backtest" if backtest else "paper")
    if mode not in MODES:
        raise Refused(f"{mode!r} is no mode", key="MODE", accepted=", ".join(MODES), given=mode)
    if environ.get("ENVIRONMENT", "") not in {"", "development", "production"}:
        raise Refused(f"{environ['ENVIRONMENT']!r} is unknown", key="ENVIRONMENT", accepted="development, production")
    if not environ.get("SYMBOL"):
        raise Refused(
            "neither --portfolio nor the variables of an ATR grid are given", key="SYMBOL",
            accepted="--portfolio F, or SYMBOL=BNB/USDT (see docs/strategies/atr_grid.md)",
        )  # fmt: skip
    if not re.fullmatch(r"[A-Z0-9]+/[A-Z0-9]+", environ["SYMBOL"]):
        raise Refused(f"{environ['SYMBOL']!r} is no spot symbol", key="SYMBOL", accepted="BASE/QUOTE, as BNB/USDT")
    raw = _raw("backtest" if backtest else mode, environ)
    try:
        check(raw, environ)
    except Refused as refused:
        raise Refused(refused.reason, key=_variable(refused.key), accepted=refused.accepted) from None
    return raw


def _raw(mode: str, environ: Mapping[str, str]) -> dict[str, Any]:
    symbol = environ["SYMBOL"]
    futures = environ.get("FUTURES_SYMBOL") or symbol
    if ":" not in futures:
        futures = f"{futures}:{futures.partition('/')[2]}"  # BNB/USDT means BNB/USDT:USDT (RULES 1)
    bot: dict[str, Any] = {
        "id": "atr", "kind": "atr_grid", "venue": "spot", "symbol": symbol, "futures_venue": "perp", "futures_symbol": futures,
    }  # fmt: skip
    bot |= {field: environ[name] for name, field in _FIELDS.items() if environ.get(name)}
    venues: list[dict[str, Any]] = [
        {"id": "spot", "exchange": "binance", "market": "spot"},
        {"id": "perp", "exchange": "binanceusdm", "market": "swap"},
    ]
    raw: dict[str, Any] = {"id": "environment", "mode": mode, "data_dir": ".", "venues": venues}
    if mode in _KEYS:
        for venue in venues:
            key, secret = _KEYS[mode][venue["market"]]
            venue |= {"api_key": f"${{{key}}}", "secret": f"${{{secret}}}"}
        raw["risk"] = {"max_exposure_quote": environ.get("INITIAL_CAPITAL") or "1000", "max_drawdown": DRAWDOWN}
    return raw | {"bots": [bot]}


def _variable(key: str) -> str:
    """Name the variable behind a field; keys of secrets are named by the reason already."""
    for name, field in (*_FIELDS.items(), ("SYMBOL", "symbol"), ("FUTURES_SYMBOL", "futures_symbol")):
        if key == f"bots[0].{field}":
            return name
    return key


def _warnings(environ: Mapping[str, str], *, backtest: bool) -> list[str]:
    said: list[str] = []
    database = sorted(name for name in environ if re.fullmatch(r"DB_(HOST|USER|PASSWORD|NAME|PORT|POOL_SIZE)", name))
    if database:
        said.append(f"{', '.join(database)}: ignored, everything is kept in DuckDB files in data_dir")
    if environ.get("OHLCV_FILE") and not backtest:
        said.append("OHLCV_FILE is read by `gridkeeper backtest` alone")
    return said


_HEAD = """\
# Made from environment variables by `gridkeeper`; the next call without --portfolio writes it anew.
# A copy under another name, given with --portfolio, is yours to change.
"""
