"""Keys: from a file that only its owner reads, and in no output whatever is printed or logged."""

import asyncio
import io
import logging
import traceback
from pathlib import Path

import pytest
from pydantic import SecretStr

from tasks.credentials import Credentials, KeyFileRefused, quiet_logger, read_key_file, scrub
from tasks.venue import ConfigRefused, ReadFailed
from tests.wire.accounts import SPOT, account, order, venue_at
from tests.wire.exchange_faults import html, lost
from tests.wire.exchange_server import API_KEY, SECRET, ExchangeServer

CANARY_KEY, CANARY_SECRET = "canarykey4711", "canarysecret0815"
CANARY = Credentials(SecretStr(CANARY_KEY), SecretStr(CANARY_SECRET))


def key_file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "keys"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_key_file_gives_its_keys(tmp_path: Path) -> None:
    """Name and value per line, comments allowed."""
    found = read_key_file(key_file(tmp_path, "# mine\napi_key = abc\nsecret=d=ef\n"))
    assert (found.api_key.get_secret_value(), found.secret.get_secret_value()) == ("abc", "d=ef")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o620])
def test_a_key_file_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    """Any right of group or others is too much, and the message says what to run."""
    with pytest.raises(KeyFileRefused, match="chmod 600"):
        read_key_file(key_file(tmp_path, "api_key=a\nsecret=b\n", mode))


@pytest.mark.parametrize("text", ["api_key=a\n", "api_key=a\nsecret=b\nwhat=c\n", f"{CANARY_SECRET}\n"])
def test_a_key_file_of_another_shape_is_refused_without_its_content(tmp_path: Path, text: str) -> None:
    """The message names the line, never what stands in it."""
    with pytest.raises(KeyFileRefused) as caught:
        read_key_file(key_file(tmp_path, text))
    assert CANARY_SECRET not in str(caught.value)


def test_credentials_show_nothing_of_themselves() -> None:
    """Neither repr nor str nor the account's identity gives a key away."""
    shown = f"{CANARY!r} {CANARY} {CANARY.identity}"
    assert CANARY_KEY not in shown
    assert CANARY_SECRET not in shown


@pytest.mark.parametrize(
    "text",
    [
        f"GET https://api.example/api/v3/order?symbol=X&timestamp=1&signature=abc123 {CANARY_KEY}",
        f"headers {{'X-MBX-APIKEY': '{CANARY_KEY}'}}",
        f"apiKey={CANARY_KEY}&secret: {CANARY_SECRET}",
        "signature=abc123",
    ],
)
def test_scrubbing_leaves_no_secret_and_no_signature(text: str) -> None:
    """Keys, signatures and queries of addresses are gone from a message."""
    clean = scrub(text, CANARY)
    assert not {CANARY_KEY, CANARY_SECRET, "abc123"} & set(clean.replace("'", " ").replace("=", " ").split())
    assert "abc123" not in clean


def test_ccxts_debug_lines_are_dropped_at_any_level() -> None:
    """Even where somebody sets the logger to DEBUG, a debug line does not pass."""
    heard = io.StringIO()
    logger = quiet_logger()
    handler = logging.StreamHandler(heard)
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.debug(CANARY_SECRET)
    logger.removeHandler(handler)
    assert heard.getvalue() == ""


def test_no_canary_in_any_output(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    """With every logger at DEBUG, good and bad answers and refused keys print neither key nor secret nor signature."""
    said: list[str] = []

    async def scene(server: ExchangeServer) -> None:
        async with account(server, SPOT) as venue:
            server.plant(html("POST", "order"), lost("POST", "order", accepted=True), html("GET", "account"))
            for n in range(2):
                said.append(repr(await venue.place(order(SPOT, f"b1-abcd-e0-0-{n}", "buy", "59000"), venue_now())))
            said.append(repr(venue) + repr(vars(venue)) + repr(venue.client.credentials))
            try:
                await venue.balances(venue_now())
            except ReadFailed:
                said.append(traceback.format_exc())
        bad = venue_at(server, SPOT, credentials=CANARY)
        try:
            await bad.start([SPOT.symbol])
        except ConfigRefused:
            said.append(traceback.format_exc())
        await bad.close()

    with caplog.at_level(logging.DEBUG), ExchangeServer() as server:
        logging.getLogger("ccxt").setLevel(logging.DEBUG)
        asyncio.run(scene(server))
    printed = capfd.readouterr()
    everything = "\n".join([*said, caplog.text, printed.out, printed.err])
    assert len(said) == 5
    for secret in (API_KEY, SECRET, CANARY_KEY, CANARY_SECRET, "signature="):
        assert secret not in everything


def venue_now() -> object:
    from tasks.exchange_clock import utc_now

    return utc_now()
