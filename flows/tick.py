"""One tick of a portfolio: gather, decide, commit, act. The tick itself is plain Python in `tasks.ticking`.

Async, without retries, results or caches: a tick that fails is answered by the next tick, never by a repetition.
"""

from prefect import State, flow

from tasks import ticking
from tasks.opening import session_for
from tasks.warm_stage import as_task, outcome


@flow(name="tick", retries=0, persist_result=False, validate_parameters=False, log_prints=False)
async def tick(portfolio: str) -> State:
    """Tick one portfolio once, in the process that holds its store and connections.

    Args:
        portfolio: the portfolio file; the worker takes runs of its own portfolio only.
    """
    session = await session_for(portfolio)
    return outcome(await ticking.tick(session, stage=as_task))
