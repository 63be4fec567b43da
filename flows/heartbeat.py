"""A look for a recent tick, started by the automation that notices missing ones (tasks.automations)."""

from prefect import flow
from prefect.logging import get_run_logger

from tasks import heartbeat as signs
from tasks.alerts_outbox import utc_now
from tasks.settings import data_dir, load_portfolio


@flow(name="heartbeat", retries=0, persist_result=False)
def heartbeat(portfolio: str) -> bool:
    """Look whether a portfolio ticks; raise or resolve the alarm and send what is due. Whether it ticks.

    Args:
        portfolio: the portfolio file.
    """
    loaded = load_portfolio(portfolio)
    found = signs.look(data_dir(loaded, portfolio), loaded.id, loaded.alerts, utc_now())
    get_run_logger().info(found.words())
    return found.alive
