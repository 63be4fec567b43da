"""A Prefect automation that notices missing ticks: no completed run of the tick's deployment for a while starts a look.

The server itself does the noticing, so it also speaks when the warm worker is gone. What it starts is the deployment
`heartbeat/<id>`, which raises the alarm as every other watcher does: once.
"""

from datetime import timedelta
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.events.actions import RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

# What the server allows at least.
WITHIN_MIN_S = 10.0
# Every state in which a tick shows that somebody is at work; a skipped run shows it too, a late one does not.
EVENTS = frozenset({"prefect.flow-run.Completed", "prefect.flow-run.Skipped", "prefect.flow-run.Failed"})


async def watch_ticks(client: PrefectClient, name: str, ticks: UUID, look: UUID, within_s: float) -> UUID:
    """Create the automation, or bring the one of that name up to date; returns its id.

    `ticks` is the deployment whose runs are expected, `look` the one that is started where none ends within `within_s`
    seconds. Raises `ValueError` for less than ten seconds, which the server does not take.
    """
    if within_s < WITHIN_MIN_S:
        raise ValueError(f"within_s is {within_s:g}; the server notices nothing below {WITHIN_MIN_S:g} s")
    wanted = AutomationCore(
        name=name,
        description="No tick has ended for a while: look, and tell.",
        trigger=EventTrigger(
            after=set(EVENTS),
            expect=set(EVENTS),
            match_related=ResourceSpecification({"prefect.resource.id": f"prefect.deployment.{ticks}"}),
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=within_s),
        ),
        actions=[RunDeployment(source="selected", deployment_id=look)],
    )
    there = await client.read_automations_by_name(name)
    if there:
        for extra in there[1:]:
            await client.delete_automation(extra.id)
        await client.update_automation(there[0].id, wanted.model_copy(update={"enabled": there[0].enabled}))
        return there[0].id
    return await client.create_automation(wanted)
