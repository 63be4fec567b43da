"""The report of a portfolio as files: one self-contained HTML page and its pictures."""

from datetime import datetime

from prefect import flow
from prefect.logging import get_run_logger

from tasks.report import write_report


@flow(name="report", retries=0, persist_result=False)
def report(data_dir: str, out_dir: str, from_: datetime | None = None, to_: datetime | None = None) -> list[str]:
    """Write the report from the published copy of the data and return the paths of its files.

    Args:
        data_dir: the portfolio's data folder.
        out_dir: where the files go; made when missing.
        from_: first instant to show, UTC; the beginning when left out.
        to_: last instant to show, UTC; now when left out.
    """
    paths = [str(path) for path in write_report(data_dir, out_dir, from_, to_)]
    get_run_logger().info("written: %s", ", ".join(paths))
    return paths
