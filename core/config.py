"""Configuration models shared by every bot kind. Rule: unknown keys, non-finite numbers and wide fractions are refused.

Numbers arrive as text or int from YAML (the loader never makes a float) and become `Decimal`; a Python caller's float
is taken at its shortest repr. A fraction above 0.5 is refused unless its field says otherwise (RULES 11).
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

FRACTION_MAX = Decimal("0.5")
WIDE_FROM = Decimal("0.2")


def to_decimal(value: Any) -> Any:
    """Turn text, int or float into a finite `Decimal`; anything else is left for pydantic to refuse."""
    if isinstance(value, bool):
        message = "a number is wanted, not true or false"
        raise ValueError(message)
    if isinstance(value, int | float | str):
        try:
            value = Decimal(str(value))
        except InvalidOperation:
            message = f"{value!r} is no number"
            raise ValueError(message) from None
    if isinstance(value, Decimal) and not value.is_finite():
        message = f"{value} is no finite number"
        raise ValueError(message)
    return value


def _fraction(value: Decimal) -> Decimal:
    if not 0 <= value <= FRACTION_MAX:
        message = f"{value} is no fraction between 0 and {FRACTION_MAX}; write 0.8 % as 0.008"
        raise ValueError(message)
    return value


def _wide_fraction(value: Decimal) -> Decimal:
    if not 0 < value <= 1:
        message = f"{value} is no fraction above 0 and up to 1; write 0.8 % as 0.008"
        raise ValueError(message)
    return value


Number = Annotated[Decimal, BeforeValidator(to_decimal)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Fraction = Annotated[Number, AfterValidator(_fraction)]
# Profit targets and stops: above 0.2 they need `allow_wide: true` beside them (RULES 11), tested where they stand.
WideFraction = Annotated[Number, AfterValidator(_wide_fraction)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
BotId = Annotated[str, Field(pattern=r"^[a-z0-9]{1,8}$")]


# How a barrier closes or opens: `LIMIT_MAKER` is post-only. None leaves it to the kind.
OrderType = Literal["MARKET", "LIMIT", "LIMIT_MAKER"]
# Which price a barrier is held against (RULES 9e). None: mark on swaps where the venue tells it, else touch.
PriceSource = Literal["mark", "last", "touch", "mid"]


class Strict(BaseModel):
    """Base of every configuration model: frozen, and strict about keys.

    `aliases` maps names under which others know a field to ours; giving both is refused (RULES 12).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    aliases: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _by_our_names(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        said = cast("dict[str, Any]", given)
        named: dict[str, Any] = {}
        for name, value in said.items():
            ours = cls.aliases.get(name, name)
            if ours in named or (ours != name and ours in said):
                message = f"{ours}: given twice, once as {name}; keep one of the two"
                raise ValueError(message)
            named[ours] = value
        return named


class TrailingStop(Strict):
    """Trailing stop: armed once profit exceeds `activation`, fires when it falls `delta` below its best (fractions of cost)."""

    aliases: ClassVar[Mapping[str, str]] = {"activation_price": "activation", "trailing_delta": "delta"}

    activation: WideFraction
    delta: WideFraction


class TripleBarrier(Strict):
    """Barriers of a position or of a grid's open inventory; every one is optional.

    `stop_loss` and `take_profit` are fractions of cost, `time_limit` seconds from the bot's first tick. The order types say
    how what they are named for is traded, `price_source` which price the barriers are held against.
    """

    stop_loss: WideFraction | None = None
    take_profit: WideFraction | None = None
    time_limit: Seconds | None = None
    trailing_stop: TrailingStop | None = None
    open_order_type: OrderType | None = None
    take_profit_order_type: OrderType | None = None
    stop_loss_order_type: OrderType | None = None
    time_limit_order_type: OrderType | None = None
    price_source: PriceSource | None = None
    allow_wide: bool = False

    def too_wide(self) -> str | None:
        """Name the first barrier above 0.2 where `allow_wide` is not set."""
        if self.allow_wide:
            return None
        for name in ("stop_loss", "take_profit"):
            value: Decimal | None = getattr(self, name)
            if value is not None and value > WIDE_FROM:
                return name
        return None


class RiskLimits(Strict):
    """Limits of one bot or of the account; None means unlimited, which demo and live refuse (RULES 8)."""

    max_exposure_quote: Positive | None = None
    max_drawdown: Fraction | None = None


class PlanRefused(ValueError):
    """A configuration that the instrument's rules do not allow; `key` names the field, the message what would work."""

    def __init__(self, key: str, reason: str) -> None:
        """Keep the key apart from the reason, so that both can be shown."""
        super().__init__(f"{key}: {reason}")
        self.key = key
        self.reason = reason


class StopAt(Strict):
    """A stop at a price of its own, instead of a distance from the average entry."""

    price: Positive


class BotBase(Strict):
    """What every bot has: its id, the venue and symbol it trades, its own limits.

    `venue_stop` rests at the exchange while a swap position is open: a fraction from the average entry, `{price: P}`,
    `none`, or `auto`: half way to liquidation in demo and live, none in paper and backtest.
    """

    aliases: ClassVar[Mapping[str, str]] = {
        "connector_name": "venue", "trading_pair": "symbol", "triple_barrier_config": "triple_barrier",
    }  # fmt: skip

    id: BotId
    venue: str
    symbol: str
    max_position_size: Positive | None = None
    max_drawdown: Fraction | None = None
    max_slippage_bps: Annotated[Number, Field(gt=0, le=5000)] = Decimal(50)
    leverage: Annotated[int, Field(ge=1, le=125)] = 1
    venue_stop: Literal["auto", "none"] | StopAt | WideFraction = "auto"
    on_stop: Literal["leave", "cancel", "flatten"] = "cancel"

    @field_validator("id")
    @classmethod
    def _is_a_bots(cls, name: str) -> str:
        # Rows of what no bot did or held carry this name: a bot of it would take strangers' trades for its own.
        if name == "external":
            message = "'external' is what trades of no bot are booked to; another name works"
            raise ValueError(message)
        return name

    @field_validator("symbol", mode="before")
    @classmethod
    def _with_a_slash(cls, symbol: Any) -> Any:
        # The executors' documents write BTC-USDT; a dash stands in no symbol of ccxt that has no slash.
        return symbol.replace("-", "/", 1) if isinstance(symbol, str) and "/" not in symbol else symbol

    def markets(self) -> tuple[tuple[str, str], ...]:
        """Name every (venue, symbol) that this bot trades, its first market first."""
        return ((self.venue, self.symbol),)

    def about_price(self) -> Decimal | None:
        """A price around which this bot would trade, where its configuration says one: synthetic prices start there."""
        return None

    def direction_at(self, market: tuple[str, str]) -> str:  # noqa: ARG002  a kind with several markets asks which
        """BUY or SELL: on which side of a market's net position it stands; empty where it may take either."""
        return "BUY"


class ConnectorPair(Strict):
    """One market of an executor that trades two: a venue's id and a symbol."""

    aliases: ClassVar[Mapping[str, str]] = {"connector_name": "venue", "trading_pair": "symbol"}

    venue: Annotated[str, Field(min_length=1)]
    symbol: Annotated[str, Field(min_length=1)]

    @field_validator("symbol", mode="before")
    @classmethod
    def _with_a_slash(cls, symbol: Any) -> Any:
        return symbol.replace("-", "/", 1) if isinstance(symbol, str) and "/" not in symbol else symbol

    @property
    def market(self) -> tuple[str, str]:
        """Venue and symbol."""
        return self.venue, self.symbol


def led_by(given: Any, market: Any) -> Any:
    """Give a configuration of several markets the venue and symbol of the one that leads it, where it names none itself."""
    if not isinstance(given, dict):
        return given
    said = dict(cast("dict[str, Any]", given))
    for ours, theirs in (("venue", "connector_name"), ("symbol", "trading_pair")):
        if ours in said or theirs in said:
            continue
        if isinstance(market, ConnectorPair):
            said[ours] = getattr(market, ours)
        elif isinstance(market, dict):
            led = cast("dict[str, Any]", market)
            told = led.get(ours, led.get(theirs))
            if told is not None:
                said[ours] = told
    return said
