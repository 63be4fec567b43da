"""Kills a running bot with SIGKILL at random moments, again and again, and then checks that nothing was lost or doubled.

A run over candles is started, killed after a random time, and started again, until it has been killed N times; then it
runs on to the end of its candles. Afterwards every check in sql/checks must return no row, the paper venue's own books
must agree with the ledger, and no client id may have been used for two orders. Prints a table and one JSON line.

    python benchmarks/kills.py [--kills 50] [--seed 1]
"""

import argparse
import json
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path

import duckdb

from benchmarks.run_ticks import write_candles, write_portfolio

ROOT = Path(__file__).parents[1]
CANDLES_PER_KILL = 400
# A start takes about a second; the window lets kills fall on starts, ticks, commits and publications alike.
ALIVE_S = (0.3, 4.0)


def start(file: Path) -> subprocess.Popen[bytes]:
    """Start `gridkeeper run` over the candles."""
    return subprocess.Popen(
        [sys.executable, "-m", "tasks.cli", "run", "--portfolio", str(file), "--json"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def kill_often(file: Path, kills: int, dice: random.Random) -> int:
    """Kill and restart; returns how many kills hit a running process."""
    hit = 0
    while hit < kills:
        process = start(file)
        time.sleep(dice.uniform(*ALIVE_S))
        if process.poll() is not None:
            _, said = process.communicate()
            if process.returncode != 0:
                raise RuntimeError(f"run ended by itself with {process.returncode}: {said.decode()[-2000:]}")
            return hit
        process.send_signal(signal.SIGKILL)
        process.wait()
        hit += 1
    return hit


def violations(data: Path) -> dict[str, list[tuple]]:
    """Run every check of sql/checks on the store; returns the rows of those that found something."""
    con = duckdb.connect(str(data / "trading.duckdb"), read_only=True)
    found: dict[str, list[tuple]] = {}
    for path in sorted((ROOT / "sql" / "checks").glob("assert_*.sql")):
        rows = con.execute(path.read_text(encoding="utf-8")).fetchall()
        if rows:
            found[path.stem] = rows[:5]
    con.close()
    return found


def disagreement(data: Path) -> list[str]:
    """Compare the paper venue's own books with the bot's store: balances, trades, client ids."""
    con = duckdb.connect(str(data / "trading.duckdb"), read_only=True)
    said: list[str] = []
    wallet = dict(
        con.execute("SELECT asset, sum(amount) FROM ledger WHERE account = 'wallet' GROUP BY asset").fetchall()
    )
    stored = {t for (t,) in con.execute("SELECT trade_id FROM fills").fetchall()}
    ids = {c for (c,) in con.execute("SELECT client_id FROM orders").fetchall()}
    con.close()
    books = sqlite3.connect(data / "paper" / "spot.sqlite")
    for asset, text in books.execute("SELECT asset, amount FROM balances"):
        if wallet.get(asset, Decimal(0)) != Decimal(text):
            said.append(f"{asset}: the venue holds {text}, the ledger {wallet.get(asset)}")
    made = {str(t) for (t,) in books.execute("SELECT trade_id FROM trades")}
    if made != stored:
        said.append(f"trades: {len(made - stored)} lost, {len(stored - made)} invented")
    placed = [c for (c,) in books.execute("SELECT client_id FROM orders")]
    if set(placed) - ids:
        said.append(f"{len(set(placed) - ids)} orders at the venue that the store does not know")
    books.close()
    return said


def main() -> int:
    """Kill, check, print; exit code 1 where anything was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="gridkeeper-kills-"))
    write_candles(folder / "candles.parquet", CANDLES_PER_KILL * args.kills + 2_000)
    file = write_portfolio(folder, folder / "candles.parquet")
    hit = kill_often(file, args.kills, random.Random(args.seed))
    _, said = (last := start(file)).communicate()
    if last.returncode != 0:
        raise RuntimeError(f"the last run ended with {last.returncode}: {said.decode()[-2000:]}")
    found, differs = violations(folder / "data"), disagreement(folder / "data")
    con = duckdb.connect(str(folder / "data" / "trading.duckdb"), read_only=True)
    row = con.execute(
        "SELECT (SELECT count(*) FROM fills), (SELECT count(*) FROM orders), (SELECT count(*) FROM ticks)"
    ).fetchone()
    con.close()
    fills, orders, ticks = row or (0, 0, 0)
    figures = {
        "kills": hit,
        "ticks": ticks,
        "orders": orders,
        "fills": fills,
        "violations": len(found),
        "disagreements": len(differs),
    }
    for name, value in figures.items():
        print(f"{name:<14} {value:>8,}")
    for name, rows in found.items():
        print(name, rows)
    for line in differs:
        print(line)
    print(json.dumps({"benchmark": "kills", "seed": args.seed, **figures}))
    bad = bool(found or differs)
    if not bad:
        shutil.rmtree(folder)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
