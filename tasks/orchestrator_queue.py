"""Actions on executors, and the queue in which they wait for the next tick.

An action is a file of its own in `data_dir/actions`, named by the order in which it came and moved there whole. It is
removed once the tick that obeyed it is committed: after a crash in between it is obeyed again, and every action is such
that obeying it twice is obeying it once.
"""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from core.kinds import AnyBot
from tasks.errors import Refused

FOLDER = "actions"
# Words by which people ask for the actions.
WORDS = ("create", "stop", "store")
_BOT: TypeAdapter[Any] = TypeAdapter(AnyBot)


@dataclass(frozen=True, slots=True)
class CreateExecutorAction:
    """Create an executor: a configuration as a bot has in the portfolio file, or a configuration object."""

    executor_config: Any
    controller_id: str = "main"


@dataclass(frozen=True, slots=True)
class StopExecutorAction:
    """Stop an executor: close what it holds, or with `keep_position` cancel its orders and keep what it holds.

    One that is over stays as it is, unless `close_hold` asks that what it still holds is closed at the market.
    """

    executor_id: str
    keep_position: bool = False
    controller_id: str = "main"
    close_hold: bool = False


@dataclass(frozen=True, slots=True)
class StoreExecutorAction:
    """Take an executor that is over out of the running ones; its rows stay in the store."""

    executor_id: str
    controller_id: str = "main"


ExecutorAction = CreateExecutorAction | StopExecutorAction | StoreExecutorAction
_KINDS: dict[str, type[Any]] = {
    one.__name__: one for one in (CreateExecutorAction, StopExecutorAction, StoreExecutorAction)
}


def config_of(action: CreateExecutorAction) -> Any:
    """Return the configuration of an executor to be created; raises `Refused` where it makes no sense."""
    given = action.executor_config
    told = given.model_dump(mode="json", exclude_none=True) if hasattr(given, "model_dump") else dict(given)
    if action.controller_id != "main":
        told["controller_id"] = action.controller_id
    try:
        return _BOT.validate_python(told)
    except ValidationError as fault:
        error = fault.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in error["loc"][1:]) or "executor_config"
        raise Refused(error["msg"].removeprefix("Value error, "), key=key) from None


def action_of(
    word: str, name: str, config: Mapping[str, Any] | None = None, *,
    keep_position: bool = False, close_hold: bool = False, controller_id: str = "main",
) -> ExecutorAction:  # fmt: skip
    """Make the action of a word (create, stop, store) for the executor `name`; raises `Refused` for what makes no sense."""
    if word == "create":
        if not config:
            raise Refused("create needs a configuration", key="config", accepted="what a bot has in the portfolio file")
        if config.get("id", name) != name:
            raise Refused(f"the configuration is of {config['id']!r}", key="id", accepted=name)
        action: ExecutorAction = CreateExecutorAction({**config, "id": name}, controller_id)
        config_of(action)
        return action
    if config:
        raise Refused(f"{word} takes no configuration", key="config", accepted="create")
    if word == "store":
        return StoreExecutorAction(name, controller_id)
    if keep_position and close_hold:
        raise Refused("keep_position and close_hold contradict each other", key="close_hold", accepted="one of them")
    return StopExecutorAction(name, keep_position, controller_id, close_hold)


def submit(data_dir: Path | str, action: ExecutorAction) -> str:
    """Put an action into the queue of a portfolio; returns its name. Raises `Refused` for a senseless configuration."""
    told = asdict(action) if not isinstance(action, CreateExecutorAction) else {
        "executor_config": config_of(action).model_dump(mode="json", exclude_none=True),
        "controller_id": action.controller_id,
    }  # fmt: skip
    folder = Path(data_dir) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{time.time_ns():020d}-{os.getpid()}.json"
    beside = folder / f".{name}"
    beside.write_text(json.dumps({"action": type(action).__name__, **told}), encoding="utf-8")
    beside.replace(folder / name)
    return name


def pending(data_dir: Path | str) -> list[tuple[str, ExecutorAction | str]]:
    """List what waits, in order, as (name, action); in place of one that cannot be read stands the reason."""
    found: list[tuple[str, ExecutorAction | str]] = []
    folder = Path(data_dir) / FOLDER
    if not folder.is_dir():
        return found
    for path in sorted(folder.glob("[0-9]*.json")):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            found.append((path.name, _KINDS[told.pop("action")](**told)))
        except (ValueError, KeyError, TypeError) as fault:
            found.append((path.name, f"cannot be read: {fault}"))
    return found


def done(data_dir: Path | str, name: str) -> None:
    """Take an action out of the queue; one that is gone already is fine."""
    (Path(data_dir) / FOLDER / name).unlink(missing_ok=True)
