"""Configuration of the `rolling_grid` kind and the plan made of it (RULES 11, 14)."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import Field, model_validator

from core.config import BotBase, Fraction, Number, PlanRefused, Positive, PriceSource, Seconds, WideFraction, to_decimal
from core.machine import Prepared
from core.market import Instrument, Market
from core.stuck import Escalation, RecoveryMode, reachable_distance
from core.values import ONE, ZERO, Side, exact_product, floor_to, plain, ratio

_WIDE_FROM = Decimal("0.2")


class RollingGridConfig(BotBase):
    """Entries of one size, one after another, each with a fixed profit target; lots that fall behind are stopped or recovered.

    Fractions are of the price, with `profit_basis: margin` `take_profit` and `stop_loss` of the margin. Times say their
    unit. `max_margin` is quote: the bot's lots and orders are worth at most `max_margin` x `leverage`.
    """

    aliases: ClassVar[Mapping[str, str]] = {
        **BotBase.aliases, "exchange": "venue", "ticker": "symbol", "max_margin_usd": "max_margin",
    }  # fmt: skip

    kind: Literal["rolling_grid"] = "rolling_grid"
    direction: Literal["buy", "sell"] = "buy"
    quantity: Positive
    take_profit: WideFraction
    grid_step: Fraction
    max_orders: Annotated[int, Field(ge=1, le=200)]
    wait_time: Seconds
    max_margin: Annotated[Number, Field(ge=100, le=1_000_000)]
    profit_basis: Literal["price", "margin"] = "price"
    stop_loss_enabled: bool = True
    stop_loss: Annotated[Fraction, Field(ge=Decimal("0.005"), le=Decimal("0.10"))] = Decimal("0.02")
    position_timeout_minutes: Annotated[int, Field(ge=5, le=1440)] = 60
    stuck_distance: Annotated[Fraction, Field(gt=0)] = Decimal("0.03")
    recovery_mode: RecoveryMode = "ladder"
    recovery_rungs: Annotated[tuple[Fraction, ...], Field(min_length=1, max_length=10)] = (
        Decimal("0.015"), Decimal("0.03"), Decimal("0.045"),
    )  # fmt: skip
    recovery_patience_minutes: Annotated[int, Field(ge=1, le=1440)] = 30
    recovery_escalation: Escalation = "alert"
    recovery_escalation_minutes: Annotated[int, Field(ge=5, le=10_080)] = 120
    recovery_loss_budget: WideFraction | None = None
    hedge_venue: str | None = None
    hedge_symbol: str | None = None
    hedge_max_age_minutes: Annotated[int, Field(ge=5, le=43_200)] = 1440
    stop_price: Positive | None = None
    stop_side: Literal["below", "above"] | None = None
    pause_price: Positive | None = None
    pause_hysteresis: Fraction = Decimal("0.001")
    post_only_ticks: Annotated[int, Field(ge=1, le=1000)] = 2
    requote_after: Annotated[Seconds, Field(ge=1)] = 10
    requotes: Annotated[int, Field(ge=0, le=100)] = 3
    price_source: PriceSource | None = None
    allow_wide: bool = False

    @model_validator(mode="before")
    @classmethod
    def _of_the_document(cls, given: Any) -> Any:
        # Document 002's own file: its strategy word, its percent, a bare coin for a perpetual settled in USDT.
        if not isinstance(given, dict):
            return given
        said = dict(cast("dict[str, Any]", given))
        if said.get("strategy") == "grid":
            del said["strategy"]
        if isinstance(said.get("ticker"), str) and said["ticker"].isalnum():
            said["ticker"] = f"{said['ticker']}/USDT:USDT"
        if isinstance(said.get("direction"), str):
            said["direction"] = said["direction"].lower()
        if "stop_loss_percentage" in said:
            if "stop_loss" in said:
                message = "stop_loss: given twice, once as stop_loss_percentage; keep one of the two"
                raise ValueError(message)
            percent = to_decimal(said.pop("stop_loss_percentage"))
            said["stop_loss"] = percent / 100 if isinstance(percent, Decimal) else percent
        return said

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for objection in _objections(self):
            raise ValueError(objection)
        return self

    @property
    def side(self) -> Side:
        """The side of its entries."""
        return Side.BUY if self.direction == "buy" else Side.SELL

    @property
    def hedges(self) -> bool:
        """Whether it may ever open a hedge."""
        return self.recovery_mode == "hedge" or (self.recovery_mode != "none" and self.recovery_escalation == "hedge")

    @property
    def hedge_market(self) -> Market | None:
        """Where its hedges stand; None where it has none."""
        if not self.hedges or self.hedge_symbol is None:
            return None
        return self.hedge_venue or self.venue, self.hedge_symbol

    def markets(self) -> tuple[Market, ...]:
        """Its own market first, then the hedge's."""
        own = ((self.venue, self.symbol),)
        return own if self.hedge_market is None else (*own, self.hedge_market)

    def direction_at(self, market: Market) -> str:
        """BUY or SELL: hedges stand on the other side."""
        side = self.side if market == (self.venue, self.symbol) else self.side.opposite
        return side.name


