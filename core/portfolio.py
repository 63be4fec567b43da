"""The portfolio file as a model: mode, venues, feed, risk and bots. Reading it is `tasks.settings`' business."""

from decimal import Decimal
from typing import Annotated, Any, Literal, Self, cast

from pydantic import AfterValidator, Field, SecretStr, model_validator

from core.config import Fraction, NotNegative, Number, Positive, RiskLimits, Seconds, Strict
from core.controllers import AnyController
from core.kinds import AnyBot

Mode = Literal["backtest", "paper", "demo", "live"]


def _rate(value: Decimal) -> Decimal:
    if abs(value) > Decimal("0.1"):
        message = f"{value} is no fee rate; write 0.1 % as 0.001"
        raise ValueError(message)
    return value


FeeRate = Annotated[Number, AfterValidator(_rate)]


class InstrumentRules(Strict):
    """Trading rules of one symbol, where the file gives them: price and base steps, minimums, fees as fractions."""

    tick_size: Positive
    lot_step: Positive
    min_qty: NotNegative = Decimal(0)
    min_notional: NotNegative = Decimal(0)
    maker: FeeRate = Decimal("0.001")
    taker: FeeRate = Decimal("0.001")


class VenueConfig(Strict):
    """One account at one exchange. `balances` opens a paper account; without it the account gets ample quote.

    `streams` lets a process that keeps ticking hear prices and own orders over web sockets (demo and live).
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,16}$")]
    exchange: Annotated[str, Field(min_length=1)]
    market: Literal["spot", "swap"] = "spot"
    api_url: str | None = None
    api_key: SecretStr | None = None
    secret: SecretStr | None = None
    password: SecretStr | None = None
    position_mode: Literal["one_way", "hedge"] = "one_way"
    margin_mode: Literal["isolated", "cross"] = "isolated"
    streams: bool = False
    instruments: dict[str, InstrumentRules] = Field(default_factory=dict[str, InstrumentRules])
    balances: dict[str, Positive] = Field(default_factory=dict[str, Decimal])
    fee_asset: Literal["quote", "base"] = "quote"


class FeedConfig(Strict):
    """Where paper prices come from, and how honest the paper venue fills (RULES 16, 18b).

    `paths` and `funding` name files by VENUE or VENUE:SYMBOL. `speed` is "candle" (each tick sees the next candle) or a
    factor of real time. `latency_s` delays what is sent along a candle's path; live and synthetic prices need none, there
    the tick itself is late.
    """

    kind: Literal["auto", "live", "candles", "synthetic"] = "auto"
    paths: dict[str, str] = Field(default_factory=dict[str, str])
    funding: dict[str, str] = Field(default_factory=dict[str, str])
    speed: Literal["candle"] | Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)] = 1
    seed: int = 1
    intrabar: Literal["adaptive", "ohlc", "olhc", "worst"] = "adaptive"
    fill: Literal["cross", "touch"] = "cross"
    latency_s: Seconds = 6
    spread_bps: Annotated[Number, Field(ge=0, le=500)] = Decimal(0)
    slippage_bps: Annotated[Number, Field(ge=0, le=500)] = Decimal(0)

    @model_validator(mode="after")
    def _paths_belong(self) -> Self:
        if self.kind == "candles" and not self.paths:
            message = "paths: a candles feed needs paths: {VENUE: FILE}"
            raise ValueError(message)
        for name in ("paths", "funding"):
            if self.kind != "candles" and getattr(self, name):
                message = f"{name}: belong to kind: candles"
                raise ValueError(message)
        return self


class AccountRisk(RiskLimits):
    """Limits over all bots, and what makes a price fit to open risk on.

    `max_decision_age_s`: seconds after which a decision is not sent any more, because the process may have slept.
    """

    max_price_age_s: Annotated[float, Field(gt=0, le=600, allow_inf_nan=False)] = 15
    unknown_quarantine_s: Annotated[float, Field(ge=0, le=600, allow_inf_nan=False)] = 30
    max_decision_age_s: Annotated[float, Field(gt=0, le=60, allow_inf_nan=False)] = 15


TimeOfDay = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description='as "22:30"')]


class QuietHours(Strict):
    """Hours of a day, in the zone of `alerts`, in which only critical alerts are sent; they may cross midnight."""

    begin: Annotated[TimeOfDay, Field(alias="from")]
    end: Annotated[TimeOfDay, Field(alias="to")]


class Alerts(Strict):
    """Whom to tell of incidents, and when. A plain list is taken as `urls`, which are apprise URLs and secrets.

    `least` is the lowest severity that is sent. `again_after_s`: an incident that was told as resolved and comes back
    is told again after this time at the earliest. `heartbeat_s`: without a tick for so long an alarm is raised from outside.
    """

    urls: tuple[SecretStr, ...] = ()
    least: Literal["info", "warning", "critical"] = "warning"
    quiet_hours: QuietHours | None = None
    digest_at: TimeOfDay | None = None
    zone: Annotated[str, Field(min_length=1, max_length=64)] = "UTC"
    again_after_s: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = 600
    heartbeat_s: Annotated[float, Field(ge=5, le=86_400, allow_inf_nan=False)] = 60

    @model_validator(mode="before")
    @classmethod
    def _plain_list(cls, value: Any) -> Any:
        return {"urls": cast("list[Any]", value)} if isinstance(value, list) else value


class Portfolio(Strict):
    """A whole portfolio file."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,24}$")] = "default"
    mode: Mode = "paper"
    data_dir: Annotated[str, Field(min_length=1)] = "data"
    venues: Annotated[tuple[VenueConfig, ...], Field(min_length=1)]
    feed: FeedConfig = FeedConfig()
    risk: AccountRisk = AccountRisk()
    alerts: Alerts = Alerts()
    bots: Annotated[tuple[AnyBot, ...], Field(min_length=1)]
    controllers: tuple[AnyController, ...] = ()

    def venue(self, venue_id: str) -> VenueConfig:
        """Return a venue by id; raises `KeyError` where there is none."""
        for venue in self.venues:
            if venue.id == venue_id:
                return venue
        raise KeyError(venue_id)


def fraction_of_bps(bps: Fraction | Decimal) -> Decimal:
    """Turn basis points into a fraction of price."""
    return bps / Decimal(10_000)
