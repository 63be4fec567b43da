"""The only reader of the portfolio file and of the environment. Everything it refuses names the key and what is accepted."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from core.kinds import KINDS
from core.portfolio import Portfolio, VenueConfig
from tasks.errors import Refused
from tasks.yaml_strict import load

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_WORD = re.compile(r"'([^']*)'")
_NUMBER = re.compile(r"[-+]?\d*\.?\d+")
_SECRET_KEYS = {"api_key", "secret", "password"}
_KEYLESS_MODES = {"backtest", "paper"}
BUILT_IN = Path(__file__).parents[1] / "examples" / "paper.yaml"


def load_portfolio(path: str | Path, environ: Mapping[str, str] | None = None) -> Portfolio:
    """Read and check a portfolio file; raises `Refused` and writes nothing."""
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Refused(f"no file {file}", key="portfolio", accepted="the path of a YAML file") from None
    except (OSError, UnicodeDecodeError) as fault:
        raise Refused(f"{file} cannot be read: {fault}", key="portfolio", accepted="a readable UTF-8 file") from None
    raw = load(text, file.name)
    if not isinstance(raw, dict):
        raise Refused(f"{file.name} holds no mapping", key="portfolio", accepted="keys such as mode, venues, bots")
    return check(raw, os.environ if environ is None else environ)


def check(raw: dict[str, Any], environ: Mapping[str, str]) -> Portfolio:
    """Turn plain data into a checked portfolio; raises `Refused`."""
    keyless = raw.get("mode", "paper") in _KEYLESS_MODES
    filled = _substitute(raw, environ, "", keyless=keyless)
    for index, bot in enumerate(filled.get("bots") or []):
        kind = bot.get("kind") if isinstance(bot, dict) else None
        if kind not in KINDS:
            raise Refused(
                f"{kind!r} is no bot kind", key=f"bots[{index}].kind", accepted=", ".join(KINDS), given=str(kind)
            )
    try:
        portfolio = Portfolio.model_validate(filled)
    except ValidationError as fault:
        raise _first_refusal(fault, filled) from None
    cross_check(portfolio)
    return portfolio


def with_bot(portfolio: Portfolio, raw: dict[str, Any], environ: Mapping[str, str]) -> Portfolio:
    """Check plain data that differs from a checked portfolio of one bot in that bot's fields alone; raises as `check` does.

    What stands beside the bot is not read again, which is most of the work where thousands of bots are tried.
    """
    before, keyless = portfolio.bots[0], raw.get("mode", "paper") in _KEYLESS_MODES
    filled = _substitute(raw["bots"][0], environ, "bots[0]", keyless=keyless)
    try:
        bot = type(before).model_validate(filled)
    except ValidationError:
        return check(raw, environ)  # which names the key as it stands in the whole
    changed = portfolio.model_copy(update={"bots": (bot,)})
    cross_check(changed)
    return changed


def data_dir(portfolio: Portfolio, file: str | Path) -> Path:
    """Return the data directory; a relative one lies beside the portfolio file, wherever the command runs."""
    return (Path(file).resolve().parent / Path(portfolio.data_dir).expanduser()).resolve()


def feed_path(text: str, file: str | Path) -> Path:
    """Return a feed file's path; a relative one lies beside the portfolio file, else in the working directory."""
    beside = Path(file).resolve().parent / Path(text).expanduser()
    return beside if beside.exists() else Path(text).expanduser().resolve()


def _substitute(value: Any, environ: Mapping[str, str], key: str, *, keyless: bool) -> Any:
    if isinstance(value, dict):
        return {k: _substitute(v, environ, f"{key}.{k}" if key else str(k), keyless=keyless) for k, v in value.items()}
    if isinstance(value, list):
        return [_substitute(v, environ, f"{key}[{i}]", keyless=keyless) for i, v in enumerate(value)]
    if not isinstance(value, str):
        return value
    names = _VARIABLE.findall(value)
    missing = [name for name in names if name not in environ]
    if missing and keyless and key.rsplit(".", 1)[-1] in _SECRET_KEYS:
        return None  # paper and backtest need no keys; the same file may serve both
    if missing:
        raise Refused(
            f"the environment has no {missing[0]}", key=key, accepted=f"{missing[0]} set, or a value in the file"
        )
    return _VARIABLE.sub(lambda found: environ[found[1]], value)


