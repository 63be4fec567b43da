"""The automation for missing ticks on a real server: it fires where no run ends, and only then."""

import time
from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowRunFilter

from tasks.automations import watch_ticks
from tests.tasks.prefect_lab import Lab, lab, wait_until

# What the server allows at least.
WITHIN_S = 10.0


def deployment_id(here: Lab, name: str) -> UUID:
    """The id of a deployment of the lab."""

    async def read(client: PrefectClient) -> UUID:
        return (await client.read_deployment_by_name(f"beat/{name}")).id

    return here.ask(read)


def started(here: Lab, deployment: UUID) -> int:
    """How many runs of a deployment there are, planned ones included."""

    async def count(client: PrefectClient) -> int:
        wanted = FlowRunFilter.model_validate({"deployment_id": {"any_": [str(deployment)]}})
        return len(await client.read_flow_runs(flow_run_filter=wanted, limit=50))

    return here.ask(count)


def stays_quiet(here: Lab, look: UUID) -> bool:
    """Whether a stretch longer than the automation's patience passes without a look."""
    before = started(here, look)
    time.sleep(WITHIN_S + 6)
    return started(here, look) == before


@pytest.mark.server
def test_missing_ticks_start_a_look(tmp_path: Path) -> None:
    """While runs end every second nothing happens; once the worker is gone the look is started; a second call adds none."""
    with lab(tmp_path) as here:
        here.deploy("ticks", interval_s=1.0)
        here.deploy("look")
        ticks, look = deployment_id(here, "ticks"), deployment_id(here, "look")
        with here.worker("ticks"):
            wait_until(lambda: "Completed" in here.states("ticks"), "the first run ends")
            first = here.ask(lambda client: watch_ticks(client, "no tick", ticks, look, WITHIN_S))
            assert here.ask(lambda client: watch_ticks(client, "no tick", ticks, look, WITHIN_S)) == first
            # On a very busy machine events come late and a look too many is started; one quiet stretch shows what is meant.
            assert any(stays_quiet(here, look) for _ in range(4))
        before = started(here, look)
        wait_until(lambda: started(here, look) > before, "the automation starts the look")
