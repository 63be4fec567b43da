"""The decision table: what an exchange's answer, or its silence, means. Rule: nothing else decides that.

Anything but a whitelisted refusal or a fully validated acknowledgement leaves an order's fate UNKNOWN; it is resolved
by asking for its client id, never by sending again (docs/reliability.md). Codes are Binance's (spot and USD-M), classes
are ccxt's for every other exchange. The first row that fits counts; codes are looked at before ccxt's classes, because
ccxt picks its table by address and gives one class to different fates.

    row              fits                                           place     cancel    read
    not_sent         no connection, or refused before the request   refused   refused   again
    banned           418, 403 without a code                        halt      halt      halt     until Retry-After
    throttled        429, -1003, -1015, budget                        refused   refused   again    after Retry-After
    server_error     5xx, -1000 -1001 -1006 -1007 -1008             UNKNOWN   UNKNOWN   again
    unreadable       timeout, half, empty, HTML, redirect, bad gzip UNKNOWN   UNKNOWN   again
    duplicate        "Duplicate order sent.", -4116                 UNKNOWN   UNKNOWN   again    ours exists: adopt
    clock            -1021, -5028                                   refused   refused   again    read the clock anew
    not_found        -2011, -2013                                   UNKNOWN   refused   missing
    funds            insufficient balance, -2018 -2019 -3041        refused   UNKNOWN   again
    post_only        would match at once, -5022                     refused   UNKNOWN   again
    reduce_only      -2022                                          refused   UNKNOWN   again
    risk             -2023 -4087 -4400 (liquidation, reduce only)   refused   UNKNOWN   again
    account          -1002 -1022 -2014 -2015, 401, suspended        halt      halt      halt     until a person acts
    closed           market closed, maintenance                     refused   UNKNOWN   again
    filter           -1013 -1100..-1199 -4xxx filters               refused   refused   again
    rejected         -2010 for any other reason                     refused   UNKNOWN   again
    configuration    not supported by this exchange                 halt      halt      halt
    anything_else    all that nobody has listed                     UNKNOWN   UNKNOWN   again

`refused` of a cancel says only that this cancel did nothing: the order is asked for. Refused orders wait by their kind
(core.working.BACKOFF_S).
"""

from dataclasses import dataclass
from enum import StrEnum

import ccxt

from core.facts import Refusal
from tasks.exchange_limiter import Throttled


class Op(StrEnum):
    """What was asked of the exchange."""

    PLACE = "place"
    CANCEL = "cancel"
    READ = "read"


class Verdict(StrEnum):
    """What follows."""

    REFUSED = "refused"
    UNKNOWN = "unknown"
    AGAIN = "again"
    MISSING = "missing"
    HALT = "halt"


