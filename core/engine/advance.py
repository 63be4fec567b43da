"""One step of the whole: `advance(world, facts, now) -> Step`. Pure; the same input always gives the same output."""

from collections.abc import Iterable
from datetime import datetime

from core.engine.account import watch_account
from core.engine.booking import (
    STRANGER,
    book_trade,
    book_transfer,
    compare_balance,
    compare_position,
)
from core.engine.bot import advance_bot
from core.engine.claims import claim
from core.engine.control import acknowledge, obey, unread
from core.engine.draft import BotDraft, Draft, open_draft, thaw
from core.engine.forced import book_forced, forced_word
from core.engine.payments import share_funding
from core.engine.reports import take_in
from core.engine.world import BotSpec, Step, World
from core.facts import (
    Action,
    BalanceRead,
    BarClosed,
    Command,
    Fact,
    Fill,
    FundingPaid,
    PositionRead,
    RateSeen,
    Transfer,
    Trouble,
)
from core.machine import Wake
from core.market import Instrument, Market, Quote
from core.orders import decode
from core.values import ONE, plain

# The trouble of a venue (its subject) whose account could not be read; entries there wait for a whole reading.
UNREADABLE = "venue_unreadable"


def advance(world: World, facts: Iterable[Fact], now: datetime) -> Step:
    """Take facts in and decide. `now` is naive UTC and is read once per tick, by the caller.

    Bots are advanced that have facts of their own or whose wake band the prices or the time have left; for all others
    the step is a no-op by contract (RULES 18c).
    """
    draft = open_draft(world, now)
    bots: dict[str, BotDraft] = {}
    told = [*world.held, *facts]
    quotes = [fact for fact in told if isinstance(fact, Quote)]
    for fact in quotes:
        draft.quotes[fact.venue, fact.symbol] = fact
        draft.fresh.add((fact.venue, fact.symbol))
    if len(quotes) < len(told):
        for fact in told:
            _route(draft, bots, fact)
    for fact in told:
        # After all that was traded is booked: what is left of the position is nobody's.
        if type(fact) is Command and fact.action is Action.CLAIM:
            claimant = _open(draft, bots, fact.bot_id)
            if claimant is not None:
                claim(draft, claimant, fact, told)
    for bot_id in world.specs:
        bot = bots.get(bot_id)
        if bot is None and _awake(draft, bot_id):
            bot = _open(draft, bots, bot_id)
        if bot is not None:
            advance_bot(draft, bot)
            draft.keep(bot)
    if draft.room_freed:
        _retry_declined(draft, bots)
    watch_account(draft)
    return draft.freeze()


def _retry_declined(draft: Draft, bots: dict[str, BotDraft]) -> None:
    # Room under the account's cap, or a blocked venue, has come free: bots not advanced above may have waited for it.
    for bot_id, bot in list(draft.bots.items()):
        if bot.restless and bot_id not in bots:
            again = thaw(bot, draft.world.specs[bot_id])
            advance_bot(draft, again)
            draft.keep(again)


def _open(draft: Draft, bots: dict[str, BotDraft], bot_id: str) -> BotDraft | None:
    if bot_id not in draft.world.specs:
        return None
    if bot_id not in bots:
        bots[bot_id] = thaw(draft.bots[bot_id], draft.world.specs[bot_id])
    return bots[bot_id]


def _awake(draft: Draft, bot_id: str) -> bool:
    bot = draft.bots[bot_id]
    spec = draft.world.specs[bot_id]
    key = spec.instrument.market
    quote = draft.quotes.get(key)
    if quote is None:
        return False
    if bot.state is None:
        return True
    if _left(draft, key, bot.wake, quote):
        return True
    return any(
        _left(draft, one.market, bot.wakes.get(one.market, Wake()), draft.quotes.get(one.market)) for one in spec.others
    )


def _left(draft: Draft, market: Market, wake: Wake, quote: Quote | None) -> bool:
    # Whether the time, or prices read in this advance, have left a market's band.
    if quote is None or market not in draft.fresh:
        return wake.deadline is not None and draft.now >= wake.deadline
    return wake.due(quote.lowest, quote.highest, draft.now)


