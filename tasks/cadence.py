"""How often a portfolio must tick for what it trades. Rule: a hedge that follows fills hears of them in time (RULES 9c).

Without an order stream a process learns of a fill at its next tick. An `xemm` bot, which hedges fill by fill, is refused
where ticks are further apart than a second and one of its venues has no `streams: true`. Paper venues need none: they
tell a fill in the tick that makes it, and it is hedged in the next round of the same tick.
"""

from core.config import BotBase
from core.machines.xemm.config import XemmConfig
from core.portfolio import Portfolio
from tasks.errors import Refused

INTERVAL_MAX_S = 1.0
# Between two ticks as they were seen to begin: some of the interval is the timer's own lateness.
SEEN_MAX_S = 1.5


def objection_to(portfolio: Portfolio, bot: BotBase, interval_s: float, most_s: float = INTERVAL_MAX_S) -> str:
    """Say in a line why a bot may not run with ticks so many seconds apart; empty where it may."""
    if portfolio.mode not in {"demo", "live"} or not isinstance(bot, XemmConfig) or interval_s <= most_s:
        return ""
    deaf = sorted({venue for venue, _ in bot.markets() if not portfolio.venue(venue).streams})
    if not deaf:
        return ""
    return f"xemm hears of fills {interval_s:g} s apart and would hedge as late: {' and '.join(deaf)} without streams"


def refuse_slow(portfolio: Portfolio, interval_s: float) -> None:
    """Raise `Refused` for the first bot that such an interval is too long for."""
    for index, bot in enumerate(portfolio.bots):
        refuse_bot(portfolio, bot, interval_s, key=f"bots[{index}]")


def refuse_bot(
    portfolio: Portfolio, bot: BotBase, interval_s: float, *, key: str, most_s: float = INTERVAL_MAX_S
) -> None:
    """Raise `Refused` where such an interval is too long for a bot; `key` names it."""
    said = objection_to(portfolio, bot, interval_s, most_s)
    if said:
        accepted = f"--interval {INTERVAL_MAX_S:g} or shorter, or streams: true at its venues"
        raise Refused(said, key=f"{key}.kind", accepted=accepted)