@dataclass(frozen=True, slots=True)
class Heard:
    """What is known of one request: whether a connection took it, and as much of the answer as arrived.

    `complete` says that the body is whole and valid JSON. `code` and `message` are the exchange's own, from the body.
    """

    sent: bool
    status: int | None = None
    complete: bool = False
    code: int | None = None
    message: str = ""
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. What the body says comes first; classes count where it had no code."""

    name: str
    place: Verdict
    cancel: Verdict
    read: Verdict
    refusal: Refusal = Refusal.OTHER
    codes: frozenset[int] = frozenset()
    words: tuple[str, ...] = ()
    statuses: frozenset[int] = frozenset()
    classes: tuple[type[BaseException], ...] = ()

    def verdict(self, op: Op) -> Verdict:
        """What follows for one kind of request."""
        return {Op.PLACE: self.place, Op.CANCEL: self.cancel, Op.READ: self.read}[op]


R, U, A, M, H = Verdict.REFUSED, Verdict.UNKNOWN, Verdict.AGAIN, Verdict.MISSING, Verdict.HALT

NOT_SENT = Row(name="not_sent", place=R, cancel=R, read=A)
BANNED = Row(name="banned", place=H, cancel=H, read=H, refusal=Refusal.RATE, statuses=frozenset({418, 403}))
THROTTLED = Row(
    name="throttled", place=R, cancel=R, read=A, refusal=Refusal.RATE, statuses=frozenset({429}),
    codes=frozenset({-1003, -1015}),
)  # fmt: skip
SERVER_ERROR = Row(
    name="server_error", place=U, cancel=U, read=A, codes=frozenset({-1000, -1001, -1006, -1007, -1008, -1016})
)
UNREADABLE = Row(name="unreadable", place=U, cancel=U, read=A)
DUPLICATE = Row(
    name="duplicate", place=U, cancel=U, read=A, codes=frozenset({-4116}), words=("duplicate order sent",),
    classes=(ccxt.DuplicateOrderId,),
)  # fmt: skip
CLOCK = Row(name="clock", place=R, cancel=R, read=A, codes=frozenset({-1021, -5028}), classes=(ccxt.InvalidNonce,))
NOT_FOUND = Row(
    name="not_found", place=U, cancel=R, read=M, codes=frozenset({-2011, -2013}),
    classes=(ccxt.OrderNotFound, ccxt.CancelPending),
)  # fmt: skip
FUNDS = Row(
    name="funds", place=R, cancel=U, read=A, refusal=Refusal.FUNDS, codes=frozenset({-2018, -2019, -3041}),
    words=("insufficient balance",), classes=(ccxt.InsufficientFunds,),
)  # fmt: skip
POST_ONLY = Row(
    name="post_only", place=R, cancel=U, read=A, refusal=Refusal.POST_ONLY, codes=frozenset({-5022}),
    words=("immediately match",), classes=(ccxt.OrderImmediatelyFillable, ccxt.OrderNotFillable),
)  # fmt: skip
REDUCE_ONLY = Row(name="reduce_only", place=R, cancel=U, read=A, refusal=Refusal.REDUCE_ONLY, codes=frozenset({-2022}))
RISK = Row(name="risk", place=R, cancel=U, read=A, refusal=Refusal.CLOSED, codes=frozenset({-2023, -4087, -4400}))
ACCOUNT = Row(
    name="account", place=H, cancel=H, read=H, codes=frozenset({-1002, -1022, -2014, -2015}), statuses=frozenset({401}),
    words=("disabled on this account", "not permitted for this account", "api trading is not enabled"),
    classes=(ccxt.AuthenticationError,),
)  # fmt: skip
CLOSED = Row(
    name="closed", place=R, cancel=U, read=A, refusal=Refusal.CLOSED, codes=frozenset({-4140, -4141}),
    words=("market is closed",), classes=(ccxt.OnMaintenance, ccxt.MarketClosed),
)  # fmt: skip
FILTER = Row(
    name="filter", place=R, cancel=R, read=A, refusal=Refusal.FILTER,
    codes=frozenset(range(-1199, -1099)) | frozenset({
        -1013, -2027, -4001, -4002, -4003, -4004, -4005, -4013, -4014, -4015, -4016, -4023, -4024, -4029, -4030, -4061,
        -4114, -4120, -4131, -4164, -4184,
    }),
    words=("filter failure",), classes=(ccxt.InvalidOrder, ccxt.BadRequest, ccxt.ArgumentsRequired),
)  # fmt: skip
REJECTED = Row(name="rejected", place=R, cancel=U, read=A, codes=frozenset({-2010}))
CONFIGURATION = Row(
    name="configuration", place=H, cancel=H, read=H, classes=(ccxt.NotSupported, ccxt.ExchangeClosedByUser)
)
ANYTHING_ELSE = Row(name="anything_else", place=U, cancel=U, read=A)

# In the order in which a whole answer is held against them.
ROWS = (
    DUPLICATE, CLOCK, NOT_FOUND, FUNDS, POST_ONLY, REDUCE_ONLY, RISK, ACCOUNT, CLOSED, FILTER, REJECTED, CONFIGURATION,
)  # fmt: skip


def row_of(heard: Heard, error: BaseException | None) -> Row:
    """Find the row that a failed request fits. `error` is what ccxt, or our own check of the answer, raised."""
    if not heard.sent:
        # "Not supported" is a matter of configuration even before anything was sent.
        if isinstance(error, CONFIGURATION.classes):
            return CONFIGURATION
        return THROTTLED if isinstance(error, Throttled) else NOT_SENT
    if heard.status in BANNED.statuses and not (heard.status == 403 and heard.code is not None):
        return BANNED
    if heard.status in THROTTLED.statuses:
        return THROTTLED
    if heard.status is None or heard.status >= 500 or heard.code in SERVER_ERROR.codes:
        return SERVER_ERROR if heard.status is not None else UNREADABLE
    if heard.code in THROTTLED.codes:
        return THROTTLED
    if not heard.complete:
        return ACCOUNT if heard.status in ACCOUNT.statuses else UNREADABLE
    return _row_of_answer(heard, error)


def _row_of_answer(heard: Heard, error: BaseException | None) -> Row:
    message = heard.message.lower()
    if heard.code is not None:
        for row in ROWS:
            if any(words in message for words in row.words):
                return row
        return next((row for row in ROWS if heard.code in row.codes), ANYTHING_ELSE)
    if heard.status in ACCOUNT.statuses:
        return ACCOUNT
    if isinstance(error, ccxt.RateLimitExceeded | ccxt.DDoSProtection):
        return THROTTLED
    return next((row for row in ROWS if row.classes and isinstance(error, row.classes)), ANYTHING_ELSE)