def _objections(config: RollingGridConfig) -> list[str]:
    found: list[str] = []
    if not config.allow_wide and config.take_profit > _WIDE_FROM:
        found.append("take_profit: above 0.2 (20 %) needs allow_wide: true; write 0.8 % as 0.008")
    if config.max_position_size is not None and config.max_position_size < config.quantity:
        found.append(f"max_position_size: below the quantity of one entry; at least {plain(config.quantity)} works")
    if list(config.recovery_rungs) != sorted(set(config.recovery_rungs)) or config.recovery_rungs[0] <= ZERO:
        found.append(
            "recovery_rungs: distances above 0, each larger than the one before, for example [0.015, 0.03, 0.045]"
        )
    if config.hedges and config.hedge_market in {None, (config.venue, config.symbol)}:
        found.append(
            "hedge_symbol: a hedge on the bot's own position would merely flatten it; name a second instrument"
        )
    stop, pause = config.stop_price, config.pause_price
    if config.stop_side is None and stop is not None and pause is not None:
        if config.direction == "buy" and stop >= pause:
            found.append(f"stop_price: a buy bot stops below the price at which it pauses; below {plain(pause)} works")
        if config.direction == "sell" and stop <= pause:
            found.append(f"stop_price: a sell bot stops above the price at which it pauses; above {plain(pause)} works")
    return found


@dataclass(frozen=True, slots=True)
class RollingGridPlan:
    """A rolling grid made ready: its instruments, and its fractions as fractions of the price."""

    config: RollingGridConfig
    instrument: Instrument
    hedge: Instrument | None
    side: Side
    take_profit: Decimal
    stop_loss: Decimal | None
    slippage: Decimal
    bound_quote: Decimal

    @property
    def stops_below(self) -> bool:
        """Whether `stop_price` is passed by falling."""
        if self.config.stop_side is not None:
            return self.config.stop_side == "below"
        return self.side is Side.BUY


def prepare(config: RollingGridConfig, instruments: Mapping[Market, Instrument]) -> Prepared:
    """Make a rolling grid ready for its instruments; raises `PlanRefused` as `make_plan` does."""
    plan = make_plan(config, instruments)
    return Prepared(
        plan=plan, capital_quote=config.max_margin, places=config.max_orders, long=plan.side is Side.BUY,
        max_bound_quote=plan.bound_quote, warnings=_warnings(plan),
    )  # fmt: skip


def make_plan(config: RollingGridConfig, instruments: Mapping[Market, Instrument]) -> RollingGridPlan:
    """Check a configuration against the exchange's rules; raises `PlanRefused` with what would work."""
    rules = instruments[config.venue, config.symbol]
    hedge = None if config.hedge_market is None else instruments[config.hedge_market]
    if config.direction == "sell" and not rules.swap:
        raise PlanRefused("direction", "a sell bot opens shorts and needs a swap venue; use buy on spot")
    if config.quantity % rules.lot_step != 0 or config.quantity < rules.min_qty:
        least = max(rules.floor_qty(config.quantity), rules.min_qty, rules.lot_step)
        raise PlanRefused(
            "quantity",
            f"{plain(config.quantity)} is no order of lots of {plain(rules.lot_step)} from {plain(rules.min_qty)} up; "
            f"{plain(least)} works",
        )
    if hedge is not None and (not hedge.swap or hedge.floor_qty(config.quantity) < max(hedge.min_qty, hedge.lot_step)):
        reason = (
            "a hedge opens the other side and needs a swap venue"
            if not hedge.swap
            else f"its smallest order is {plain(max(hedge.min_qty, hedge.lot_step))}; a quantity of at least that works"
        )
        raise PlanRefused("hedge_symbol", reason)
    by = ONE if config.profit_basis == "price" else Decimal(config.leverage)
    profit, stop = ratio(config.take_profit, by), ratio(config.stop_loss, by)
    fees = 2 * max(rules.maker, ZERO)
    if profit <= fees:
        raise PlanRefused(
            "take_profit",
            f"{plain(profit)} of the price loses against two maker fees of {plain(fees)}; more than that earns",
        )
    if config.stop_loss_enabled and config.leverage > 1 and ONE / config.leverage < 2 * stop:
        most = int(ONE / (2 * stop))
        raise PlanRefused(
            "leverage",
            f"liquidation lies nearer than twice the stop loss of {plain(stop)}; at most {max(most, 1)} works",
        )
    return RollingGridPlan(
        config=config, instrument=rules, hedge=hedge, side=config.side, take_profit=profit,
        stop_loss=stop if config.stop_loss_enabled else None, slippage=config.max_slippage_bps / Decimal(10_000),
        bound_quote=exact_product(config.max_margin, Decimal(config.leverage)),
    )  # fmt: skip


def _warnings(plan: RollingGridPlan) -> tuple[str, ...]:
    config = plan.config
    if plan.stop_loss is None or config.recovery_mode == "none":
        return ()
    most = reachable_distance(plan.take_profit, plan.stop_loss, plan.side)
    if config.stuck_distance < most:
        return ()
    works = floor_to(most, Decimal("0.0001"))
    why = f"the stop loss of {plain(config.stop_loss)} fires before a lot is {plain(config.stuck_distance)} away from its exit"
    return (
        f"recovery_mode: {config.recovery_mode} can never begin, for {why}; a stuck_distance of {plain(works)} works",
    )
