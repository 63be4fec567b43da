"""What an exchange says of an account before it is trusted with money: keys, clock, rules, abilities, request weight.

Everything is read. Only with `place` one order of the smallest size is sent, far below the market and post-only, and
cancelled again.
"""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

from core.facts import Refused
from core.market import Instrument, Quote
from core.orders import ClientId, Kind, Order, Role, Status
from core.portfolio import Portfolio, VenueConfig
from core.values import ONE, ZERO, Side, ceil_to, plain, ratio
from tasks.credentials import Credentials
from tasks.doctor import Finding
from tasks.exchange import CcxtVenue
from tasks.exchange_clock import utc_now
from tasks.live_feed import LivePrices
from tasks.real_venues import symbols_at
from tasks.venue import ConfigRefused, VenueError

# Beyond this signed requests would be refused without a correction, and ages of prices are wrong by as much (ms).
SKEW_WARN_MS, SKEW_FAIL_MS = 1_000, 10_000
# Trades are walked whole every five minutes, balances are read every minute (RULES 9f).
WALKS_PER_MINUTE, BALANCES_PER_MINUTE = 0.2, 1.0
WEIGHT_SHARE_MAX = 0.8
# Below the best bid by this share: out of reach, yet inside the bands that exchanges put around the price.
AWAY = Decimal("0.05")
_NEEDED = ("createOrder", "cancelOrder", "fetchOpenOrders", "fetchMyTrades", "fetchBalance", "fetchMarkets")
_MEND = {
    "api_key": "make a key that may read and trade and may not withdraw, allow this machine's address, check the variable",
    "symbol": "write the symbol as the exchange lists it, for example BTC/USDT (spot) or BTC/USDT:USDT (swap)",
    "position_mode": "give the account and the portfolio the same position mode (the exchange's settings; position_mode)",
    "exchange": "use an id that ccxt knows",
    "mode": "use paper, or live with the smallest sizes",
}


async def look_at_exchange(
    portfolio: Portfolio, interval_s: float, *, place: bool
) -> tuple[list[Finding], dict[str, dict[str, Instrument]]]:
    """Look at every venue that a bot trades; returns the findings and the trading rules that the exchanges told."""
    findings: list[Finding] = []
    rules: dict[str, dict[str, Instrument]] = {}
    for config in portfolio.venues:
        symbols = symbols_at(portfolio, config)
        if not symbols or config.api_key is None or config.secret is None:
            continue
        try:
            venue = CcxtVenue(
                config.id, config.exchange, config.market, portfolio.mode, config.api_url,
                Credentials(config.api_key, config.secret, config.password), position_mode=config.position_mode,
                margin_mode=config.margin_mode, directions={("", symbol): "BUY" for symbol in symbols},
            )  # fmt: skip
        except ConfigRefused as fault:
            findings.append(_refused(config, fault))
            continue
        try:
            await venue.start(symbols)
            rules[config.id] = await venue.instruments(symbols)
            findings += [_keys(portfolio, config), _clock(venue), _abilities(venue)]
            findings.append(await _weight(venue, symbols, interval_s))
            if place:
                findings.append(await place_one(venue, rules[config.id][symbols[0]]))
        except ConfigRefused as fault:
            findings.append(_refused(config, fault))
        except VenueError as fault:
            mend = "check network, api_url and the exchange's own status page; then again"
            findings.append(Finding(f"venue {config.id}", "failed", f"does not answer as it should: {fault}", mend))
        finally:
            await venue.close()
    return findings, rules


async def look_at_names(portfolio: Portfolio) -> list[Finding]:
    """Look at whether ccxt knows the exchange of each venue whose prices paper trading would read; asks nobody."""
    findings: list[Finding] = []
    for config in portfolio.venues:
        if not symbols_at(portfolio, config):
            continue
        try:
            prices = LivePrices(config.exchange, config.market, config.api_url, config.id)
        except ConfigRefused as fault:
            findings.append(_refused(config, fault))
        else:
            await prices.close()
    return findings


async def place_one(venue: CcxtVenue, rule: Instrument) -> Finding:
    """Place the smallest order far below the market, see it rest, cancel it, and see it gone without a trade."""
    what = f"venue {venue.id}: an order of its own"
    now = utc_now()
    quotes = await venue.quotes([rule.symbol], now)
    if not quotes:
        return Finding(what, "failed", f"{rule.symbol} has no price that can be trusted", "wait for the market to open")
    order = smallest(rule, quotes[0], venue.id)
    answer = await venue.place(order, utc_now())
    cancelled = await venue.cancel(order, utc_now())
    seen = await venue.order(order, utc_now())
    said = f"{plain(order.qty)} {rule.base} at {order.price} {rule.quote}"
    placed, after = type(answer).__name__, type(seen).__name__
    status, executed = getattr(seen, "status", after), getattr(seen, "executed", ZERO)
    if placed == "Accepted" and str(status) == "canceled" and executed == ZERO:
        return Finding(what, "ok", f"{said} was placed, rested and was cancelled")
    if isinstance(answer, Refused):
        return Finding(
            what, "failed", f"{said} was refused: {answer.reason}", "check funds, rules and the key's rights"
        )
    reason = getattr(answer, "reason", "") or getattr(cancelled, "reason", "")
    return Finding(
        what, "failed", f"{said}: placing gave {placed}, afterwards it was {status}, executed {executed}. {reason}",
        f"look for the order {order.client_id} at the exchange and cancel it there",
    )  # fmt: skip


