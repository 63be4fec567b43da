"""The nightly twin: the day that a portfolio really had, replayed from what was recorded, and held against its fills.

    quotes + states put aside + words of control ──> replay ──> fills ──┐
    fills of the published copy ────────────────────────────────────────┴──> pairs, differences, verdict

An order's executions count as one fill. Fills are paired by bot, place, role and side, in order of time. The verdict is
that of RULES 18d: at least 95 % have a pair, and the money differs by at most 10 % of the day's fees. Money here is cash
from the fills after fees, and what they added to the inventory at the last price; funding is no fill and is left out.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from core.facts import Action, Command, Fill
from core.lots import fee_in_quote
from core.market import Instrument, Market
from core.orders import ClientId, decode
from core.values import ZERO, Side, exact_product, plain, ratio, total
from tasks.errors import GridkeeperError
from tasks.publish import published_folder
from tasks.quote_log import SeenPrice, read_day
from tasks.sql_query import open_published
from tasks.store_rows import tidy
from tasks.twin_keep import starts_in
from tasks.twin_replay import replay
from tasks.twin_start import Start, read_start

# RULES 18d.
MATCHED_LEAST = Decimal("0.95")
MONEY_MOST = Decimal("0.10")
# Executions further apart than this are not the same fill.
APART = timedelta(minutes=5)
_MONEY_TYPE = pa.decimal128(38, 18)


@dataclass(frozen=True, slots=True)
class Done:
    """The executions of one order as one: mean price (to ten places), fee in quote, time of the last."""

    bot_id: str
    market: Market
    client_id: str
    level: str
    side: str
    price: Decimal
    qty: Decimal
    fee: Decimal
    at: datetime

    @property
    def key(self) -> tuple[str, Market, str, str]:
        """What makes two of them the same trade of a level."""
        return self.bot_id, self.market, self.level, self.side


@dataclass(frozen=True, slots=True)
class Pair:
    """A fill that was, beside the one that the replay gives; one of them may be missing."""

    real: Done | None
    twin: Done | None

    @property
    def status(self) -> str:
        """`matched`, `missing` in the replay, or `surplus` there."""
        return "matched" if self.real and self.twin else "missing" if self.real else "surplus"


@dataclass(slots=True)
class Twin:
    """What a day's replay says; money in quote. `ok` is None where there was nothing to compare."""

    day: date
    pairs: list[Pair] = field(default_factory=list[Pair])
    stretches: int = 0
    prices: int = 0
    left_out: tuple[str, ...] = ()
    remarks: list[str] = field(default_factory=list[str])
    marks: dict[Market, Decimal] = field(default_factory=dict[Market, Decimal])

    def figures(self) -> dict[str, Any]:
        """Count: fills of both, matched, their share, money of both, fees, the largest differences."""
        real = [one.real for one in self.pairs if one.real is not None]
        twin = [one.twin for one in self.pairs if one.twin is not None]
        both = [(one.real, one.twin) for one in self.pairs if one.real is not None and one.twin is not None]
        most = max(len(real), len(twin))
        share = ratio(Decimal(len(both)), Decimal(most)) if most else None
        money, theirs = self._money(real), self._money(twin)
        fees = total(one.fee for one in real)
        late = max((abs((a.at - b.at).total_seconds()) for a, b in both), default=0.0)
        return {
            "day": self.day.isoformat(), "fills": len(real), "fills_twin": len(twin), "matched": len(both),
            "missing": len(real) - len(both), "surplus": len(twin) - len(both),
            "share": None if share is None else float(round(share, 6)),
            "pnl": plain(money), "pnl_twin": plain(theirs), "pnl_difference": plain(theirs - money),
            "fees": plain(fees), "fees_twin": plain(total(one.fee for one in twin)),
            "price_difference_max": plain(max((abs(a.price - b.price) for a, b in both), default=ZERO)),
            "seconds_apart_max": round(late, 3), "prices": self.prices, "stretches": self.stretches,
            "left_out": list(self.left_out), "ok": self.ok, "remarks": list(self.remarks),
        }  # fmt: skip

    @property
    def ok(self) -> bool | None:
        """Whether both gates hold."""
        if not self.pairs:
            return None
        real = [one.real for one in self.pairs if one.real is not None]
        twin = [one.twin for one in self.pairs if one.twin is not None]
        matched = sum(1 for one in self.pairs if one.status == "matched")
        enough = matched >= MATCHED_LEAST * max(len(real), len(twin))
        apart = abs(self._money(twin) - self._money(real))
        return enough and apart <= MONEY_MOST * abs(total(one.fee for one in real))

    def says(self) -> str:
        """Say it in one line."""
        if self.ok is None:
            return "; ".join(["no fill to compare", *self.remarks])
        told = self.figures()
        line = f"{told['matched']} of {max(told['fills'], told['fills_twin'])} fills match ({told['share']:.1%}), "
        line += f"PnL {told['pnl']} and {told['pnl_twin']} in the replay, fees {told['fees']}"
        return "; ".join([line, *self.remarks])

    def _money(self, fills: Sequence[Done]) -> Decimal:
        cash = total(-exact_product(one.price, one.qty) * Side(one.side).sign - one.fee for one in fills)
        return cash + total(
            exact_product(self.marks.get(one.market, one.price), one.qty) * Side(one.side).sign for one in fills
        )


