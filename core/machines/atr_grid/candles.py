"""What a closed candle decides, in this order: regimes, the hedge's exits, recovery, where the grid lies, the zone.

Everything here happens once per closed candle, on finished candles alone (RULES 18); what stands between two of them is
in `short` (the bag's fills, the hard stop) and in the orders that rest.
"""

from decimal import Decimal

from core.machines.atr_grid import short
from core.machines.atr_grid.bag import reduce_by, sell_with_budget, take_profits
from core.machines.atr_grid.draft import Draft
from core.machines.atr_grid.levels import PENDING, RECOVERY, end_cuts, lay, spacing_of, withdraw
from core.machines.atr_grid.state import Idle
from core.market import Candle
from core.values import ONE, ZERO, exact_product, plain, ratio

CALM, WILD = "calm", "wild"
DOWN, UP, SIDEWAYS = "down", "up", "sideways"
# Spacing by regime, in ATRs: as the grid is adjusted, and as it is laid anew (the origin's factors).
ADJUST_BY = {CALM: Decimal(1), WILD: Decimal(2)}
RECENTER_BY = {CALM: Decimal("0.8"), WILD: Decimal("1.3")}


def decide(draft: Draft, candle: Candle) -> None:
    """Answer the newest closed candle; the indicators have taken it in and are ready."""
    end_cuts(draft)
    _feel(draft, candle.close)
    done = hedge_exit(draft)
    recovered = recover(draft, done)
    if draft.layout is None:
        if not draft.mood.recovery:
            _first_grid(draft, candle.close)
    elif recovered:
        _recenter(draft, candle.close, "recovery is over")
    else:
        _move_grid(draft, candle.close, done)
    _zone(draft, candle.close)
    sell_with_budget(draft)


def _feel(draft: Draft, close: Decimal) -> None:
    """Name volatility, with its hysteresis, and the trend; the journal says when one changes."""
    assert draft.gauge is not None  # noqa: S101  decide comes after the first candle
    config, reading = draft.plan.config, draft.gauge.reading
    if reading.atr_28 > ZERO:
        wide = ratio(reading.atr_14, reading.atr_28)
        volatility = WILD if wide > config.wild_from else CALM if wide < config.calm_below else draft.mood.volatility
        if volatility != draft.mood.volatility:
            share = plain(wide.quantize(Decimal("0.01")))
            draft.note("regime", volatility.upper(), f"ATR 14 is {share} of ATR 28")
            draft.feel(volatility=volatility)
    trend = trend_of(draft, close)
    if trend != draft.mood.trend:
        draft.note("trend", trend.upper(), f"candle closed at {plain(close)}")
        draft.feel(trend=trend)


def trend_of(draft: Draft, close: Decimal) -> str:
    """Name the trend: down below all of EMA 14 < 50 < 200, up above EMA 14 > 50, else sideways."""
    assert draft.gauge is not None  # noqa: S101  decide comes after the first candle
    reading = draft.gauge.reading
    if close < reading.ema(14) < reading.ema(50) < reading.ema(200):
        return DOWN
    return UP if close > reading.ema(14) > reading.ema(50) else SIDEWAYS


def hedge_exit(draft: Draft) -> str:
    """End the short where one of its exits is reached, the first of them in order; returns its word, or nothing."""
    quote = draft.futures_quote
    if draft.short_qty <= ZERO or draft.short.ratio == ZERO or quote is None or draft.short.opened_at is None:
        return ""
    hedge, profit = draft.plan.config.hedge, short.profit_at(draft, quote.ask)
    loss, cost = max(-draft.spot_profit, ZERO), short.round_trip(draft, quote.ask)
    turned = draft.mood.trend == UP
    held_s = (draft.view.now - draft.short.opened_at).total_seconds()
    earned = exact_product(hedge.cost_multiple, cost)
    if draft.mood.pending_since is not None and profit > ZERO and profit >= earned:
        word = "PENDING_DONE"
    elif stop_hit(draft, profit):
        word = "MAX_LOSS"
    elif profit > ZERO and profit >= max(exact_product(hedge.take_profit, loss), earned):
        word = "TAKE_PROFIT"
    elif turned and profit < ZERO and profit <= -exact_product(hedge.reversal_loss, abs(draft.spot_profit)):
        word = "REVERSAL_STOP"
    elif turned and profit < ZERO and held_s >= hedge.cut_after_s:
        word = "REVERSAL_CUT"
    else:
        return ""
    short.close(draft, word, f"the short stands at {_money(profit)}, the bag at {_money(draft.spot_profit)}")
    return word


def stop_hit(draft: Draft, profit: Decimal) -> bool:
    """Whether the short lost what it may: more than the bag did (at least `max_loss` of capital), or its hard stop."""
    by_capital, by_price = short.loss_limits(draft)
    bag_loss = max(-draft.spot_profit, ZERO)
    return profit <= -max(bag_loss, by_capital) or profit <= -by_price


