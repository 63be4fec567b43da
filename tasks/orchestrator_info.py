"""What executors report: a snapshot of each, the positions they left behind, and the performance of each controller.

Every bot is an executor here, whatever its kind. All money is exact; profit is realised + floating - fees + funding, so a
failure shows what it lost, a running grid's realised profit is realised, and the fees of held positions count.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from core.engine import Bot, BotSpec, Mode, World
from core.engine.world import value_of
from core.executors.hold import Hold
from core.executors.hold import add as fold_in
from core.executors.life import CloseType, Status
from core.executors.state import ExecutorState
from core.facts import Fill
from core.lots import Lot, fee_in_quote, net_qty, unrealized
from core.market import Market, Quote
from core.values import ZERO, exact_product, plain, ratio, total

# Ends of other kinds, by the original's word that is nearest.
_WORDS = {
    "BOT_STOP_LOSS": CloseType.STOP_LOSS, "BOT_TAKE_PROFIT": CloseType.TAKE_PROFIT, "RANGE_EXIT": CloseType.TAKE_PROFIT,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorInfo:
    """A snapshot of one executor; fields as in the original. Money is quote, percentages are fractions.

    `net_pnl_pct` is of what its entries spent, or of its capital where it has not entered; `net_pnl_pct_of_capital` always
    of its capital. Times are Unix seconds.
    """

    id: str
    timestamp: float | None
    type: str
    status: Status
    config: Mapping[str, Any]
    net_pnl_pct: Decimal
    net_pnl_pct_of_capital: Decimal
    net_pnl_quote: Decimal
    cum_fees_quote: Decimal
    filled_amount_quote: Decimal
    is_active: bool
    is_trading: bool
    custom_info: Mapping[str, Any]
    close_timestamp: float | None
    close_type: CloseType | None
    controller_id: str

    @property
    def is_done(self) -> bool:
        """Whether it is over."""
        return self.status is Status.TERMINATED

    @property
    def connector_name(self) -> str:
        """The venue that it trades first."""
        return str(self.config["venue"])

    @property
    def trading_pair(self) -> str:
        """The symbol that it trades first."""
        return str(self.config["symbol"])

    @property
    def side(self) -> str:
        """BUY, SELL, or empty where it has no side."""
        return str(self.config.get("side") or "")

    def plain(self) -> dict[str, Any]:
        """Return it as JSON-ready data: decimals as text, words as their names."""
        return {name: _written(value) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionSummary:
    """What executors of one controller left behind in one market; `amount` base, `breakeven_price` without fees."""

    controller_id: str
    connector_name: str
    trading_pair: str
    side: str
    amount: Decimal
    amount_quote: Decimal
    breakeven_price: Decimal
    unrealized_pnl_quote: Decimal
    realized_pnl_quote: Decimal
    cum_fees_quote: Decimal
    volume_traded_quote: Decimal

    @property
    def global_pnl_quote(self) -> Decimal:
        """Realised + unrealised - fees."""
        return self.realized_pnl_quote + self.unrealized_pnl_quote - self.cum_fees_quote


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceReport:
    """Performance of one controller: its executors and what they left behind, fees and funding included.

    `*_pct` are fractions of the volume traded, as in the original; `*_pct_of_capital` of the capital of its executors.
    """

    realized_pnl_quote: Decimal = ZERO
    unrealized_pnl_quote: Decimal = ZERO
    global_pnl_quote: Decimal = ZERO
    realized_pnl_pct: Decimal = ZERO
    unrealized_pnl_pct: Decimal = ZERO
    global_pnl_pct: Decimal = ZERO
    global_pnl_pct_of_capital: Decimal = ZERO
    volume_traded: Decimal = ZERO
    cum_fees_quote: Decimal = ZERO
    funding_quote: Decimal = ZERO
    capital_quote: Decimal = ZERO
    positions_summary: tuple[PositionSummary, ...] = ()
    close_type_counts: Mapping[CloseType, int] = field(default_factory=dict[CloseType, int])


def standing(bot: Bot) -> tuple[Status, CloseType | None]:
    """Say where a bot of any kind stands, and why it ended; one whose order may still trade is not over."""
    if bot.state is None:
        over = bot.mode in {Mode.STOPPED, Mode.LEFT}
        return (Status.TERMINATED, CloseType.EARLY_STOP) if over else (Status.NOT_STARTED, None)
    life = getattr(bot.state, "life", None) or getattr(bot.state, "phase", None)
    # Pairs call their end `Ended`, and balance what stands alone (`Mending`) with the end's word in hand.
    name, word = (
        type(life).__name__,
        _close_type(getattr(life, "word", None) or getattr(life, "close_type", None) or None),
    )
    busy = bot.unwind is not None or any(work.order is not None for work in bot.works.values())
    if name in {"Closed", "Ended"}:
        return (Status.SHUTTING_DOWN if busy else Status.TERMINATED), word or CloseType.COMPLETED
    if bot.mode is Mode.FLATTENING:
        return Status.SHUTTING_DOWN, CloseType.EARLY_STOP
    if bot.mode is Mode.HALTED and bot.mode_reason.startswith("halted after flatten"):
        # What is too little for an order stays as a held position.
        ended = CloseType.POSITION_HOLD if bot.lots else CloseType.EARLY_STOP
        return (Status.SHUTTING_DOWN if busy else Status.TERMINATED), ended
    if bot.mode in {Mode.STOPPED, Mode.LEFT}:
        word = CloseType.POSITION_HOLD if bot.lots else CloseType.EARLY_STOP
        return (Status.SHUTTING_DOWN if busy and bot.mode is Mode.STOPPED else Status.TERMINATED), word
    if name in {"Closing", "Mending"} and word is not None:
        return Status.SHUTTING_DOWN, word
    return Status.RUNNING, None


def ended_at(bot: Bot) -> datetime | None:
    """Return since when it has been ending, or over; None where its state says nothing of that."""
    life = getattr(bot.state, "life", None) or getattr(bot.state, "phase", None)
    return getattr(life, "since", None) or getattr(life, "at", None)


def _close_type(word: Any) -> CloseType | None:
    if word is None or isinstance(word, CloseType):
        return word
    text = str(word)
    return CloseType[text] if text in CloseType.__members__ else _WORDS.get(text, CloseType.COMPLETED)


def info_of(
    config: Any, spec: BotSpec, bot: Bot, quotes: Mapping[Market, Quote], fills: Iterable[Fill]
) -> ExecutorInfo:
    """Make the snapshot of one bot. `fills` are all of its executions."""
    status, word = standing(bot)
    value = value_of(bot, spec, quotes)
    net = value[0] if value is not None else bot.realized - bot.fees + bot.funding
    state = bot.state
    spent = state.spent if isinstance(state, ExecutorState) else ZERO
    base = spent if spent > ZERO else spec.capital_quote
    since = ended_at(bot) if word is not None else None
    return ExecutorInfo(
        id=bot.bot_id, timestamp=_unix(bot.started_at), type=f"{spec.kind}_executor", status=status,
        config=config.model_dump(mode="json", exclude_none=True), net_pnl_pct=ratio(net, base) if base > ZERO else ZERO,
        net_pnl_pct_of_capital=ratio(net, spec.capital_quote) if spec.capital_quote > ZERO else ZERO, net_pnl_quote=net,
        cum_fees_quote=bot.fees, filled_amount_quote=total(exact_product(fill.price, fill.qty) for fill in fills),
        is_active=status in {Status.NOT_STARTED, Status.RUNNING}, is_trading=status is Status.RUNNING and bool(bot.lots),
        custom_info=_custom(config, bot, value is not None), close_timestamp=_unix(since), close_type=word,
        controller_id=getattr(config, "controller_id", "main"),
    )  # fmt: skip


def _custom(config: Any, bot: Bot, priced: bool) -> dict[str, Any]:
    held, cost = bot.inventory, bot.cost
    said: dict[str, Any] = {
        "side": getattr(config, "side", ""), "level_id": getattr(config, "level_id", None), "priced": priced,
        "held_base": plain(held), "current_position_average_price": plain(ratio(cost, abs(held))) if held != ZERO else None,
        "realized_pnl_quote": plain(bot.realized), "funding_quote": plain(bot.funding), "mode": bot.mode.value,
        "order_ids": [work.order.client_id for work in bot.works.values() if work.order is not None],
    }  # fmt: skip
    if isinstance(bot.state, ExecutorState):
        said |= {
            "executed_amount_base": plain(bot.state.done), "executed_amount_quote": plain(bot.state.spent),
            "average_executed_price": plain(ratio(bot.state.spent, bot.state.done)) if bot.state.done > ZERO else None,
            "close_price": plain(bot.state.exit.price) if bot.state.exit.left > ZERO else None,
        }  # fmt: skip
    return said


def positions_of(
    infos: Iterable[ExecutorInfo], world: World, fills: Mapping[str, Iterable[Fill]], *, hedge: Iterable[str] = ()
) -> dict[str, list[PositionSummary]]:
    """Fold what ended executors still hold into one position per controller and market; per side at `hedge` venues."""
    holds: dict[tuple[str, str, str, str], Hold] = {}
    for info in infos:
        if not info.is_done or not world.bots[info.id].lots:
            continue
        spec = world.specs[info.id]
        for fill in sorted(fills.get(info.id, ()), key=lambda one: (one.ts, one.trade_id)):
            instrument = spec.rule((fill.venue, fill.symbol))
            side = info.side if fill.venue in set(hedge) else ""
            key = (info.controller_id, fill.venue, fill.symbol, side)
            fee = fee_in_quote(fill, instrument) or ZERO
            holds[key] = fold_in(holds.get(key, Hold()), fill.side, net_qty(fill, instrument), fill.price, fee)
    found: dict[str, list[PositionSummary]] = {}
    for (controller, venue, symbol, _), hold in sorted(holds.items()):
        quote = world.quotes.get((venue, symbol))
        found.setdefault(controller, []).append(
            PositionSummary(
                controller_id=controller,
                connector_name=venue,
                trading_pair=symbol,
                side="BUY" if hold.qty >= 0 else "SELL",
                amount=abs(hold.qty),
                amount_quote=hold.cost,
                breakeven_price=hold.average,
                unrealized_pnl_quote=ZERO if quote is None else hold.floating(quote.last),
                realized_pnl_quote=hold.realized,
                cum_fees_quote=hold.fees,
                volume_traded_quote=hold.volume,
            )
        )
    return found


def performance_of(
    infos: Iterable[ExecutorInfo], world: World, positions: Iterable[PositionSummary] = ()
) -> PerformanceReport:
    """Sum the executors of one controller. Realised is after fees and funding; unrealised is what their open lots stand at."""
    mine = list(infos)
    bots = [world.bots[info.id] for info in mine]
    floating = total(_floating(lot, world.quotes) for bot in bots for lot in bot.lots.values())
    fees, funding = total(bot.fees for bot in bots), total(bot.funding for bot in bots)
    realized = total(bot.realized for bot in bots) - fees + funding
    volume = total(info.filled_amount_quote for info in mine)
    capital = total(world.specs[info.id].capital_quote for info in mine)
    counts: dict[CloseType, int] = {}
    for info in mine:
        if info.is_done and info.close_type is not None:
            counts[info.close_type] = counts.get(info.close_type, 0) + 1
    whole = realized + floating

    def share(amount: Decimal, of: Decimal) -> Decimal:
        return ratio(amount, of) if of > ZERO else ZERO

    return PerformanceReport(
        realized_pnl_quote=realized, unrealized_pnl_quote=floating, global_pnl_quote=whole,
        realized_pnl_pct=share(realized, volume), unrealized_pnl_pct=share(floating, volume),
        global_pnl_pct=share(whole, volume), global_pnl_pct_of_capital=share(whole, capital), volume_traded=volume,
        cum_fees_quote=fees, funding_quote=funding, capital_quote=capital, positions_summary=tuple(positions),
        close_type_counts=counts,
    )  # fmt: skip


def _floating(lot: Lot, quotes: Mapping[Market, Quote]) -> Decimal:
    quote = quotes.get((lot.venue, lot.symbol))
    return ZERO if quote is None else unrealized(lot, quote.last)


def _unix(at: datetime | None) -> float | None:
    return None if at is None else at.replace(tzinfo=UTC).timestamp()


def _written(value: Any) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, CloseType | Status):
        return value.name
    return value