def replay_day(data_dir: Path, day: date) -> Twin:
    """Replay a day (UTC) from what its data folder recorded. Raises `QueryRefused` where nothing was ever published."""
    made = Twin(day)
    seen = read_day(data_dir, day)
    if not seen:
        made.remarks.append("no prices were kept of that day")
        return made
    made.marks = {one.market: one.last for one in seen}
    before = read_day(data_dir, day - timedelta(days=1))
    with open_published(data_dir) as con:
        for state, prices, since in _stretches(data_dir, seen, before, made.remarks):
            earlier = [one for one in (*before, *seen) if one.tick_id <= state.tick_id]
            known = {one.market: one.last for one in earlier}
            words = _commands(con, since, prices[-1].at)
            again = replay(state, prices, known, words)
            made.stretches += 1
            made.prices += len(prices)
            made.left_out = tuple(sorted({*made.left_out, *again.left_out}))
            made.remarks += [text for text in again.remarks if text not in made.remarks]
            rules = {one.market: one for spec in state.specs.values() for one in spec.instruments}
            lived = [pair for pair in _fills(con, since, prices[-1].at) if not _booked(state, pair[1])]
            real = [pair for pair in lived if pair[0] in state.specs and pair[0] not in again.left_out]
            made.pairs += pair_up(done_of(real, rules), done_of(again.fills, rules))
    if made.left_out:
        made.remarks.append(
            f"{', '.join(made.left_out)} left out: candles and funding rates that bots heard are not kept"
        )
    return made


def _stretches(
    data_dir: Path, seen: Sequence[SeenPrice], before: Sequence[SeenPrice], remarks: list[str]
) -> list[tuple[Start, list[SeenPrice], datetime]]:
    # From each state up to the next; before the first one of the day only where it says what was just before.
    starts = starts_in(data_dir)
    first, last = seen[0].tick_id, seen[-1].tick_id
    earlier = [tick for tick in starts if tick < first]
    chosen = [tick for tick in starts if first <= tick <= last]
    if earlier and not any(one.tick_id > earlier[-1] for one in before):
        chosen = [earlier[-1], *chosen]
    found: list[tuple[Start, list[SeenPrice], datetime]] = []
    for number, tick in enumerate(chosen):
        until = chosen[number + 1] if number + 1 < len(chosen) else last
        prices = [one for one in seen if tick < one.tick_id <= until]
        past = [one.at for one in (*before, *seen) if one.tick_id <= tick]
        if not prices:
            continue
        try:
            state = read_start(starts[tick], data_dir)
        except (GridkeeperError, duckdb.Error, ValueError) as fault:
            remarks.append(f"the state after tick {tick} cannot be read: {str(fault).splitlines()[0]}")
            continue
        # What happened while nothing ran belongs to the stretch after it: its first tick heard of it.
        found.append((state, prices, past[-1] if past else datetime(1970, 1, 1)))
    if not found:
        remarks.append("no state was put aside to replay that day from")
    elif found[0][1][0].tick_id > first:
        remarks.append(f"replayed from {found[0][1][0].at:%H:%M:%S} on, where its first state was put aside")
    return found


def _booked(state: Start, fill: Fill) -> bool:
    return (fill.venue, fill.symbol, fill.trade_id, fill.side.value) in state.world.trades


def _fills(con: duckdb.DuckDBPyConnection, since: datetime, until: datetime) -> list[tuple[str, Fill]]:
    rows = con.execute(
        "SELECT bot_id, venue, symbol, trade_id, client_id, side, price, qty, fee, fee_asset, ts, maker, settled "
        "FROM fills WHERE ts > ? AND ts <= ? ORDER BY ts, trade_id",
        [since, until],
    ).fetchall()
    return [
        (
            row[0],
            Fill(
                venue=row[1], symbol=row[2], trade_id=row[3], client_id=ClientId(row[4]), side=Side(row[5]),
                price=tidy(row[6]), qty=tidy(row[7]), fee=tidy(row[8]), fee_asset=row[9], ts=row[10], maker=row[11],
                settled=tidy(row[12]),
            ),
        )
        for row in rows
    ]  # fmt: skip


