"""What the warm worker writes into its log: errors of the server in a few words, and nothing of runs that go well."""

import logging

import httpx


def named(error: Exception) -> str:
    """The kind of an error in a few words, with the status of an answer; without addresses and bodies."""
    status = f" {error.response.status_code}" if isinstance(error, httpx.HTTPStatusError) else ""
    return type(error).__name__ + status


class QuietRuns(logging.Filter):
    """Drops the lines that the engine writes for every run and task that goes well; most would be a row per tick."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is kept."""
        text = str(record.msg)
        engine_says = ("Beginning flow run", "Finished in state", "View at")
        return record.levelno > logging.INFO or not text.startswith(engine_says)
