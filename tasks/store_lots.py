"""Follows rows from one commit to the next: which lot is a new one, what each of them and each execution realised."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

import duckdb

from core.engine.world import Bot, Step
from core.facts import Fill
from core.lots import Lot
from core.orders import Role, decode
from core.values import AMOUNT_PLACES, ZERO, ratio, total
from tasks.store_load import read_lots
from tasks.store_rows import tidy

LotKey = tuple[str, str]


@dataclass(frozen=True)
class Sums:
    """What a bot had realised and paid at the last commit, in quote."""

    realized: Decimal = ZERO
    grid_profit: Decimal = ZERO
    fees: Decimal = ZERO

    @classmethod
    def of(cls, one: Bot | Lot) -> "Sums":
        """The sums of a bot, or of a lot."""
        return cls(one.realized, one.grid_profit, one.fees)

    def less(self, other: "Sums") -> "Sums":
        """The difference, part by part."""
        return Sums(self.realized - other.realized, self.grid_profit - other.grid_profit, self.fees - other.fees)


@dataclass(frozen=True)
class LotChange:
    """A lot after a step and, where it stood open before, as the last commit left it."""

    after: Lot
    before: Lot | None

    @property
    def gained(self) -> Sums:
        """What the step added to it."""
        return Sums.of(self.after).less(Sums() if self.before is None else Sums.of(self.before))


def lot_changes(step: Step, known: Mapping[LotKey, Lot], sums: Mapping[str, Sums]) -> list[LotChange]:
    """Pair each lot of a step with its open predecessor.

    A lot may have been closed and, by a late trade of its entry, opened anew within one step, which then shows the new
    one alone. The old one is closed here with what its bot realised beyond the lots that are shown (`sums`: at the last
    commit); should that happen to two lots of a bot at once, the first takes both parts.
    """
    changes: list[LotChange] = []
    ended: list[Lot] = []
    for lot in step.lots:
        before = known.get((lot.bot_id, lot.lot_id))
        if before is not None and (before.opened_at != lot.opened_at or before.exits > lot.exits):
            ended.append(before)
            before = None
        changes.append(LotChange(lot, before))
    for before in ended:
        shown = [one.gained for one in changes if one.after.bot_id == before.bot_id]
        rest = Sums.of(step.world.bots[before.bot_id]).less(sums.get(before.bot_id, Sums()))
        for gained in shown:
            rest = rest.less(gained)
        after = replace(
            before, qty=ZERO, cost=ZERO, realized=before.realized + rest.realized, fees=before.fees + rest.fees,
            grid_profit=before.grid_profit + rest.grid_profit, exits=before.exits + 1,
        )  # fmt: skip
        changes.insert(0, LotChange(after, before))
    return changes


@dataclass(slots=True)
class Known:
    """What the store holds, known here so that no commit has to ask: keys of levels, sums of bots, and the open lots.

    A lot stands here as the last commit left it; `opened` is the ledger's count when it was first stored.
    """

    levels: set[tuple[str, int]]
    bots: dict[str, Sums]
    lots: dict[LotKey, Lot]
    opened: dict[LotKey, int]

    def take_in(self, step: Step, changes: list[LotChange], count: int) -> None:
        """Note what the commit of a step has stored."""
        self.levels.update((row.bot_id, row.view.place) for row in step.levels)
        self.bots.update({bot.bot_id: Sums.of(bot) for bot in step.bots})
        for change in changes:
            key = key_of(change.after)
            first = self.opened.pop(key, count) if change.before else count
            self.lots.pop(key, None)
            if change.after.open:
                self.lots[key], self.opened[key] = change.after, first


def read_known(con: duckdb.DuckDBPyConnection) -> Known:
    """Read from the store what is to be known of it."""
    sums = con.execute("SELECT bot_id, realized, grid_profit, fees FROM bot_state").fetchall()
    opened = con.execute("SELECT bot_id, lot_id, opened_txn FROM lots WHERE qty > 0").fetchall()
    return Known(
        levels=set(con.execute("SELECT bot_id, level FROM levels").fetchall()),
        bots={bot_id: Sums(tidy(realized), tidy(grid), tidy(fees)) for bot_id, realized, grid, fees in sums},
        lots={key_of(lot): lot for lot in read_lots(con)},
        opened={(bot_id, lot_id): count for bot_id, lot_id, count in opened},
    )


def key_of(lot: Lot) -> LotKey:
    """Bot and id of a lot."""
    return lot.bot_id, lot.lot_id


def realized_by_fill(step: Step, changes: list[LotChange]) -> dict[int, Decimal]:
    """Say what each execution of a step realised before fees, by its position in `step.fills`.

    What a lot realised in this step belongs to the executions that closed it; several of them share it by quantity,
    the last taking what is left, so that the sum over all fills is the sum over all lots, to the last digit.
    """
    shares: dict[int, Decimal] = {}
    for change in changes:
        left = change.gained.realized
        closers = _closers(step, change.after)
        if left == ZERO or not closers:
            continue
        gained, weight = left, total(fill.qty for _, fill in closers)
        for index, fill in closers[:-1]:
            part = (gained * ratio(fill.qty, weight)).quantize(AMOUNT_PLACES)
            shares[index] = shares.get(index, ZERO) + part
            left -= part
        last = closers[-1][0]
        shares[last] = shares.get(last, ZERO) + left
    return shares


def _closers(step: Step, lot: Lot) -> list[tuple[int, Fill]]:
    own: list[tuple[int, Fill]] = []
    others: list[tuple[int, Fill]] = []
    for index, (bot_id, fill) in enumerate(step.fills):
        if bot_id != lot.bot_id or fill.side is lot.side:
            continue
        # An entry of a bot with one net position closes what stands against it; the exchange closes under names of its own.
        who = decode(fill.client_id)
        mine = who is not None and who.role is Role.EXIT and who.leg_id[1:] == lot.lot_id
        (own if mine else others).append((index, fill))
    return own or others
