"""The canary: two keys that are known to this test alone must appear in nothing that a run leaves behind.

A demo run, as a Prefect flow with a server of its own and everything logged at DEBUG, meets faults and an exchange that
repeats the key in its answers. Then every stream, file, table, report and process title is searched.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import psutil
import pytest

from tests.wire.exchange_faults import answer, half, html, lost
from tests.wire.exchange_server import API_KEY, SECRET, ExchangeServer
from tests.wire.trading import keys, write_portfolio

ROOT = Path(__file__).parents[2]
CANARIES = (API_KEY, SECRET, "signature=")

# What a person may do to see more: every logger of the process at its loudest, ccxt and aiohttp and asyncio included.
LOUD = """
import asyncio, logging, sys, traceback
logging.basicConfig(level=1, stream=sys.stderr, force=True)
for name in [None, *logging.root.manager.loggerDict]:
    logging.getLogger(name).setLevel(1)
"""
FLOW = f"""{LOUD}
from flows.tick import tick
from tasks.opening import close_sessions, session_for

async def main(portfolio):
    session = await session_for(portfolio)
    for venue in session.venues.values():
        venue.client.api.verbose = True
        print(repr(venue), repr(venue.client), repr(venue.client.credentials), vars(session.portfolio))
    for _ in range(5):
        await tick(portfolio)
        await asyncio.sleep(0.3)
    try:
        raise RuntimeError(f"a bug beside {{session.portfolio!r}}")
    except RuntimeError:
        traceback.print_exc()
    await close_sessions()

asyncio.run(main(sys.argv[1]))
"""
REPORT = f"""{LOUD}
from tasks.cli import main
codes = [main([word, "--data-dir", sys.argv[1]]) for word in ("report", "status")]
codes.append(main(["doctor", "--portfolio", sys.argv[2]]))
"""


@pytest.fixture
def server() -> Iterator[ExchangeServer]:
    """Run the loopback exchange."""
    with ExchangeServer() as exchange:
        yield exchange


def run_loudly(script: str, folder: Path, name: str, *words: str) -> set[str]:
    """Run a script with its streams in files; returns what `ps` showed of any process meanwhile."""
    env = os.environ | keys() | {
        "PREFECT_HOME": str(folder / "prefect"), "PREFECT_LOGGING_LEVEL": "DEBUG", "PREFECT_DEBUG_MODE": "true",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true", "PREFECT_API_URL": "", "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_ROOT_LEVEL": "DEBUG", "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "600",
    }  # fmt: skip
    titles: set[str] = set()
    with (folder / f"{name}.out").open("wb") as out, (folder / f"{name}.err").open("wb") as err:
        process = subprocess.Popen([sys.executable, "-c", script, *words], cwd=ROOT, env=env, stdout=out, stderr=err)
        while process.poll() is None:
            titles |= {" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"])}
            time.sleep(0.3)
    return titles


def everything(folder: Path) -> Iterator[tuple[str, str]]:
    """Every file as text, and every table of every database as text: columns are stored compressed."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        yield str(path.relative_to(folder)), path.read_bytes().decode("latin-1")
        if path.suffix == ".duckdb":
            con = duckdb.connect(str(path), read_only=True)
            con.execute("SET VARIABLE published = ?", [str(path.parent)])  # where a copy's views look for their days
            for schema, table in con.execute(
                "SELECT table_schema, table_name FROM information_schema.tables"
            ).fetchall():
                rows = con.execute(f'SELECT * FROM "{schema}"."{table}"').fetchall()
                yield f"{path.name}:{table}", str(rows)
            con.close()
        if path.suffix == ".parquet":
            yield f"{path.name} as text", str(duckdb.sql(f"SELECT * FROM '{path}'").fetchall())


@pytest.mark.server
def test_no_key_is_in_anything_that_a_run_leaves(tmp_path: Path, server: ExchangeServer) -> None:
    """Streams at DEBUG, stores, published copy, reports, Prefect's database, exceptions and `ps` show neither key."""
    file = write_portfolio(tmp_path, server)
    echo = f'{{"code": -1100, "msg": "key {API_KEY} secret {SECRET}: illegal"}}'
    server.plant(
        answer("POST", "/order", echo, status=400, accepted=False), lost("POST", "/order", accepted=True),
        html("POST", "/order"), half("POST", "/order"), answer("GET", "/order", echo, status=500),
        lost("GET", "/myTrades", accepted=False, times=2),
    )  # fmt: skip
    titles = run_loudly(FLOW, tmp_path, "flow", str(file))
    titles |= run_loudly(REPORT, tmp_path, "report", str(tmp_path / "data"), str(file))
    said = (tmp_path / "flow.err").read_text()
    assert len(server.spot.orders) >= 8, said[-3000:]
    assert len(said.splitlines()) > 100
    texts = [*everything(tmp_path), ("ps", "\n".join(titles))]
    searched = {name.partition("/")[0] for name, _ in texts}
    assert {"data", "prefect", "flow.out", "flow.err", "report.out", "trading.duckdb:orders"} <= searched
    found = [(name, canary) for name, text in texts for canary in CANARIES if canary in text]
    assert found == []
