"""Money that moves without a trade: a swap account's funding and transfers, from the exchange's own records.

Binance keeps three months of income and serves seven days at a time; a transaction id is unique within its type alone
(USD-M, Get Income History). A payment carries the rate that the exchange published for that moment. What a spot account
sends and receives is read by `tasks.exchange_transfers`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from core.facts import FundingPaid, Transfer
from tasks.exchange_clock import from_ms, to_ms
from tasks.exchange_parse import number, row_of, text, time_ms
from tasks.exchange_quotes import market_of
from tasks.exchange_reads import AccountReader
from tasks.exchange_transfers import read_transfers
from tasks.exchange_wire import BadAnswer
from tasks.venue import ReadFailed

PAGE_ROWS = 1000
WINDOW = timedelta(days=7)
# Payments are booked within seconds of the funding time.
BOOKED_WITHIN_MS = 300_000


async def read_income(
    reader: AccountReader, symbols: Sequence[str], since: datetime, now: datetime
) -> list[FundingPaid | Transfer]:
    """Read funding and transfers since a time, oldest first; raises `ReadFailed`. Binance alone, else nothing."""
    if not reader.client.binance:
        return []
    if reader.client.market != "swap":
        return [*await read_transfers(reader, since, now)]
    ids = {market_of(reader.client, symbol)["id"]: symbol for symbol in symbols}
    rates: dict[str, dict[int, Decimal]] = {}
    found: list[FundingPaid | Transfer] = []
    for row in await _rows(reader, since, now):
        try:
            fact = await _fact(reader, row, ids, rates)
        except BadAnswer as fault:
            raise ReadFailed(f"{reader.venue}: income: {fault}") from None
        if fact is not None:
            found.append(fact)
    return sorted(found, key=lambda fact: (fact.ts, fact.ref))


async def _rows(reader: AccountReader, since: datetime, now: datetime) -> list[dict[str, Any]]:
    ask = reader.client.api.fapiPrivateGetIncome
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    start = since
    while start <= now:
        end = start + WINDOW
        asked = {"startTime": to_ms(start), "endTime": to_ms(end), "limit": PAGE_ROWS}
        page = [row_of(row, "an income row") for row in await reader.list_of("income", ask, asked)]
        found |= {(str(row.get("incomeType")), str(row.get("tranId")), str(row.get("asset"))): row for row in page}
        # A full page ends before its window: the next one starts at its last moment, what comes twice counts once.
        start = from_ms(max(time_ms(row, "time") for row in page)) if len(page) >= PAGE_ROWS else end
    return list(found.values())


async def _fact(
    reader: AccountReader, row: dict[str, Any], ids: dict[str, str], rates: dict[str, dict[int, Decimal]]
) -> FundingPaid | Transfer | None:
    kind, asset, amount = text(row, "incomeType"), text(row, "asset"), number(row, "income")
    ref, at_ms = f"{kind}.{text(row, 'tranId')}", time_ms(row, "time")
    if kind == "TRANSFER":
        return Transfer(reader.venue, asset, amount, ref, from_ms(at_ms))
    symbol = ids.get(str(row.get("symbol")))
    if kind != "FUNDING_FEE" or symbol is None:
        return None
    if symbol not in rates:
        rates[symbol] = await _rates(reader, symbol, at_ms)
    known = [rate for paid_ms, rate in rates[symbol].items() if 0 <= at_ms - paid_ms <= BOOKED_WITHIN_MS]
    if not known:
        raise BadAnswer(f"no funding rate is known for the payment of {symbol} at {from_ms(at_ms)}")
    return FundingPaid(reader.venue, symbol, amount, asset, known[-1], ref, from_ms(at_ms))


async def _rates(reader: AccountReader, symbol: str, first_ms: int) -> dict[int, Decimal]:
    asked = {
        "symbol": market_of(reader.client, symbol)["id"],
        "startTime": first_ms - BOOKED_WITHIN_MS,
        "limit": PAGE_ROWS,
    }
    rows = await reader.list_of("funding rates", reader.client.api.fapiPublicGetFundingRate, asked)
    return {time_ms(row_of(row, "a funding rate"), "fundingTime"): number(row, "fundingRate") for row in rows}
