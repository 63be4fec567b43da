"""Kills a bot that trades through the real ccxt client at the loopback exchange, and then checks that nothing was lost.

`gridkeeper run` trades in demo mode while the price walks, orders are cancelled by hand and answers are lost, cut, late or
replaced by errors. It is killed with SIGKILL again and again: half of the kills at random moments, half while an order
is at the exchange and its answer still out. When it has run on to rest, the exchange's own books are held against the
store: no client id on two orders, no order that the store does not know, each trade booked once, wallet = balances,
sql/checks without a row. Prints a table and one JSON line; the folder of a run with findings is kept.

With `--losses` a share of the kills takes the store with it. What follows is then `gridkeeper rebuild` from the exchange
alone, while its prices go on, `control g1 release`, and trading again; before some of them a start without the store is
tried, which must end with exit code 4 and name the way back.

    python -m benchmarks.wire_kills [--kills 50] [--seed 1] [--losses 0.25]
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from benchmarks.kills import violations
from tests.wire.exchange_books import OPEN, Books
from tests.wire.exchange_faults import Fault, answer, half, html, late, lost, short, slow
from tests.wire.exchange_server import ExchangeServer
from tests.wire.trading import keys, stored, wallet, write_portfolio

ROOT = Path(__file__).parents[1]
SYMBOL = "BTCUSDT"
PRICE_MIN, PRICE_MAX = 58_800, 61_200
INTERVAL_S = 0.05
# A quarter of the kills counts from the start of the process, the others from its first reading of open orders: so they
# fall on starts, first ticks, later ticks, commits and publications alike.
ALIVE_S = (0.2, 3.0)
START_S = 20.0
STEP_S = 0.02
# An order may reach the exchange this much after it was sent; below the quarantine of the portfolio (1 s).
LATE_S = 0.7
# Ticks without faults and with a standing price, in which everything that is still open must come to rest.
REST_TICKS = 120
# What a start may say about faults that the run itself planted: the exchange did not answer. Anything else is a finding.
HALTED = 3
# What a start beside orders of a lost store says, and what a rebuild says where there is nothing to build from.
BUSY, REFUSED = 4, 2
# A rebuild that cannot read the exchange, or finds no quiet moment in it, is tried again so often.
REBUILDS_MAX = 8
# Between two moves of the price while a rebuild reads: now and then a trade falls into a reading.
CALM_S = 0.7


@dataclass
class Tally:
    """What was done to the bot; `faults` are those that a request met."""

    kills: int = 0
    kills_in_flight: int = 0
    faults: int = 0
    cancels_by_hand: int = 0
    halted_starts: int = 0
    stores_lost: int = 0
    rebuilds_halted: int = 0
    starts_refused: int = 0
    begun_anew: int = 0
    kinds: Counter[str] = field(default_factory=Counter[str])


class Ordeal:
    """One bot, one exchange, one seed."""

    def __init__(self, folder: Path, server: ExchangeServer, seed: int, losses: float = 0.0) -> None:
        """Write the portfolio; nothing runs yet. `losses` is the share of kills that take the store with them."""
        self.losses = losses
        self.server = server
        self.file = write_portfolio(folder, server)
        self.dice = random.Random(seed)
        self.tally = Tally()
        self.price = 60_000
        # The fault that a process dies of waiting for.
        self.last: Fault | None = None

    @property
    def books(self) -> Books:
        """The exchange's own books."""
        return self.server.spot

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        """Start `gridkeeper run`."""
        self.server.log.clear()
        return self.command("run", "--interval", str(INTERVAL_S), *more)

    def command(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command of gridkeeper on this portfolio."""
        return subprocess.Popen(
            [sys.executable, "-m", "tasks.cli", *words, "--portfolio", str(self.file), "--json"],
            cwd=ROOT, env=os.environ | keys(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def kill_often(self, kills: int) -> None:
        """Start and kill until there were so many kills; raises `RuntimeError` where a run ends for a reason of its own."""
        while self.tally.kills < kills:
            process = self.start()
            in_flight = self.dice.random() < 0.5
            if self._let_live(process, in_flight=in_flight):
                process.send_signal(signal.SIGKILL)
                process.communicate()
                self.tally.kills += 1
                if self.dice.random() < self.losses:
                    self.lose_store()
                continue
            said = process.communicate()
            if process.returncode != HALTED:
                raise RuntimeError(f"run ended by itself with {process.returncode}: {b' '.join(said).decode()[-2000:]}")
            self.tally.halted_starts += 1

    def lose_store(self) -> None:
        """Lose the database and come back from the exchange alone; raises `RuntimeError` where that fails."""
        for torn in (self.file.parent / "data").glob("trading.duckdb*"):
            torn.unlink()
        self.tally.stores_lost += 1
        if self.dice.random() < 0.3 and self.books.orders:
            code, said = self._end_of(self.start("--ticks", "1"))
            if code not in {BUSY, HALTED}:
                raise RuntimeError(f"a start without the store ended with {code}: {said}")
            self.tally.starts_refused += code == BUSY
        for _ in range(REBUILDS_MAX):
            code, said = self._end_of(self.command("rebuild"))
            if code == 0:
                break
            if code == REFUSED and "nothing to rebuild" in said and not self.books.orders:
                self.tally.begun_anew += 1
                return
            if code != HALTED:
                raise RuntimeError(f"the rebuild ended with {code}: {said}")
            self.tally.rebuilds_halted += 1
        else:
            raise RuntimeError(f"no rebuild in {REBUILDS_MAX} tries: {said}")
        code, said = self._end_of(self.command("control", "g1", "release"))
        if code != 0:
            raise RuntimeError(f"control ended with {code}: {said}")

    def _end_of(self, process: subprocess.Popen[bytes]) -> tuple[int, str]:
        # The market goes on, rather calmly, until the command has ended.
        moved = time.monotonic()
        while process.poll() is None:
            if time.monotonic() > moved + CALM_S:
                moved = time.monotonic()
                with self.server.lock:
                    self._disturb()
            self.server.begin_minute()
            time.sleep(STEP_S)
        said = process.communicate()
        return process.returncode, b" ".join(said).decode()[-2000:]

    def _let_live(self, process: subprocess.Popen[bytes], *, in_flight: bool) -> bool:
        """Move the market until it is time to kill; False where the process ended by itself."""
        alive_s = self.dice.uniform(*ALIVE_S) + (2.0 if in_flight else 0.0)
        waits = self.dice.random() < 0.75
        until, sent = time.monotonic() + (START_S if waits else alive_s), None
        while time.monotonic() < until:
            if process.poll() is not None:
                return False
            with self.server.lock:
                self._disturb()
                if waits and self.server.count("GET", "/openOrders"):
                    waits, until = False, time.monotonic() + alive_s
                posted = self.server.count("POST", "/order")
                if in_flight and sent is None and posted and self.dice.random() < 0.05:
                    # The next order has arrived, or is still on its way, when the process dies: no answer ever comes.
                    self.last = self.dice.choice([slow, late])("POST", "/order", LATE_S)
                    self.server.faults.insert(0, self.last)
                    sent = posted
                elif sent is not None and posted > sent:
                    self.tally.kills_in_flight += 1
                    return True
            time.sleep(STEP_S if sent is None else 0.002)
        return process.poll() is None

    def _disturb(self) -> None:
        dice = self.dice
        self.server.begin_minute()
        if dice.random() < 0.5:
            self.price = min(max(self.price + dice.randint(-180, 180), PRICE_MIN), PRICE_MAX)
            self.books.move(SYMBOL, Decimal(self.price), dice.choice(["1", "1", "0.5"]))
        struck = [fault for fault in self.server.faults if fault.times == 0]
        self.tally.faults += len(struck)
        self.tally.kinds.update(fault.kind for fault in struck)
        # One that nothing met makes room: some requests are rare.
        waiting = [fault for fault in self.server.faults if fault.times > 0]
        self.server.faults[:] = [
            *(f for f in waiting if f is self.last),
            *[f for f in waiting if f is not self.last][-3:],
        ]
        if dice.random() < 0.15:
            self.server.faults.append(self._fault())
        if dice.random() < 0.004 and (resting := self.books.open(SYMBOL)):
            self.books.cancel({"symbol": SYMBOL, "origClientOrderId": dice.choice(resting).client_id})
            self.tally.cancels_by_hand += 1

    def _fault(self) -> Fault:
        dice = self.dice
        method, path = dice.choice([
            ("POST", "/order"), ("POST", "/order"), ("POST", "/order"), ("POST", "/order"), ("GET", "/openOrders"),
            ("GET", "/order"), ("GET", "/myTrades"), ("GET", "/account"), ("GET", "/ticker/24hr"),
        ])  # fmt: skip
        accepted = dice.random() < 0.5
        busy = answer(method, path, '{"code": -1007, "msg": "Timeout waiting for response."}', status=504)
        busy.accepted = accepted
        return dice.choice([
            lost(method, path, accepted=accepted), busy, half(method, path), short(method, path), html(method, path),
            slow(method, path, dice.uniform(0.01, 0.3)), late(method, path, dice.uniform(0.01, LATE_S)),
        ])  # fmt: skip

    def come_to_rest(self) -> None:
        """Run on without faults and with a standing price; raises `RuntimeError` where that does not end well."""
        with self.server.lock:
            self.server.faults.clear()
        for _ in range(2):
            last = self.start("--ticks", str(REST_TICKS))
            while last.poll() is None:
                self.server.begin_minute()
                time.sleep(STEP_S)
            said = last.communicate()
            if last.returncode != 0:
                raise RuntimeError(f"the last run ended with {last.returncode}: {b' '.join(said).decode()[-2000:]}")

    def findings(self) -> list[str]:
        """Hold the exchange's books against the store; one line for each thing that does not agree."""
        return [*_orders(self.file, self.books), *_money(self.file, self.books)]


def _orders(file: Path, books: Books) -> list[str]:
    said: list[str] = []
    known = {
        cid: (status, filled)
        for cid, status, filled in stored(file, "SELECT client_id, status, filled_qty FROM orders")
    }
    used = Counter(order.client_id for order in books.orders)
    said += [f"client id {cid} is on {times} orders" for cid, times in used.items() if times > 1]
    for order in books.orders:
        status, filled = known.get(order.client_id, ("absent", Decimal(0)))
        if status == "absent" or (order.status in OPEN) != (status in {"OPEN", "CANCELING"}):
            said.append(f"{order.client_id} is {order.status} at the exchange, {status} in the store")
        elif filled != order.executed:
            said.append(f"{order.client_id} executed {order.executed} at the exchange, {filled} in the store")
    resting = {order.client_id for order in books.orders}
    said += [
        f"{cid} is {s} in the store alone" for cid, (s, _) in known.items() if s != "REJECTED" and cid not in resting
    ]
    return said


def _money(file: Path, books: Books) -> list[str]:
    said: list[str] = []
    made, booked = {str(trade.id) for trade in books.trades}, stored(file, "SELECT trade_id FROM fills")
    if made != {t for (t,) in booked} or len(made) != len(booked):
        lost_trades = len(made - {t for (t,) in booked})
        said.append(f"trades: {lost_trades} of {len(made)} lost, {len(booked) - len(made) + lost_trades} invented")
    held = wallet(file)
    for asset, free in books.free.items():
        total = free + books.locked.get(asset, Decimal(0))
        if held.get(asset, Decimal(0)) != total:
            said.append(f"{asset}: the exchange holds {total}, the ledger {held.get(asset)}")
    standing = stored(file, "SELECT kind, subject, detail FROM incidents WHERE resolved_at IS NULL")
    said += [f"incident stands: {row}" for row in standing if row[0] != "order_vanished"]
    return said


def ordeal(folder: Path, kills: int, seed: int, losses: float = 0.0) -> tuple[dict[str, int], list[str]]:
    """Kill, let rest, compare: the figures and the findings."""
    with ExchangeServer() as server:
        trial = Ordeal(folder, server, seed, losses)
        began = time.monotonic()
        trial.kill_often(kills)
        trial.come_to_rest()
        found = trial.findings()
        found += [f"{name}: {rows}" for name, rows in violations(folder / "data").items()]
        counts = stored(
            trial.file,
            "SELECT (SELECT count(*) FROM ticks), (SELECT count(*) FROM orders), (SELECT count(*) FROM fills), "
            "(SELECT count(*) FROM incidents)",
        )[0]
        tally = trial.tally
        figures = {
            "kills": tally.kills, "kills_in_flight": tally.kills_in_flight, "faults": tally.faults,
            "cancels_by_hand": tally.cancels_by_hand, "halted_starts": tally.halted_starts,
            "stores_lost": tally.stores_lost, "rebuilds_halted": tally.rebuilds_halted,
            "starts_refused": tally.starts_refused, "begun_anew": tally.begun_anew, "ticks": counts[0],
            "orders": counts[1], "fills": counts[2], "incidents": counts[3], "findings": len(found),
            "elapsed_s": round(time.monotonic() - began),
        }  # fmt: skip
    return figures, found


def main() -> int:
    """Run, print; exit code 1 where anything was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--losses", type=float, default=0.0, help="the share of kills that lose the store too")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="gridkeeper-wire-"))
    figures, found = ordeal(folder, args.kills, args.seed, args.losses)
    for name, value in figures.items():
        print(f"{name:<18} {value:>9,}")
    for line in found:
        print(line)
    print(json.dumps({"benchmark": "wire_kills", "seed": args.seed, **figures}))
    if found:
        print(f"the folder is kept: {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