def _first_refusal(fault: ValidationError, raw: dict[str, Any]) -> Refused:
    error, others = _telling(fault)
    key, given = _key(error["loc"], raw), ""
    reason, accepted = error["msg"].removeprefix("Value error, "), ""
    if error["type"] == "extra_forbidden":
        model, given = _model_at(error["loc"]), str(error["loc"][-1])
        reason, accepted = "unknown key", ", ".join(model.model_fields) if model else ""
        if homes := _homes(model, given):
            # Known one step further in, as `stop_loss` is under `triple_barrier`: no slip of the finger.
            reason, given = f"unknown key here; it belongs under {' or '.join(homes)}", ""
    elif error["type"] == "literal_error":
        given = str(error["input"])
        reason, accepted = f"{given!r} is not known", ", ".join([*_WORD.findall(error["ctx"]["expected"]), *others])
    elif error["type"] == "missing":
        reason = "is missing"
    elif error["type"] == "value_error" and ": " in reason:
        field, _, rest = reason.partition(": ")
        if re.fullmatch(r"[a-z_.]+", field):
            key, reason = f"{key}.{field}", rest
    return Refused(reason, key=key, accepted=accepted or _accepted(error), given=given)


def _telling(fault: ValidationError) -> tuple[Any, list[str]]:
    # The error to show, and what else than its words is accepted there. A value that is a word or a number fails as both:
    # a number is to be told what is wrong with it as a number.
    errors = fault.errors(include_url=False)
    first = errors[0]
    beside = [one for one in errors[1:] if len(one["loc"]) > 1 and one["loc"][:-1] == first["loc"][:-1]]
    beside = [one for one in beside if one["input"] is first["input"]] if first["type"] == "literal_error" else []
    if beside and _NUMBER.fullmatch(str(first["input"])):
        return beside[-1], []
    return first, ["or a number"] if beside else []


def _accepted(error: Any) -> str:
    context = error.get("ctx") or {}
    words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most", "pattern": "of the form"}
    parts = [f"{word} {context[name]}" for name, word in words.items() if name in context]
    if "expected" in context:
        parts.append(str(context["expected"]))
    return " and ".join(parts)


def _key(loc: tuple[Any, ...], raw: dict[str, Any]) -> str:
    text = ""
    node: Any = raw
    for place, part in enumerate(loc):
        if isinstance(part, int):
            text += f"[{part}]"
        elif (text and not isinstance(node, dict)) or _is_tag(loc, place):
            continue  # which member of a union was tried is no key
        else:
            text += f".{part}" if text else str(part)
        node = node[part] if isinstance(node, list | dict) and _has(node, part) else None
    return text


def _is_tag(loc: tuple[Any, ...], place: int) -> bool:
    return place == 2 and loc[0] == "bots" and loc[place] in KINDS


def _has(node: Any, part: Any) -> bool:
    return part in node if isinstance(node, dict) else isinstance(part, int) and part < len(node)


def _homes(model: Any, key: str) -> list[str]:
    fields = model.model_fields if model else {}
    known = {name: _models_in(one.annotation) for name, one in fields.items() if name != "controllers"}
    return [name for name, inside in known.items() if any(key in one.model_fields for one in inside)]


def _model_at(loc: tuple[Any, ...]) -> Any:
    model: Any = Portfolio
    for place, part in enumerate(loc[:-1]):
        if isinstance(part, int) or model is None:
            continue
        if _is_tag(loc, place):
            union = Portfolio.model_fields["bots"].annotation
            model = next((one for one in _models_in(union) if one.model_fields["kind"].default == part), None)
            continue
        field = model.model_fields.get(part) if hasattr(model, "model_fields") else None
        model = _model_in(field.annotation) if field is not None else None
    return model if hasattr(model, "model_fields") else None


def _model_in(annotation: Any) -> Any:
    return next(iter(_models_in(annotation)), None)


def _models_in(annotation: Any) -> list[Any]:
    if hasattr(annotation, "model_fields"):
        return [annotation]
    return [found for inner in getattr(annotation, "__args__", ()) for found in _models_in(inner)]


