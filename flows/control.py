"""The manual hook: a word to a bot, with who said it and why. The next tick applies it."""

from typing import Annotated, Literal

from prefect import flow
from prefect.logging import get_run_logger
from pydantic import Field

from tasks import inbox


@flow(name="control", retries=0, persist_result=False)
def control(
    data_dir: str,
    bot: Annotated[str, Field(pattern="^[a-z0-9]{1,8}$", description="Id of the bot, as in the portfolio file")],
    action: Literal["pause", "resume", "halt", "flatten", "cancel", "close-lot", "claim", "release"],
    lot: Annotated[str, Field(max_length=32, description="Which lot, for close-lot; see the report")] = "",
    note: Annotated[str, Field(max_length=500, description="Why; kept in the journal")] = "",
    who: Annotated[str, Field(min_length=1, max_length=100, description="Who asks for it")] = "ui",
) -> int:
    """Put one word for one bot into the inbox of its portfolio. Return its number in the inbox.

    Args:
        data_dir: the portfolio's data folder.
        bot: the bot it is meant for.
        action: pause (no new entries), resume, halt (entries cancelled, latched), flatten (close the position and
        halt), cancel (entries off, this tick), close-lot (one lot, at the market), claim (a foreign position), release
        (end a halt). lot: for close-lot. note: why. who: who asks for it.
    """
    number = inbox.submit(data_dir, bot, action, who, note, lot)
    get_run_logger().info("%s for bot %s is number %d in the inbox; the next tick applies it", action, bot, number)
    return number
