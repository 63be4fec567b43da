"""Money sent to and from a spot account: deposits, withdrawals and moves between wallets, from Binance's own records.

A deposit counts once it is credited (status 1, or 6: credited, not yet free to leave), a withdrawal from the moment it is
applied for, with its fee, for then it leaves the balance; one that was cancelled, rejected or failed comes back as a record
of its own. Binance serves ninety days at a time and knows each by its id.

Demo trading has no such records. Where they cannot be read nothing is booked, and the difference is an incident as before.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from core.facts import Transfer
from core.values import ZERO
from tasks.exchange_clock import from_ms, to_ms
from tasks.exchange_parse import number, row_of, text, time_ms
from tasks.exchange_reads import AccountReader
from tasks.exchange_wire import BadAnswer, Call
from tasks.venue import ReadFailed

PAGE_ROWS = 1000
WINDOW = timedelta(days=89)
# A deposit is listed when it is first seen and credited when it is confirmed, which may take hours.
CREDITED_WITHIN = timedelta(hours=24)
# The list of withdrawals weighs a tenth of what an account may ask for in a minute (18,000 of 180,000).
WITHDRAWALS_EVERY = timedelta(seconds=60)
CREDITED = frozenset({1, 6})
SENT, RETURNED = frozenset({2, 4, 6}), frozenset({1, 3, 5})
MOVES: Mapping[str, int] = {"MAIN_UMFUTURE": -1, "UMFUTURE_MAIN": 1}


async def read_transfers(reader: AccountReader, since: datetime, now: datetime) -> list[Transfer]:
    """Read what was sent and received since a time, oldest first; what cannot be read now is left for later."""
    if not reader.client.binance or "sapi" not in reader.client.api.urls["api"]:
        return []
    found: list[Transfer] = []
    for read in (_deposits, _withdrawals, _moves):
        try:
            found += await read(reader, since, now)
        except (BadAnswer, ReadFailed):
            continue  # the account itself was read: a difference without its record is said by the balances
    return sorted(found, key=lambda one: (one.ts, one.ref))


async def _deposits(reader: AccountReader, since: datetime, now: datetime) -> list[Transfer]:
    ask = reader.client.api.sapiGetCapitalDepositHisrec
    rows = await reader.list_of("deposits", ask, _asked(since - CREDITED_WITHIN, now) | {"limit": PAGE_ROWS})
    found: list[Transfer] = []
    for raw in rows:
        row = row_of(raw, "a deposit")
        if int(number(row, "status")) in CREDITED:
            at = from_ms(time_ms(row, "completeTime" if row.get("completeTime") else "insertTime"))
            amount = number(row, "amount", least=ZERO)
            found.append(Transfer(reader.venue, text(row, "coin"), amount, f"deposit.{text(row, 'id')}", at))
    return found


async def _withdrawals(reader: AccountReader, since: datetime, now: datetime) -> list[Transfer]:
    if reader.withdrawals_read is not None and now < reader.withdrawals_read + WITHDRAWALS_EVERY:
        return []
    ask = reader.client.api.sapiGetCapitalWithdrawHistory
    rows = await reader.list_of("withdrawals", ask, _asked(since - CREDITED_WITHIN, now) | {"limit": PAGE_ROWS})
    reader.withdrawals_read = now
    found: list[Transfer] = []
    for raw in rows:
        row = row_of(raw, "a withdrawal")
        status, coin, ref = int(number(row, "status")), text(row, "coin"), f"withdraw.{text(row, 'id')}"
        if status not in SENT | RETURNED:
            continue
        amount = number(row, "amount", least=ZERO) + _fee(row)
        at = _moment(row, "applyTime")
        found.append(Transfer(reader.venue, coin, -amount, ref, at))
        if status in RETURNED:
            found.append(Transfer(reader.venue, coin, amount, f"{ref}.back", at))
    return found


async def _moves(reader: AccountReader, since: datetime, now: datetime) -> list[Transfer]:
    found: list[Transfer] = []
    for kind, sign in MOVES.items():
        asked = _asked(since, now) | {"type": kind, "size": 100}
        told = row_of(
            await reader.read(Call(), "transfers", reader.client.api.sapiGetAssetTransfer, asked), "the transfers"
        )
        rows = told.get("rows") or []
        if not isinstance(rows, list):
            raise BadAnswer("the transfers hold no list of rows")
        for raw in rows:
            row = row_of(raw, "a transfer")
            if row.get("status") == "CONFIRMED":
                amount = number(row, "amount", least=ZERO) * sign
                ref, at = f"move.{text(row, 'tranId')}", from_ms(time_ms(row, "timestamp"))
                found.append(Transfer(reader.venue, text(row, "asset"), amount, ref, at))
    return found


def _asked(since: datetime, now: datetime) -> dict[str, Any]:
    return {"startTime": to_ms(max(since, now - WINDOW)), "endTime": to_ms(now)}


def _fee(row: dict[str, Any]) -> Decimal:
    return number(row, "transactionFee", least=ZERO) if row.get("transactionFee") is not None else ZERO


def _moment(row: dict[str, Any], name: str) -> datetime:
    # Withdrawals tell their time in words, in UTC: 2026-11-21 12:00:00.
    try:
        return datetime.strptime(text(row, name), "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007  naive UTC, as all times here
    except ValueError:
        raise BadAnswer(f"{name} {row.get(name)!r} is no time") from None