def cross_check(portfolio: Portfolio) -> None:
    """Check what several parts of a portfolio must agree on; raises `Refused`."""
    _unique([v.id for v in portfolio.venues], "venues", "venue")
    _unique([b.id for b in portfolio.bots], "bots", "bot")
    venues = {v.id: v for v in portfolio.venues}
    for index, bot in enumerate(portfolio.bots):
        for name, symbol in bot.markets():
            venue = venues.get(name)
            if venue is None:
                raise Refused(
                    f"there is no venue {name!r}", key=f"bots[{index}].venue", accepted=", ".join(venues), given=name
                )
            _check_symbol(symbol, venue, f"bots[{index}].symbol")
        if bot.leverage > 1 and all(venues[name].market == "spot" for name, _ in bot.markets()):
            raise Refused("spot has no leverage", key=f"bots[{index}].leverage", accepted="1")
    for index, venue in enumerate(portfolio.venues):
        for symbol in venue.instruments:
            _check_symbol(symbol, venue, f"venues[{index}].instruments.{symbol}")
    _check_netting(portfolio)
    if portfolio.mode in {"demo", "live"}:
        _check_real_money(portfolio)


def _unique(ids: list[str], key: str, word: str) -> None:
    for index, one in enumerate(ids):
        if one in ids[:index]:
            raise Refused(f"two {word}s are called {one!r}", key=f"{key}[{index}].id", accepted="an id of its own")


def _check_symbol(symbol: str, venue: VenueConfig, key: str) -> None:
    spot = re.fullmatch(r"[A-Z0-9]+/[A-Z0-9]+", symbol)
    swap = re.fullmatch(r"([A-Z0-9]+)/([A-Z0-9]+):([A-Z0-9]+)", symbol)
    if venue.market == "spot" and not spot:
        raise Refused(f"{symbol!r} is no spot symbol", key=key, accepted="BASE/QUOTE, for example BTC/USDT")
    if venue.market == "swap" and not swap:
        raise Refused(f"{symbol!r} is no swap symbol", key=key, accepted="BASE/QUOTE:SETTLE, for example BTC/USDT:USDT")
    if swap is not None and swap[2] != swap[3]:
        raise Refused("inverse and quanto swaps are not traded", key=key, accepted="a swap that settles in its quote")


def _check_netting(portfolio: Portfolio) -> None:
    seen: dict[tuple[str, str], tuple[int, str, int]] = {}
    for index, bot in enumerate(portfolio.bots):
        for key in bot.markets():
            venue = portfolio.venue(key[0])
            if venue.market != "swap" or bot.kind == "watch":
                continue
            direction = bot.direction_at(key)
            other = seen.setdefault(key, (index, direction, bot.leverage))
            hedged = venue.position_mode == "hedge"
            if hedged and not direction:
                reason = f"may stand on either side of {key[1]}, and {venue.id} keeps a position for each"
                raise Refused(reason, key=f"bots[{index}].venue", accepted="a venue with position_mode: one_way")
            if not hedged and other[0] != index and "" in {other[1], direction}:
                reason = f"may stand on either side, as bots[{other[0]}] may, of one net position of {key[1]}"
                raise Refused(reason, key=f"bots[{index}].symbol", accepted="a symbol or an account of its own")
            if not hedged and other[1] != direction:
                reason = f"trades against bots[{other[0]}] on one net position of {key[1]}"
                raise Refused(reason, key=f"bots[{index}].side", accepted=f"{other[1]}, or position_mode: hedge")
            if other[2] != bot.leverage:
                reason = f"differs from bots[{other[0]}] on one position of {key[1]}"
                raise Refused(reason, key=f"bots[{index}].leverage", accepted=str(other[2]))


def _check_real_money(portfolio: Portfolio) -> None:
    for name in ("max_exposure_quote", "max_drawdown"):
        if getattr(portfolio.risk, name) is None:
            raise Refused(
                f"{portfolio.mode} mode needs it", key=f"risk.{name}", accepted="a limit, for example 5000 or 0.10"
            )
    for index, venue in enumerate(portfolio.venues):
        if venue.api_key is None or venue.secret is None:
            missing = "api_key" if venue.api_key is None else "secret"
            raise Refused(f"{portfolio.mode} mode needs it", key=f"venues[{index}].{missing}", accepted='"${NAME}"')