def _commands(con: duckdb.DuckDBPyConnection, since: datetime, until: datetime) -> list[Command]:
    # In the replay a word is said when it was obeyed: that is when it mattered.
    rows = con.execute(
        "SELECT command_id, bot_id, action, argument, who, note, applied_at FROM commands "
        "WHERE applied_at > ? AND applied_at <= ? ORDER BY command_id",
        [since, until],
    ).fetchall()
    return [Command(row[0], row[1], Action(row[2]), *row[3:]) for row in rows]


def done_of(fills: Sequence[tuple[str, Fill]], rules: Mapping[Market, Instrument]) -> list[Done]:
    """Put the executions of each order together, in order of time."""
    by_order: dict[tuple[str, Market, str], list[Fill]] = {}
    for bot_id, fill in fills:
        by_order.setdefault((bot_id, (fill.venue, fill.symbol), fill.client_id), []).append(fill)
    found: list[Done] = []
    for (bot_id, market, client_id), parts in by_order.items():
        qty = total(one.qty for one in parts)
        worth = total(exact_product(one.price, one.qty) for one in parts)
        mean = parts[0].price if len(parts) == 1 else ratio(worth, qty).quantize(Decimal("1E-10"))
        fee = total(fee_in_quote(one, rules[market]) or ZERO for one in parts)
        who = decode(ClientId(client_id))
        level = f"{who.role.value}{who.place}" if who is not None else client_id
        side = parts[0].side.value
        found.append(Done(bot_id, market, client_id, level, side, mean, qty, fee, max(one.ts for one in parts)))
    return sorted(found, key=lambda one: (one.at, one.client_id))


def pair_up(real: Sequence[Done], twin: Sequence[Done]) -> list[Pair]:
    """Pair fills of the same bot, level and side in order of time; what is more than five minutes apart is no pair."""
    pairs: list[Pair] = []
    for key in dict.fromkeys(one.key for one in (*real, *twin)):
        left = [one for one in real if one.key == key]
        right = [one for one in twin if one.key == key]
        while left and right:
            apart = right[0].at - left[0].at
            if abs(apart) <= APART:
                pairs.append(Pair(left.pop(0), right.pop(0)))
            elif apart > APART:
                pairs.append(Pair(left.pop(0), None))
            else:
                pairs.append(Pair(None, right.pop(0)))
        pairs += [Pair(one, None) for one in left] + [Pair(None, one) for one in right]
    return sorted(pairs, key=lambda one: (one.real or one.twin).at)  # type: ignore[union-attr]  one of them is there


def write_twin(made: Twin, data_dir: Path) -> list[Path]:
    """Write `twin/DATE.json` and, for SQL, the pairs as `twin_fills` in the published folder; returns the files."""
    folder = published_folder(data_dir) / "parquet" / "twin_fills" / f"date={made.day.isoformat()}"
    folder.mkdir(parents=True, exist_ok=True)
    told = data_dir / "twin" / f"{made.day.isoformat()}.json"
    told.parent.mkdir(parents=True, exist_ok=True)
    fresh = told.with_suffix(".part")
    fresh.write_text(json.dumps(made.figures(), indent=1), encoding="utf-8")
    fresh.replace(told)
    target, part = folder / "pairs.parquet", folder / ".pairs.part"
    pq.write_table(pa.Table.from_pylist([_row(one) for one in made.pairs], schema=_SCHEMA), part, compression="zstd")
    part.replace(target)
    return [told, target]


_SIDES = {
    "client_id": pa.string(),
    "price": _MONEY_TYPE,
    "qty": _MONEY_TYPE,
    "fee": _MONEY_TYPE,
    "at": pa.timestamp("us"),
}
_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("status", "bot_id", "venue", "symbol", "level", "side")]
    + [(f"{whose}_{name}", kind) for whose in ("real", "twin") for name, kind in _SIDES.items()]
)


def _row(pair: Pair) -> dict[str, Any]:
    known = pair.real or pair.twin
    assert known is not None  # noqa: S101  a pair has at least one side
    row: dict[str, Any] = {
        "status": pair.status, "bot_id": known.bot_id, "venue": known.market[0], "symbol": known.market[1],
        "level": known.level, "side": known.side,
    }  # fmt: skip
    for whose, one in (("real", pair.real), ("twin", pair.twin)):
        said = {} if one is None else asdict(one)
        row |= {f"{whose}_{name}": said.get(name) for name in _SIDES}
    return row