def recover(draft: Draft, lost: str) -> bool:
    """After a hedge that ended badly (`lost`, its word) with a deep loss in the bag nothing is bought until that is small.

    Returns whether recovery has just ended.
    """
    hedge, capital = draft.plan.config.hedge, draft.plan.config.initial_capital
    loss = ratio(max(-draft.spot_profit, ZERO), capital)
    if draft.mood.recovery:
        if loss <= hedge.recovery_until:
            draft.feel(recovery=False)
            draft.note("recovery", "END", _told_loss(loss))
        return not draft.mood.recovery
    if lost not in {"MAX_LOSS", "REVERSAL_STOP", "REVERSAL_CUT"} or loss < hedge.recovery_from:
        return False
    draft.feel(recovery=True)
    draft.note("recovery", "BEGIN", _told_loss(loss))
    withdraw(draft, RECOVERY)
    if loss > hedge.recovery_sale_from:
        reduce_by(draft, hedge.recovery_sale, "recovery")
    return False


def _first_grid(draft: Draft, close: Decimal) -> None:
    assert draft.gauge is not None  # noqa: S101  decide comes after the first candle
    wished = exact_product(draft.gauge.reading.atr_14, draft.plan.config.atr_multiplier)
    base = min(close, draft.view.quote.bid)
    lay(draft, base, spacing_of(draft.plan, wished, close), "first grid")
    draft.feel(adjusted_at=draft.count, recentered_at=draft.count)


def _move_grid(draft: Draft, close: Decimal, done: str) -> None:
    """Take the grid to the market: wait out a fall, recentre after a drift, widen or narrow it with the regime."""
    if draft.mood.pending_since is not None:
        if done == "PENDING_DONE" or draft.mood.trend != DOWN:
            why = "the hedge paid" if done == "PENDING_DONE" else f"the trend is {draft.mood.trend}"
            draft.feel(pending_since=None)
            draft.note("recenter", "PENDING_END", why)
            _recenter(draft, close, f"after the fall: {why}")
        return
    if draft.mood.recovery:
        return
    _rise_again(draft, close)
    cause = _why_recenter(draft, close)
    if cause:
        _recenter_by_trend(draft, close, cause)
    elif _stands_idle(draft):
        _recenter(draft, close, "nothing is bought and nothing is offered")
    else:
        _adjust(draft, close)


def _rise_again(draft: Draft, close: Decimal) -> None:
    # A fall is answered once: not anew with every turn of the trend while the price stays where it fell to.
    layout = draft.layout
    if (
        draft.mood.fallen
        and layout is not None
        and close >= layout.lines[0]
        and _filled(draft) <= draft.plan.config.consumed_from
    ):
        draft.feel(fallen=False)


def _filled(draft: Draft) -> Decimal:
    return ratio(Decimal(len(draft.held_levels())), Decimal(len(draft.levels)))


def _stands_idle(draft: Draft) -> bool:
    cooled = draft.count >= draft.mood.recentered_at + draft.plan.config.recenter_cooldown_bars
    return cooled and all(isinstance(level, Idle) for level in draft.levels)


def _why_recenter(draft: Draft, close: Decimal) -> str:
    layout, config = draft.layout, draft.plan.config
    assert layout is not None  # noqa: S101  asked for grids that are laid
    way = exact_product(config.drift, layout.spacing)
    cooled = draft.count >= draft.mood.recentered_at + config.recenter_cooldown_bars
    full = _filled(draft)
    if (draft.mood.trend == DOWN and draft.mood.fallen) or (full == ONE and draft.mood.trend != DOWN and not cooled):
        return ""  # answered already, or nothing to lay
    if close > layout.lines[-1] + way:
        return f"closed at {plain(close)}, {plain(config.drift)} spacings above the highest level"
    if close < layout.lines[0] - way:
        return f"closed at {plain(close)}, {plain(config.drift)} spacings below the lowest level"
    if full > config.consumed_from and cooled:
        return f"{len(draft.held_levels())} of {config.levels} levels are filled"
    return ""


def _recenter_by_trend(draft: Draft, close: Decimal, cause: str) -> None:
    """Recentre as the trend allows: wait in a falling market, take profits in a rising one, else close the hedge first."""
    quote = draft.futures_quote
    hedged = draft.short_qty > ZERO and draft.short.ratio > ZERO and quote is not None
    profit = short.profit_at(draft, quote.ask) if quote is not None and hedged else ZERO
    if draft.mood.trend == DOWN:
        draft.feel(pending_since=draft.view.now, fallen=True)
        draft.note("recenter", "PENDING", cause)
        withdraw(draft, PENDING)
        if draft.plan.config.down_sale > ZERO:
            reduce_by(draft, draft.plan.config.down_sale, "the falling market")
        return
    if profit < ZERO and draft.mood.trend == SIDEWAYS:
        if draft.count >= draft.mood.recentered_at + draft.plan.config.recenter_cooldown_bars:
            draft.note("recenter", "SKIPPED", f"{cause}, but the hedge stands at {_money(profit)}")
            draft.feel(recentered_at=draft.count)
        return
    if hedged and profit >= ZERO:
        short.close(draft, "RECENTER", f"{cause}; the short stands at {_money(profit)}")
    if draft.mood.trend == UP:
        take_profits(draft)
    elif draft.plan.config.allow_loss_sale:
        reduce_by(draft, Decimal(1), "a full recentre")
    _recenter(draft, close, cause)