def smallest(rule: Instrument, quote: Quote, venue_id: str) -> Order:
    """Make the smallest order that the rules allow, 5 % below the best bid. Its id belongs to no bot."""
    now = utc_now()
    price = rule.floor_price(quote.bid * (ONE - AWAY))
    least = max(rule.min_qty, ratio(rule.min_notional, price), rule.lot_step)
    # A lot more where rounding the quotient down would leave it a hair below the minimum.
    qty = ceil_to(least, rule.lot_step)
    qty += ZERO if rule.notional(price, qty) >= rule.min_notional else rule.lot_step
    return Order(
        client_id=ClientId(f"doctor{int(now.timestamp() * 1000)}"), venue=venue_id, symbol=rule.symbol, bot_id="",
        leg_id="", attempt=0, role=Role.ENTRY, side=Side.BUY, kind=Kind.LIMIT, price=price, qty=qty, filled_qty=ZERO,
        traded_qty=ZERO, status=Status.PENDING, exchange_id="", reason="", created_at=now, updated_at=now, post_only=True,
        reduce_only=False, stop_price=None,
    )  # fmt: skip


def _refused(config: VenueConfig, fault: ConfigRefused) -> Finding:
    mend = _MEND.get(fault.key, f"change {fault.key} of venue {config.id}")
    return Finding(f"venue {config.id}", "failed", f"{fault.key}: {fault.reason}", mend)


def _keys(portfolio: Portfolio, config: VenueConfig) -> Finding:
    what = f"venue {config.id}: keys"
    if portfolio.mode != "live":
        return Finding(what, "ok", "accepted by the demo account; rights are asked for in live mode")
    return Finding(what, "ok", "accepted; the key may trade and may not withdraw")


def _clock(venue: CcxtVenue) -> Finding:
    offset = venue.client.offset
    what = f"venue {venue.id}: clock"
    if offset is None or not venue.client.api.has["fetchTime"]:
        return Finding(what, "ok", "the exchange does not tell its time")
    text = f"this machine is {-offset.offset_ms:+,} ms from the exchange's (read in {offset.round_trip_ms} ms)"
    skew = max(abs(offset.offset_ms) - offset.round_trip_ms, 0)
    if skew < SKEW_WARN_MS:
        return Finding(what, "ok", text)
    mend = "synchronise the clock: timedatectl set-ntp true, or chrony; in a container on its host"
    return Finding(what, "failed" if skew >= SKEW_FAIL_MS else "warning", text, mend)


def _abilities(venue: CcxtVenue) -> Finding:
    api = venue.client.api
    needed = (*_NEEDED, "fetchPositions") if venue.client.market == "swap" else _NEEDED
    missing = [name for name in needed if not api.has.get(name)]
    what = f"venue {venue.id}: abilities"
    if missing:
        text = f"ccxt cannot do {', '.join(missing)} at {venue.client.exchange}"
        return Finding(what, "failed", text, "use another exchange: without these no order can be watched")
    if venue.client.binance:
        return Finding(what, "ok", "all that is needed; tested in depth")
    mend = "begin with the smallest sizes and `--place`; only Binance is tested in depth"
    return Finding(what, "warning", "all that is needed, as ccxt says it", mend)


async def _weight(venue: CcxtVenue, symbols: Sequence[str], interval_s: float) -> Finding:
    """Read once what a quiet tick reads, and see what it takes of the exchange's minute."""
    budget, now = venue.client.budget, utc_now()
    marks = [budget.used]
    await venue.quotes(symbols, now)
    await venue.open_orders(symbols, now)
    marks.append(budget.used)
    await venue.balances(now)
    if venue.client.market == "swap":
        await venue.positions(symbols, now)
    marks.append(budget.used)
    for symbol in symbols:
        await venue.trades(symbol, now - timedelta(minutes=10), now)
    marks.append(budget.used)
    tick, balances, walk = (after - before for before, after in pairwise(marks))
    rest = balances * BALANCES_PER_MINUTE + walk * WALKS_PER_MINUTE
    share = tick * 60 / interval_s + rest
    what = f"venue {venue.id}: request weight"
    text = f"{share:.0%} of what the exchange allows in a minute, for {len(symbols)} symbols every {interval_s:g} s"
    if share <= WEIGHT_SHARE_MAX:
        return Finding(what, "ok", text)
    room = WEIGHT_SHARE_MAX - rest
    mend = f"tick every {tick * 60 / room:.0f} s or slower" if room > 0 else "spread the symbols over several accounts"
    return Finding(what, "failed", f"{text}; at most {WEIGHT_SHARE_MAX:.0%}", mend)
