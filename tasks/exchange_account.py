"""What is checked of an account before it trades: its keys, what they may do, position mode, leverage, fees."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from tasks.exchange_client import CallFailed
from tasks.exchange_clock import utc_now
from tasks.exchange_errors import ACCOUNT
from tasks.exchange_parse import number, row_of
from tasks.exchange_quotes import market_of
from tasks.exchange_reads import AccountReader
from tasks.exchange_wire import BadAnswer, Call
from tasks.venue import ConfigRefused, ReadFailed, VenueHalted


def no_route(fault: CallFailed) -> bool:
    """Whether the address has no such route: a gateway need not have all that the exchange has."""
    return fault.call.status in {404, 405, 501} or (fault.call.status == 400 and fault.call.heard().code is None)


async def check_account(reader: AccountReader, symbols: Sequence[str], *, live: bool, allow_withdrawals: bool) -> None:
    """Check that the keys work, may trade, may not withdraw, and that the account's position mode is the configured one.

    Raises `ConfigRefused` naming the setting, or `ReadFailed` where the account could not be read.
    """
    try:
        await reader.balances(utc_now())
    except VenueHalted as fault:
        raise ConfigRefused("api_key", f"the exchange does not accept the keys: {fault}") from None
    if live and reader.client.binance and not allow_withdrawals:
        await _refuse_withdrawals(reader)
    if reader.client.market == "swap":
        await _check_position_mode(reader)
        await reader.positions(symbols, utc_now())


async def _refuse_withdrawals(reader: AccountReader) -> None:
    try:
        told = row_of(
            await reader.client.ask(Call(), reader.client.api.sapiGetAccountApiRestrictions), "the key's rights"
        )
    except CallFailed as fault:
        # A gateway without the wallet's routes can withdraw nothing either.
        if no_route(fault):
            return
        raise ReadFailed(f"{reader.venue}: rights of the key: {fault}") from None
    except BadAnswer as fault:
        raise ReadFailed(f"{reader.venue}: rights of the key: {fault}") from None
    if told.get("enableWithdrawals") is not False:
        raise ConfigRefused("api_key", "this key may withdraw; make one that may only trade, or set allow_withdrawals")


async def _check_position_mode(reader: AccountReader) -> None:
    api = reader.client.api
    if not api.has["fetchPositionMode"]:
        return
    try:
        told = row_of(await reader.client.ask(Call(), api.fetch_position_mode), "the position mode")
    except CallFailed as fault:
        # Where the route is missing, the rows of the positions themselves say it.
        if no_route(fault):
            return
        raise ReadFailed(f"{reader.venue}: position mode: {fault}") from None
    if told.get("hedged") is not reader.hedged:
        has, wants = ("one-way", "hedge") if reader.hedged else ("hedge", "one-way")
        raise ConfigRefused(
            "position_mode", f"the account is in {has} mode; switch it to {wants} at the exchange, or configure {has}"
        )


async def settle_terms(reader: AccountReader, symbol: str, leverage: int, margin_mode: str) -> None:
    """Make leverage and margin mode of a symbol what the configuration says, where nothing is open there (RULES 8).

    Raises `ConfigRefused` where a position or an order stands in the way, `ReadFailed` where it was not done.
    """
    api, wanted = reader.client.api, (leverage, {"isolated": "ISOLATED", "cross": "CROSSED"}[margin_mode])
    found = await _terms(reader, symbol)
    if found in {None, wanted}:
        return
    now = utc_now()
    held = [read.qty for read in await reader.positions([symbol], now)]
    if held != [0] or symbol in reader.standing or await reader.open_orders([symbol], now):
        raise ConfigRefused(
            "leverage",
            f"{symbol} is at {found[0]} times, {found[1]}; wanted is {wanted[0]} times, {wanted[1]}, but a position or "
            "an order is open there; close it, or configure what the account has",
        )
    market_id = market_of(reader.client, symbol)["id"]
    if found[1] != wanted[1]:
        await reader.read(
            Call(), "margin mode", api.fapiPrivatePostMarginType, {"symbol": market_id, "marginType": wanted[1]}
        )
    if found[0] != wanted[0]:
        await reader.read(Call(), "leverage", api.fapiPrivatePostLeverage, {"symbol": market_id, "leverage": leverage})
    if (after := await _terms(reader, symbol)) != wanted:
        raise ReadFailed(f"{reader.venue}: {symbol} was set to {wanted}, yet the exchange says {after}")


async def _terms(reader: AccountReader, symbol: str) -> tuple[int, str] | None:
    api, market_id = reader.client.api, market_of(reader.client, symbol)["id"]
    try:
        rows = await reader.client.ask(Call(), api.fapiPrivateGetSymbolConfig, {"symbol": market_id})
        row = row_of(rows[0] if isinstance(rows, list) and len(rows) == 1 else None, "the symbol's configuration")
        return int(number(row, "leverage")), str(row.get("marginType")).upper()
    except CallFailed as fault:
        if no_route(fault):
            return None
        raise ReadFailed(f"{reader.venue}: leverage of {symbol}: {fault}") from None
    except BadAnswer as fault:
        raise ReadFailed(f"{reader.venue}: leverage of {symbol}: {fault}") from None


async def account_fees(reader: AccountReader, symbols: Sequence[str]) -> dict[str, dict[str, Decimal]]:
    """Read the account's own maker and taker rates; a symbol for which they are not told keeps the published ones."""
    found: dict[str, dict[str, Decimal]] = {}
    if not reader.client.binance:
        return found
    for symbol in symbols:
        try:
            told = await _rates(reader, symbol)
            found[symbol] = {"maker": number(told, "maker"), "taker": number(told, "taker")}
        except BadAnswer:
            continue
        except CallFailed as fault:
            if fault.row is ACCOUNT:
                raise ConfigRefused("api_key", f"fees of {symbol}: {fault}") from None
    return found


async def _rates(reader: AccountReader, symbol: str) -> dict[str, Any]:
    api, market = reader.client.api, market_of(reader.client, symbol)
    if reader.client.market == "swap":
        told = row_of(
            await reader.client.ask(Call(), api.fapiPrivateGetCommissionRate, {"symbol": market["id"]}), "fees"
        )
        return {"maker": told.get("makerCommissionRate"), "taker": told.get("takerCommissionRate")}
    told = row_of(await reader.client.ask(Call(), api.privateGetAccountCommission, {"symbol": market["id"]}), "fees")
    return row_of(told.get("standardCommission"), "the standard commission")
