"""The decision table, row by row: each code, word, status and class means what the docstring's table says."""

import re

import aiohttp
import ccxt
import pytest

from core.facts import Refusal
from tasks import exchange_errors as table
from tasks.exchange_errors import Heard, Op, Row, row_of
from tasks.exchange_limiter import Throttled

R, U, A, M, H = table.R, table.U, table.A, table.M, table.H


def told(code: int | None = None, words: str = "", status: int = 400) -> Heard:
    return Heard(sent=True, status=status, complete=True, code=code, message=words)


# (what was heard, what was raised, the row, place, cancel, read, kind of refusal)
CASES: list[tuple[Heard, BaseException | None, str, str, str, str, Refusal]] = [
    (Heard(sent=False), ccxt.ArgumentsRequired(""), "not_sent", R, R, A, Refusal.OTHER),
    (Heard(sent=False), ccxt.BadSymbol(""), "not_sent", R, R, A, Refusal.OTHER),
    (Heard(sent=False), OSError(), "not_sent", R, R, A, Refusal.OTHER),
    (Heard(sent=False), Throttled(5, "full"), "throttled", R, R, A, Refusal.RATE),
    (Heard(sent=False), ccxt.NotSupported(""), "configuration", H, H, H, Refusal.OTHER),
    (Heard(sent=True), ccxt.RequestTimeout(""), "unreadable", U, U, A, Refusal.OTHER),
    (Heard(sent=True), ccxt.ExchangeNotAvailable(""), "unreadable", U, U, A, Refusal.OTHER),
    (Heard(sent=True, status=200), ccxt.ExchangeError("payload"), "unreadable", U, U, A, Refusal.OTHER),
    (Heard(sent=True, status=200), aiohttp.ClientPayloadError(), "unreadable", U, U, A, Refusal.OTHER),
    (Heard(sent=True, status=200), AttributeError(), "unreadable", U, U, A, Refusal.OTHER),
    (told(status=500), None, "server_error", U, U, A, Refusal.OTHER),
    (told(status=502), None, "server_error", U, U, A, Refusal.OTHER),
    (told(-1008, "Server is overloaded.", 503), ccxt.OperationFailed(""), "server_error", U, U, A, Refusal.OTHER),
    (told(-1000, "UNKNOWN", 503), ccxt.OperationFailed(""), "server_error", U, U, A, Refusal.OTHER),
    (told(-1006), ccxt.OperationFailed(""), "server_error", U, U, A, Refusal.OTHER),
    (told(-1007, "Timeout waiting for response", 504), ccxt.RequestTimeout(""), "server_error", U, U, A, Refusal.OTHER),
    (told(-1001), None, "server_error", U, U, A, Refusal.OTHER),
    (told(-2010, "insufficient balance", 503), None, "server_error", U, U, A, Refusal.OTHER),
    (told(status=418), ccxt.DDoSProtection(""), "banned", H, H, H, Refusal.RATE),
    (Heard(sent=True, status=403), ccxt.ExchangeNotAvailable(""), "banned", H, H, H, Refusal.RATE),
    (told(status=429), ccxt.DDoSProtection(""), "throttled", R, R, A, Refusal.RATE),
    (told(-1003, "Too many requests"), None, "throttled", R, R, A, Refusal.RATE),
    (told(-1015, "Too many new orders"), None, "throttled", R, R, A, Refusal.RATE),
    (told(-1021), ccxt.InvalidNonce(""), "clock", R, R, A, Refusal.OTHER),
    (told(-5028), None, "clock", R, R, A, Refusal.OTHER),
    (told(-2010, "Duplicate order sent."), ccxt.InvalidOrder(""), "duplicate", U, U, A, Refusal.OTHER),
    (told(-4116, "ClientOrderId is duplicated."), ccxt.ExchangeError(""), "duplicate", U, U, A, Refusal.OTHER),
    (told(-2011, "Unknown order sent."), ccxt.OrderNotFound(""), "not_found", U, R, M, Refusal.OTHER),
    (told(-2013, "Order does not exist."), ccxt.OrderNotFound(""), "not_found", U, R, M, Refusal.OTHER),
    (told(-2010, "Account has insufficient balance for requested action."), None, "funds", R, U, A, Refusal.FUNDS),
    (told(-2018), None, "funds", R, U, A, Refusal.FUNDS),
    (told(-2019, "Margin is insufficient."), ccxt.ExchangeError(""), "funds", R, U, A, Refusal.FUNDS),
    (told(-3041), None, "funds", R, U, A, Refusal.FUNDS),
    (told(-2010, "Order would immediately match and take."), None, "post_only", R, U, A, Refusal.POST_ONLY),
    (told(-5022), ccxt.InvalidOrder(""), "post_only", R, U, A, Refusal.POST_ONLY),
    (told(-2022, "ReduceOnly Order is rejected."), None, "reduce_only", R, U, A, Refusal.REDUCE_ONLY),
    (told(-2023), None, "risk", R, U, A, Refusal.CLOSED),
    (told(-4400), None, "risk", R, U, A, Refusal.CLOSED),
    (told(-4087), None, "risk", R, U, A, Refusal.CLOSED),
    (told(-2014), None, "account", H, H, H, Refusal.OTHER),
    (told(-2015, "Invalid API-key", 401), ccxt.DDoSProtection(""), "account", H, H, H, Refusal.OTHER),
    (told(-1022), ccxt.AuthenticationError(""), "account", H, H, H, Refusal.OTHER),
    (told(-2010, "This action is disabled on this account."), None, "account", H, H, H, Refusal.OTHER),
    (Heard(sent=True, status=401), ccxt.AuthenticationError(""), "account", H, H, H, Refusal.OTHER),
    (told(-1013, "Market is closed."), None, "closed", R, U, A, Refusal.CLOSED),
    (told(), ccxt.OnMaintenance(""), "closed", R, U, A, Refusal.CLOSED),
    (told(-1013, "Filter failure: NOTIONAL"), ccxt.BadRequest(""), "filter", R, R, A, Refusal.FILTER),
    (told(-1111), None, "filter", R, R, A, Refusal.FILTER),
    (told(-1121, "Invalid symbol."), None, "filter", R, R, A, Refusal.FILTER),
    (told(-4164), ccxt.ExchangeError(""), "filter", R, R, A, Refusal.FILTER),
    (told(-4131), None, "filter", R, R, A, Refusal.FILTER),
    (told(-4120), None, "filter", R, R, A, Refusal.FILTER),
    (told(-2010, "Some new reason."), ccxt.InvalidOrder(""), "rejected", R, U, A, Refusal.OTHER),
    (told(-7777, "never heard of"), ccxt.ExchangeError(""), "anything_else", U, U, A, Refusal.OTHER),
    (told(-7777, "never heard of"), ccxt.InvalidOrder(""), "anything_else", U, U, A, Refusal.OTHER),
    (told(), ccxt.InsufficientFunds(""), "funds", R, U, A, Refusal.FUNDS),
    (told(), ccxt.OrderImmediatelyFillable(""), "post_only", R, U, A, Refusal.POST_ONLY),
    (told(), ccxt.DuplicateOrderId(""), "duplicate", U, U, A, Refusal.OTHER),
    (told(), ccxt.OrderNotFound(""), "not_found", U, R, M, Refusal.OTHER),
    (told(), ccxt.RateLimitExceeded(""), "throttled", R, R, A, Refusal.RATE),
    (told(), ccxt.PermissionDenied(""), "account", H, H, H, Refusal.OTHER),
    (told(), ccxt.AccountSuspended(""), "account", H, H, H, Refusal.OTHER),
    (told(), ccxt.InvalidOrder(""), "filter", R, R, A, Refusal.FILTER),
    (told(), ccxt.ExchangeError("what is this"), "anything_else", U, U, A, Refusal.OTHER),
    (told(), KeyError("x"), "anything_else", U, U, A, Refusal.OTHER),
    (told(status=200), ccxt.BadResponse(""), "anything_else", U, U, A, Refusal.OTHER),
]


