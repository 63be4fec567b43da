"""What the orchestrator reads from the store, and the snapshots that it writes there: one row of the journal for each.

A snapshot is taken whenever an executor's standing changes, and of every executor at a start; it is committed like every
decision. `report_executors` (sql/views) shows the newest of each, `journal` all of them.
"""

import json
from collections.abc import Callable, Iterable
from decimal import Decimal

from core.engine.world import JournalRow
from core.facts import Fill
from core.orders import ClientId
from core.values import Side
from tasks.orchestrator_info import ExecutorInfo, standing
from tasks.session import Session
from tasks.store import Store

SNAPSHOT = "SNAPSHOT"
# Tasks with a beginning and an end; the others run until somebody stops them.
KINDS_THAT_END = frozenset({"position", "dca", "twap", "order", "arbitrage", "xemm"})


def fills_of(store: Store, bots: Iterable[str]) -> dict[str, list[Fill]]:
    """Read all executions of these bots, oldest first."""
    names = sorted(bots)
    found: dict[str, list[Fill]] = {name: [] for name in names}
    if not names:
        return found
    rows = store.reader().execute(
        "SELECT bot_id, venue, symbol, trade_id, client_id, side, price, qty, fee, fee_asset, ts FROM fills "
        "WHERE list_contains(?, bot_id) ORDER BY ts, trade_id",
        [names],
    )
    for bot, venue, symbol, trade, client, side, price, qty, fee, asset, ts in rows.fetchall():
        found[bot].append(
            Fill(
                venue=venue,
                symbol=symbol,
                trade_id=trade,
                client_id=ClientId(client),
                side=Side(side),
                price=Decimal(price),
                qty=Decimal(qty),
                fee=Decimal(fee),
                fee_asset=asset,
                ts=ts,
                maker=False,
            )
        )
    return found


def snapshot_rows(session: Session, infos: Callable[[list[str]], list[ExecutorInfo]]) -> list[JournalRow]:
    """Return a journal row for every executor whose standing has changed since the last call."""
    roster = session.roster
    if roster is None:
        return []
    mine = {name: bot for name, bot in session.world.bots.items() if _is_executor(session, name)}
    now = {name: "/".join(str(part) for part in standing(bot)) for name, bot in mine.items()}
    changed = [name for name, said in now.items() if roster.standings.get(name) != said]
    roster.standings = now
    taken = infos(changed) if changed else []
    return [JournalRow(info.id, "executor", SNAPSHOT, json.dumps(info.plain(), sort_keys=True)) for info in taken]


def _is_executor(session: Session, name: str) -> bool:
    created = session.roster is not None and name in session.roster.created
    return created or session.world.specs[name].kind in KINDS_THAT_END
