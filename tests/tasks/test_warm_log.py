"""What the warm worker says of errors: their kind and the status of an answer, no address and no body."""

import logging

import httpx
import pytest

from tasks.warm_log import QuietRuns, named

REQUEST = httpx.Request("POST", "http://grid:secret@127.0.0.1:4200/api/flow_runs")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ReadTimeout("http://grid:secret@127.0.0.1", request=REQUEST), "ReadTimeout"),
        (
            httpx.HTTPStatusError(
                "secret", request=REQUEST, response=httpx.Response(403, request=REQUEST, text="secret")
            ),
            "HTTPStatusError 403",
        ),
    ],
)
def test_an_error_is_named_without_what_it_carries(error: Exception, words: str) -> None:
    """The login in an address and the body of an answer stay out of the log."""
    assert named(error) == words


@pytest.mark.parametrize(
    ("level", "text", "kept"),
    [
        (logging.INFO, "Finished in state Completed()", False),
        (logging.INFO, "View at http://127.0.0.1", False),
        (logging.ERROR, "Finished in state Failed()", True),
        (logging.INFO, "no price for BTC/USDT", True),
    ],
)
def test_only_what_the_engine_says_of_good_runs_is_dropped(level: int, text: str, *, kept: bool) -> None:
    """A line of its own for every tick says nothing; a failure and what a flow says itself stay."""
    record = logging.LogRecord("prefect.flow_runs", level, "", 0, text, (), None)
    assert QuietRuns().filter(record) is kept