def _recenter(draft: Draft, close: Decimal, why: str) -> None:
    assert draft.gauge is not None  # noqa: S101  decide comes after the first candle
    draft.feel(recentered_at=draft.count, adjusted_at=draft.count)
    if draft.mood.recovery:
        return
    if len(draft.held_levels()) == len(draft.levels):
        draft.note("recenter", "FULL", f"{why}: every level holds a lot")
        return
    reading, config = draft.gauge.reading, draft.plan.config
    factor = _by_width(draft)
    wished = exact_product(reading.atr_14, config.atr_multiplier, factor)
    before = draft.layout.spacing if draft.layout is not None else ZERO
    lay(
        draft,
        min(close, draft.view.quote.bid),
        spacing_of(draft.plan, wished, close, before),
        f"recentre, {draft.mood.trend}: {why}",
    )


def _by_width(draft: Draft) -> Decimal:
    assert draft.gauge is not None  # noqa: S101  decide comes after the first candle
    reading, config = draft.gauge.reading, draft.plan.config
    if reading.atr_28 <= ZERO:
        return Decimal(1)
    wide = ratio(reading.atr_14, reading.atr_28)
    if wide >= config.wild_from:
        return RECENTER_BY[WILD]
    return RECENTER_BY[CALM] if wide <= config.calm_below else Decimal(1)


def _adjust(draft: Draft, close: Decimal) -> None:
    """Widen or narrow the grid where the regime says so by more than `adjust_from`; filled lots keep their targets."""
    layout, config, gauge = draft.layout, draft.plan.config, draft.gauge
    assert layout is not None  # noqa: S101  asked for grids that are laid
    assert gauge is not None  # noqa: S101  decide comes after the first candle
    if draft.mood.volatility not in ADJUST_BY or draft.count < draft.mood.adjusted_at + config.adjust_cooldown_bars:
        return
    reading = gauge.reading
    wide = ratio(reading.atr_14, reading.atr_28) if reading.atr_28 > ZERO else Decimal(1)
    if config.calm_below <= wide <= config.wild_from:
        return  # between the two thresholds the spacing stays as it is
    wished = exact_product(reading.atr_14, config.atr_multiplier, ADJUST_BY[draft.mood.volatility])
    spacing = spacing_of(draft.plan, wished, close, layout.spacing)
    if abs(spacing - layout.spacing) <= exact_product(config.adjust_from, layout.spacing):
        return
    held = [level for _, level in draft.held_levels()]
    base = min([close, draft.view.quote.bid, *(level.price for level in held)])
    kept = tuple(level.price for level in held if level.price in layout.lines)
    draft.feel(adjusted_at=draft.count)
    lay(
        draft, base, spacing, f"{draft.mood.volatility}: spacing {plain(layout.spacing)} becomes {plain(spacing)}", kept
    )


def _zone(draft: Draft, close: Decimal) -> None:
    """Say how much of the bag shall be hedged, by where the candle closed; nothing while a hedge has just ended."""
    if draft.plan.futures is None or draft.layout is None or draft.gauge is None:
        return
    if draft.count < draft.short.cool_until:
        return
    hedge, reading, lines = draft.plan.config.hedge, draft.gauge.reading, draft.layout.lines
    lowest, second = lines[0], lines[min(1, len(lines) - 1)]
    ratio_, zone = draft.short.ratio, draft.short.zone
    if draft.mood.pending_since is not None:
        ratio_, zone = hedge.pending_ratio, "pending"
    elif close < lowest - exact_product(hedge.break_atr, reading.atr_14) and draft.mood.trend == DOWN:
        ratio_, zone = hedge.break_ratio, "break"
    elif lowest <= close <= second and close < reading.ema(14) < reading.ema(50):
        ratio_, zone = hedge.danger_ratio, "danger"
    elif zone and close > second + exact_product(hedge.leave_atr, reading.atr_14):
        if draft.short_qty > ZERO:
            short.close(draft, "ZONE_LEFT", f"closed at {plain(close)}, above the second lowest level {plain(second)}")
            return
        ratio_, zone = ZERO, ""
    if zone != draft.short.zone:
        draft.note("zone", zone.upper() or "NONE", f"closed at {plain(close)}; the lowest level is {plain(lowest)}")
    if (ratio_, zone) != (draft.short.ratio, draft.short.zone):
        draft.hedge(ratio=ratio_, zone=zone)


def _told_loss(loss: Decimal) -> str:
    return f"the bag's floating loss is {plain((loss * 100).quantize(Decimal('0.01')))} % of the initial capital"


def _money(amount: Decimal) -> str:
    return plain(amount.quantize(Decimal("0.01")))
