"""The manual hook: a word to a bot, with who said it and why. The next tick applies it."""

from pathlib import Path
from typing import Annotated, Any, Literal

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger
from pydantic import Field

from tasks import inbox
from tasks.control_preview import preview
from tasks.orchestrator_queue import action_of, submit


@flow(name="control", retries=0, persist_result=False)
def control(
    data_dir: str,
    bot: Annotated[str, Field(pattern="^[a-z0-9]{1,8}$", description="Id of the bot, as in the portfolio file")],
    action: Literal[
        "pause",
        "resume",
        "halt",
        "flatten",
        "cancel",
        "close-lot",
        "claim",
        "release",
        "acknowledge",
        "create",
        "stop",
        "store",
    ],
    lot: Annotated[str, Field(max_length=32, description="Which lot, for close-lot; see the report")] = "",
    incident: Annotated[
        str, Field(max_length=200, description="Which incident, for acknowledge: kind/bot/subject")
    ] = "",
    executor_config: Annotated[
        dict[str, Any] | None, Field(description="For create: what a bot has in the portfolio file, as JSON")
    ] = None,
    keep_position: Annotated[bool, Field(description="For stop: keep what it holds")] = False,
    close_hold: Annotated[bool, Field(description="For stop: close what an ended executor still holds")] = False,
    note: Annotated[str, Field(max_length=500, description="Why; kept in the journal")] = "",
    who: Annotated[str, Field(min_length=1, max_length=100, description="Who asks for it")] = "ui",
    dry_run: Annotated[bool, Field(description="Only show what it would do, as an artifact of this run")] = False,
) -> int:
    """Put one word for one bot into the inbox of its portfolio. Return its number there, 0 for what has none.

    Args:
        data_dir: the portfolio's data folder.
        bot: the bot it is meant for; `account` for an incident that is no bot's.
        action: pause (no new entries), resume, halt (entries cancelled, latched), flatten (close the position and
            halt), cancel (entries off, this tick), close-lot (one lot, at the market), claim (a foreign position), release
            (end a halt), acknowledge (resolve an incident by hand), create (an executor), stop (it closes what it holds,
            or keeps it), store (take an ended executor out of the running ones).
        lot: which lot, for close-lot; the report names them.
        incident: which incident, for acknowledge, as kind/bot/subject.
        executor_config: for create, what a bot has in the portfolio file, as JSON.
        keep_position: for stop, keep what it holds.
        close_hold: for stop, close what an ended executor still holds.
        note: why; kept in the journal.
        who: who asks for it.
        dry_run: only show what it would do, as an artifact of this run.
    """
    if action in {"create", "stop", "store"}:
        made = action_of(action, bot, executor_config, keep_position=keep_position, close_hold=close_hold)
        name = submit(data_dir, made)
        get_run_logger().info(
            "%s for %s is in the queue as %s; the next tick obeys, or says why not", action, bot, name
        )
        return 0
    if dry_run:
        found = preview(Path(data_dir), bot, action, lot, who, note)
        create_markdown_artifact("\n".join(f"- {line}" for line in found.lines()), key=f"control-{bot}")
        return 0
    number = inbox.submit(data_dir, bot, action, who, note, incident if action == "acknowledge" else lot)
    get_run_logger().info("%s for bot %s is number %d in the inbox; the next tick applies it", action, bot, number)
    return number