def _route(draft: Draft, bots: dict[str, BotDraft], fact: Fact) -> None:
    match fact:
        case Quote():
            pass
        case BalanceRead():
            compare_balance(draft, fact)
        case PositionRead():
            compare_position(draft, fact)
        case Transfer():
            book_transfer(draft, fact)
        case FundingPaid():
            market = (fact.venue, fact.symbol)
            on_it = [
                i for i, spec in draft.world.specs.items() if any(one.market == market for one in spec.instruments)
            ]
            share_funding(draft, [bot for i in on_it if (bot := _open(draft, bots, i)) is not None], fact)
        case BarClosed():
            _tell(draft, bots, fact, [i for i, spec in draft.world.specs.items() if _wants_bar(spec, fact)])
        case RateSeen():
            _tell(draft, bots, fact, [i for i, spec in draft.world.specs.items() if fact.market in spec.rates])
        case Trouble():
            _hear_trouble(draft, fact)
        case Command(action=Action.ACKNOWLEDGE):
            acknowledge(draft, fact)
        case Command(action=Action.CLAIM):
            pass
        case Command():
            bot = _open(draft, bots, fact.bot_id)
            if bot is not None:
                obey(draft, bot, fact)
        case _:
            who = decode(fact.client_id)
            spec = draft.world.specs.get(who.bot_id) if who is not None else None
            if spec is not None and who is not None and who.token == spec.token:
                if spec.instrument.market not in draft.quotes:
                    # A machine answers fills together with the market; booked without it, they would be lost on it.
                    draft.held.append(fact)
                    return
                bot = _open(draft, bots, who.bot_id)
                if bot is not None:
                    take_in(draft, bot, fact, who)
            elif isinstance(fact, Fill):
                _book_other(draft, bots, fact)


def _book_other(draft: Draft, bots: dict[str, BotDraft], fill: Fill) -> None:
    word, market = forced_word(fill.client_id), (fill.venue, fill.symbol)
    if word is not None:
        ids = [i for i, spec in draft.world.specs.items() if any(one.market == market for one in spec.instruments)]
        if any(draft.world.specs[bot_id].instrument.market not in draft.quotes for bot_id in ids):
            draft.held.append(fill)  # as with a bot's own fills: its machine answers it together with the market
            return
        if book_forced(draft, [bot for bot_id in ids if (bot := _open(draft, bots, bot_id)) is not None], fill, word):
            return
    _book_stranger(draft, fill)


def _wants_bar(spec: BotSpec, fact: BarClosed) -> bool:
    return any((one.market, one.timeframe_s) == (fact.market, fact.timeframe_s) for one in spec.bars)


def _tell(draft: Draft, bots: dict[str, BotDraft], fact: BarClosed | RateSeen, ids: list[str]) -> None:
    if any(draft.world.specs[bot_id].instrument.market not in draft.quotes for bot_id in ids):
        draft.held.append(fact)  # a machine answers it together with the market; told without one, it would be lost
        return
    for bot_id in ids:
        bot = _open(draft, bots, bot_id)
        if bot is not None:
            bot.events.append(fact)


def _hear_trouble(draft: Draft, told: Trouble) -> None:
    if told.over:
        draft.all_clear(told.kind, told.bot_id, told.subject)
    else:
        draft.alarm(told.kind, told.bot_id, told.subject, told.severity, told.detail)
    if told.kind == UNREADABLE:
        # An absent reading never authorises a write: what rests or was traded there is not known (DESIGN 4.5).
        if not told.over:
            draft.blocked[unread(told.subject)] = f"{told.subject} cannot be read"
        elif draft.blocked.pop(unread(told.subject), None) is not None:
            draft.room_freed = True


def _book_stranger(draft: Draft, fill: Fill) -> None:
    # A trade of somebody else on this account: it moves the wallet, belongs to no bot, and is not ours to touch.
    base, _, rest = fill.symbol.partition("/")
    quote, _, settle = rest.partition(":")
    instrument = Instrument(
        venue=fill.venue, symbol=fill.symbol, base=base, quote=quote, tick_size=ONE, lot_step=ONE, min_qty=ONE,
        min_notional=ONE, maker=ONE, taker=ONE, swap=bool(settle),
    )  # fmt: skip
    if book_trade(draft, fill, instrument, STRANGER) and settle:
        # On a swap all share one net position: what another did to it, by hand or by liquidation, is not in our lots.
        detail = (
            f"trade {fill.trade_id} of order {fill.client_id}: {fill.side.value} {plain(fill.qty)} by no bot of ours"
        )
        draft.alarm("foreign_trade", "", f"{fill.venue} {fill.symbol}", "critical", detail)
