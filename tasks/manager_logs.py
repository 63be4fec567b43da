"""The two logs that the notebook faces keep: what every closed trade brought, and what went wrong."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.engine import BotSpec, Step
from core.facts import Fact, Refused, Unanswered
from core.orders import Role, decode
from core.values import ZERO, exact_product, plain, ratio

_PRICE_PLACES = Decimal("1E-8")


class Logs:
    """`pnl.log` and `ops.log` in one folder, made with their first line; a line is one event, in UTC."""

    def __init__(self, folder: Path) -> None:
        """Take the folder; nothing is written yet."""
        self.folder = folder
        self.closed = 0
        self._open: dict[str, dict[str, Decimal]] = {}

    def tell(self, step: Step, specs: Mapping[str, BotSpec], now: datetime) -> None:
        """Write down what a step closed and what it raised."""
        for bot_id, fill in step.fills:
            who = decode(fill.client_id)
            if who is None or bot_id not in specs or who.role not in {Role.ENTRY, Role.EXIT}:
                continue
            part = "entry" if who.role is Role.ENTRY else "exit"
            name = f"{bot_id}/{who.place}-{who.cycle}"
            tally = self._open.setdefault(name, {})
            tally[f"{part}_qty"] = tally.get(f"{part}_qty", ZERO) + fill.qty
            tally[f"{part}_quote"] = tally.get(f"{part}_quote", ZERO) + exact_product(fill.price, fill.qty)
        for lot in step.lots:
            tally = self._open.get(f"{lot.bot_id}/{lot.lot_id}")
            rules = specs[lot.bot_id].rule((lot.venue, lot.symbol))
            if tally is None or lot.exits == 0 or rules.floor_qty(lot.qty) > ZERO:
                continue
            realized, fees = lot.realized - tally.get("realized", ZERO), lot.fees - tally.get("fees", ZERO)
            self._line("pnl", now, _closed(lot.bot_id, lot.lot_id, lot.symbol, tally, realized, fees))
            self.closed += 1
            # A partly filled trade may close in parts: the next line tells what came after this one.
            self._open[f"{lot.bot_id}/{lot.lot_id}"] = {"realized": lot.realized, "fees": lot.fees}
        for row in step.journal:
            if row.decision in {"COMPLETED", "COMPLETE"}:
                place = row.subject.rpartition(" ")[2]
                cycle = row.reason.split()[1] if row.reason.startswith("cycle ") else ""
                self._open.pop(f"{row.bot_id}/{place}-{cycle}", None)
        for incident in step.raised:
            self._line("ops", now, f"{incident.severity} {incident.kind} {incident.bot_id}: {incident.detail}")

    def answers(self, now: datetime, answers: Sequence[Fact]) -> None:
        """Write down what was refused and what was not answered."""
        for one in answers:
            if isinstance(one, Refused | Unanswered):
                word = f"refused ({one.kind.value})" if isinstance(one, Refused) else "unanswered"
                self._line("ops", now, f"{one.client_id} {word}: {one.reason}")

    def trouble(self, now: datetime, text: str) -> None:
        """Write down a technical error."""
        self._line("ops", now, text)

    def open_trades(self) -> dict[str, Any]:
        """Return what is known of trades under way, as JSON-ready data."""
        return {name: {key: str(value) for key, value in tally.items()} for name, tally in self._open.items()}

    def take_up(self, told: Mapping[str, Mapping[str, str]]) -> None:
        """Go on with trades that were under way."""
        self._open = {name: {key: Decimal(value) for key, value in tally.items()} for name, tally in told.items()}

    def _line(self, name: str, now: datetime, text: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{name}.log").open("a", encoding="utf-8") as out:
            out.write(f"{now.isoformat(sep=' ', timespec='milliseconds')} {' '.join(text.split())}\n")


def _closed(bot_id: str, lot: str, symbol: str, tally: Mapping[str, Decimal], realized: Decimal, fees: Decimal) -> str:
    words = [f"{bot_id}/{lot} {symbol}"]
    for part in ("entry", "exit"):
        qty = tally.get(f"{part}_qty", ZERO)
        price = plain(ratio(tally[f"{part}_quote"], qty).quantize(_PRICE_PLACES)) if qty else "?"
        words.append(f"{part}={price}")
    words.append(f"qty={plain(tally.get('exit_qty', ZERO))}")
    return " ".join([*words, f"pnl={plain(realized)}", f"fees={plain(fees)}", f"net={plain(realized - fees)}"])
