"""Reads candle files for backtests: one series for every market, side by side where there are several."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from core.kinds import AnyBot
from core.market import Market
from core.series import CandleSeries
from tasks.errors import Refused


def refuse_strangers(candles: Sequence[str], bots: Sequence[AnyBot]) -> None:
    """Refuse `NAME=PATH` of a market that no bot of the portfolio trades: other candles would silently stand in for it."""
    markets = [market for bot in bots for market in bot.markets()]
    known = list(dict.fromkeys([name for name, _ in markets] + [f"{name}:{symbol}" for name, symbol in markets]))
    for one in candles:
        name, named, _ = one.partition("=")
        # The name of a file may have a sign of equality in it, too.
        if named and name not in known and "/" not in name.partition(":")[0]:
            raise Refused(f"no bot trades at {name!r}", key="--candles", accepted=", ".join(known), given=name)


def read_series(
    candles: Sequence[str], bot: AnyBot, from_: datetime | None, to: datetime | None
) -> tuple[list[CandleSeries], str, list[str]]:
    """Read the series of every market of a bot, in the order of its markets, their timeframe, and remarks.

    Raises `Refused` where a file is missing or can't be read, or where timeframes differ.
    """
    named = dict(one.split("=", 1) for one in candles if "=" in one)
    unnamed = [one for one in candles if "=" not in one]
    found: list[CandleSeries] = []
    timeframes: list[str] = []
    remarks: list[str] = []
    for venue, symbol in bot.markets():
        path = named.get(f"{venue}:{symbol}") or named.get(venue) or (unnamed[0] if unnamed else None)
        if path is None:
            raise Refused(f"no candles for {venue}", key="--candles", accepted=f"{venue}=FILE or FILE")
        if found and path in unnamed:
            remarks.append(
                f"{symbol} at {venue} has no candles of its own: those of {bot.symbol} stand in, at zero basis"
            )
        series, timeframe, said = _read_one(path, from_, to)
        found.append(series)
        timeframes.append(timeframe)
        remarks += [text for text in said if text not in remarks]
    if len(set(timeframes)) > 1:
        raise Refused(f"timeframes differ: {', '.join(timeframes)}", key="--candles", accepted="files of one timeframe")
    if len(found) == 1:
        return found, timeframes[0], remarks
    from tasks.candles_align import align

    together, left_out = align(found)
    if left_out:
        remarks.append(f"{left_out} candles of {bot.symbol} are missing in another market: nothing was decided there")
    return [*together], timeframes[0], remarks


def read_markets(
    candles: Sequence[str], bots: Sequence[AnyBot], from_: datetime | None, to: datetime | None
) -> tuple[dict[Market, CandleSeries], str, list[str]]:
    """Read the series of every market of several bots, side by side, their timeframe, and remarks.

    `VENUE:SYMBOL=PATH` names one market, `VENUE=PATH` the only one of a venue. A path alone serves all markets of one base
    asset. Raises `Refused` naming the market where candles are missing, and where timeframes differ.
    """
    markets = list(dict.fromkeys(market for bot in bots for market in bot.markets()))
    paths = _paths_of(candles, markets)
    read: dict[str, tuple[CandleSeries, str, list[str]]] = {}
    remarks: list[str] = []
    for market, path in paths.items():
        if path in read and path not in {one.partition("=")[2] for one in candles if "=" in one}:
            remarks.append(
                f"{market[1]} at {market[0]} has no candles of its own: those of {path} stand in, at zero basis"
            )
        if path not in read:
            read[path] = _read_one(path, from_, to)
            remarks += [text for text in read[path][2] if text not in remarks]
    timeframes = sorted({timeframe for _, timeframe, _ in read.values()})
    if len(timeframes) > 1:
        raise Refused(f"timeframes differ: {', '.join(timeframes)}", key="--candles", accepted="files of one timeframe")
    found = [read[path][0] for path in paths.values()]
    from tasks.candles_align import align

    together, left_out = align(found) if len(read) > 1 else (found, 0)
    if not len(together[0]):
        raise Refused("the markets share no candle", key="--candles", accepted="files that overlap in time")
    if left_out:
        venue, symbol = markets[0]
        remarks.append(
            f"{left_out} candles of {symbol} at {venue} are missing in another market: nothing was decided there"
        )
    return dict(zip(paths, together, strict=True)), timeframes[0], remarks


def _paths_of(candles: Sequence[str], markets: Sequence[Market]) -> dict[Market, str]:
    named = dict(one.split("=", 1) for one in candles if "=" in one)
    unnamed = [one for one in candles if "=" not in one]
    alike = len({symbol.partition("/")[0] for _, symbol in markets}) == 1
    lacking = [f"{venue}:{symbol}" for venue, symbol in markets]
    found: dict[Market, str] = {}
    for venue, symbol in markets:
        alone = sum(1 for name, _ in markets if name == venue) == 1
        path = named.get(f"{venue}:{symbol}") or (named.get(venue) if alone else None)
        if path is None and len(unnamed) == 1 and alike:
            path = unnamed[0]
        if path is None:
            wanted = ", ".join(f"{name}=FILE" for name in lacking)
            raise Refused(f"no candles for {symbol} at {venue}", key="--candles", accepted=wanted)
        found[venue, symbol] = path
    return found


def _read_one(path: str, from_: datetime | None, to: datetime | None) -> tuple[CandleSeries, str, list[str]]:
    from tasks.candles_read import CandleRefused, read_candles

    if not Path(path).is_file():
        raise Refused(f"no file {path}", key="--candles", accepted="a CSV, Parquet or feather file of candles")
    try:
        series, report = read_candles(path, from_=from_, to=to)
    except CandleRefused as refused:
        raise Refused(str(refused), key="--candles") from None
    remarks = [f"repaired: {text}" for text in report.repairs]
    if report.missing:
        remarks.append(
            f"{report.missing:,} candle{'s are' if report.missing > 1 else ' is'} missing in {len(report.gaps)} "
            f"gap{'s' if len(report.gaps) > 1 else ''}; nothing was invented"
        )
    return series, report.timeframe, remarks