@pytest.mark.parametrize(("heard", "error", "name", "place", "cancel", "read", "refusal"), CASES)
def test_each_answer_fits_its_row(
    heard: Heard, error: BaseException | None, name: str, place: str, cancel: str, read: str, refusal: Refusal
) -> None:
    """What was heard finds its row, and the row says what follows for placing, cancelling and reading."""
    row = row_of(heard, error)
    assert (row.name, row.verdict(Op.PLACE), row.verdict(Op.CANCEL), row.verdict(Op.READ), row.refusal) == (
        name, place, cancel, read, refusal,
    )  # fmt: skip


def rows() -> list[Row]:
    return [value for value in vars(table).values() if isinstance(value, Row)]


def test_the_docstring_draws_the_table_that_runs() -> None:
    """Every row stands in the docstring with its three verdicts, and none is drawn that does not exist."""
    text = table.__doc__ or ""
    drawn = re.findall(
        r"^    (\w+) .*? (refused|UNKNOWN|halt) +(refused|UNKNOWN|halt) +(again|missing|halt)\b", text, re.MULTILINE
    )
    words = {name: tuple(word.lower() for word in verdicts) for name, *verdicts in drawn}
    assert words == {row.name: (row.place.value, row.cancel.value, row.read.value) for row in rows()}


def test_every_row_has_a_case() -> None:
    """No row of the table is without a test."""
    assert {row.name for row in rows()} == {case[2] for case in CASES}


def test_no_code_stands_in_two_rows() -> None:
    """A code has one meaning."""
    codes = [code for row in rows() for code in row.codes]
    assert len(codes) == len(set(codes))
