"""Facts: what was observed at a venue, or decided by a person. The engine takes them in and never makes one.

Fact
 ├─ of an order:   Accepted | Refused | Unanswered | Seen | NotFound | CancelRefused | Fill
 ├─ of an account: BalanceRead | PositionRead | Transfer | FundingPaid
 ├─ of a market:   QuoteRead (core.market.Quote) | BarClosed | RateSeen
 ├─ of a person:   Command
 └─ of the shell:   Trouble
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from core.market import Candle, Market, Quote
from core.orders import ClientId
from core.quick import quick
from core.values import Side


class Refusal(StrEnum):
    """Why a venue definitely did not take an order; decides how soon the leg may try again."""

    POST_ONLY = "post_only"
    FUNDS = "funds"
    FILTER = "filter"
    RATE = "rate"
    REDUCE_ONLY = "reduce_only"
    CLOSED = "closed"
    OTHER = "other"


@quick
@dataclass(frozen=True, slots=True)
class Accepted:
    """The venue confirmed that the order rests (or has already traded `executed`)."""

    client_id: ClientId
    exchange_id: str
    ts: datetime
    executed: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Refused:
    """The venue definitely refused the order."""

    client_id: ClientId
    kind: Refusal
    reason: str
    ts: datetime


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The order or cancel left the machine and no trustworthy answer came back: its fate is unknown."""

    client_id: ClientId
    reason: str
    ts: datetime


class SeenAs(StrEnum):
    """The status in which a venue listed an order."""

    OPEN = "open"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"


@quick
@dataclass(frozen=True, slots=True)
class Seen:
    """An order as an open-orders list or a query by id showed it; `executed` is cumulative base quantity."""

    client_id: ClientId
    exchange_id: str
    status: SeenAs
    executed: Decimal
    ts: datetime


@dataclass(frozen=True, slots=True)
class NotFound:
    """A query by client id answered that there is no such order; proves death only after the quarantine."""

    client_id: ClientId
    ts: datetime


@dataclass(frozen=True, slots=True)
class CancelRefused:
    """The venue would not cancel (unknown order, already done): says nothing certain; the order is asked for."""

    client_id: ClientId
    reason: str
    ts: datetime


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution. `fee` > 0 was paid in `fee_asset`, < 0 is a rebate; `qty` > 0 in base.

    `settled` is the quote cash that a swap venue books with the trade (its realised profit); spot has none.
    """

    venue: str
    symbol: str
    trade_id: str
    client_id: ClientId
    side: Side
    price: Decimal
    qty: Decimal
    fee: Decimal
    fee_asset: str
    ts: datetime
    maker: bool
    settled: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class BalanceRead:
    """Total (free + locked) of one asset at one venue."""

    venue: str
    asset: str
    total: Decimal
    ts: datetime


@dataclass(frozen=True, slots=True)
class PositionRead:
    """Signed base quantity of one swap position; zero is read as such, an unread position has no fact.

    `entry_price` is the exchange's own average, None where it tells none.
    """

    venue: str
    symbol: str
    qty: Decimal
    ts: datetime
    entry_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Transfer:
    """A deposit (> 0) or withdrawal (< 0) that the venue's own records show."""

    venue: str
    asset: str
    amount: Decimal
    ref: str
    ts: datetime


@dataclass(frozen=True, slots=True)
class FundingPaid:
    """One funding payment of a swap position; `amount` > 0 was received, in the quote asset.

    `traded_since`: signed base by owner ("external": no bot) of trades that were booked before the payment was read, though
    they were made at its time or after it.
    """

    venue: str
    symbol: str
    amount: Decimal
    asset: str
    rate: Decimal
    ref: str
    ts: datetime
    traded_since: tuple[tuple[str, Decimal], ...] = ()


@quick
@dataclass(frozen=True, slots=True)
class BarClosed:
    """A candle of `timeframe_s` seconds is finished. Each one is told once and in order to the bots that asked for it."""

    market: Market
    timeframe_s: int
    candle: Candle


@dataclass(frozen=True, slots=True)
class RateSeen:
    """The funding rate that a perpetual will next apply, as a fraction of notional per `interval_s`; > 0: longs pay."""

    market: Market
    rate: Decimal
    interval_s: float
    next_at: datetime
    ts: datetime


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that the shell could not do, or can do again (`over`); becomes an incident, raised and resolved once."""

    kind: str
    bot_id: str
    subject: str
    severity: str
    detail: str
    over: bool = False


class Action(StrEnum):
    """The words of control (RULES)."""

    PAUSE = "pause"
    RESUME = "resume"
    HALT = "halt"
    FLATTEN = "flatten"
    CANCEL = "cancel"
    CLOSE_LOT = "close-lot"
    CLAIM = "claim"
    RELEASE = "release"
    ACKNOWLEDGE = "acknowledge"


@dataclass(frozen=True, slots=True)
class Command:
    """A word from a person, with who said it and why."""

    command_id: int
    bot_id: str
    action: Action
    argument: str
    who: str
    note: str
    ts: datetime


OrderFact = Accepted | Refused | Unanswered | Seen | NotFound | CancelRefused | Fill
AccountFact = BalanceRead | PositionRead | Transfer | FundingPaid
MarketFact = Quote | BarClosed | RateSeen
Fact = OrderFact | AccountFact | MarketFact | Command | Trouble
