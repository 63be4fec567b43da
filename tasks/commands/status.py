"""`gridkeeper status`: bots, levels and the reason for each that is not working, lots, PnL, and the age of it all."""

import argparse
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from tasks.commands.backtest import seconds
from tasks.commands.places import add_place, find_place
from tasks.commands.published import age_words, ask_published
from tasks.errors import Refused
from tasks.outcome import Outcome, money, visible
from tasks.part_names import own_part

LEVELS_SHOWN = 12
# Room for the longest name of a limit in one piece, so that it can be searched for.
REASON_WIDTH = 20
SIGNS = {
    "OPEN_ORDER_PLACED": ("entry rests", "cyan"),
    "CLOSE_ORDER_PLACED": ("exit rests", "green"),
    "OPEN_ORDER_FILLED": ("holding, no exit", "yellow"),
    "NOT_ACTIVE": ("not working", "bright_black"),
    "PLACED_ENTRY": ("entry rests", "cyan"),
    "PLACED_EXIT": ("exit rests", "green"),
    "FILLED_WAIT": ("holding, no exit", "yellow"),
    "PENDING_ENTRY": ("entry waits", "bright_black"),
    "COMPLETED": ("completed", "bright_black"),
    "FILLED": ("filled", "bright_black"),
}


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = "example: gridkeeper status --portfolio examples/paper.yaml --watch"
    add_place(parser)
    parser.add_argument("--bot", metavar="ID", help="one bot, with all of its levels")
    parser.add_argument("--watch", nargs="?", const=2.0, type=seconds, metavar="S", help="show again every S seconds")


def run(args: argparse.Namespace) -> Outcome:
    """Read the published copy; raises `Refused` where nothing was published yet, or where the bot is unknown."""
    folder = find_place(args).data_dir
    data = read_status(folder)
    known = [one["bot_id"] for one in data["bots"]]
    if args.bot is not None and args.bot not in known:
        raise Refused(f"there is no bot {args.bot!r}", key="--bot", accepted=", ".join(known), given=args.bot)
    data["bots"] = [one for one in data["bots"] if args.bot in {None, one["bot_id"]}]
    if args.watch is None or args.json:
        return Outcome(data, lambda: _print(data, args.bot))
    return Outcome(data, lambda: _watch(folder, args.bot, args.watch))


def read_status(folder: Path, bot: str | None = None) -> dict[str, Any]:
    """Read bots, levels, lots and standing incidents as plain data. Ages in seconds: of the copy (`age_s`), of the last
    tick (`tick_age_s`) and of each bot's price (`price_age_s`; None for played candles, whose times are history).
    """
    meta, age_s = _table(folder, "SELECT key, value FROM meta")
    words = {row["key"]: row["value"] for row in meta}
    bots, _ = _table(folder, "SELECT * FROM report_bots")
    levels, _ = _table(folder, "SELECT * FROM report_levels")
    lots, _ = _table(folder, "SELECT * FROM report_lots WHERE standing")
    incidents, _ = _table(folder, "SELECT * FROM report_incidents WHERE standing")
    last, _ = _table(folder, "SELECT tick_id, ended_at, now, quiet FROM ticks ORDER BY tick_id DESC LIMIT 1")
    shown = [one for one in bots if bot is None or one["bot_id"] == bot]
    now, played = datetime.now(UTC).replace(tzinfo=None), words.get("played") == "true"
    for one in shown:
        one["price_age_s"] = None if played else _age_s(one["price_ts"], now)
        one["level_list"] = [level for level in levels if level["bot_id"] == one["bot_id"]]
        one["lots"] = [lot for lot in lots if lot["bot_id"] == one["bot_id"]]
    return {
        "age_s": age_s, "tick_age_s": _age_s(last[0]["ended_at"], now) if last else None,
        "portfolio": words.get("portfolio"), "mode": words.get("mode"), "prices": words.get("prices"),
        "synthetic": words.get("synthetic") == "true", "last_tick": last[0] if last else None, "bots": shown,
        "incidents": incidents,
    }  # fmt: skip


def _age_s(at: datetime | None, now: datetime) -> float | None:
    return None if at is None else (now - at).total_seconds()


def _table(folder: Path, sql: str) -> tuple[list[dict[str, Any]], float | None]:
    columns, rows, age_s = ask_published(folder, sql)
    return [dict(zip(columns, row, strict=True)) for row in rows], age_s


def _watch(folder: Path, bot: str | None, every_s: float) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console()
    try:
        if not console.is_terminal:
            # Into a pipe or a file: one page after the other, without colours and without moving a cursor.
            _repeat(lambda: console.print(_page(read_status(folder, bot), bot), ""), every_s)
        with Live(_page(read_status(folder, bot), bot), console=console, screen=True, auto_refresh=False) as live:
            time.sleep(every_s)
            _repeat(lambda: live.update(_page(read_status(folder, bot), bot), refresh=True), every_s)
    except KeyboardInterrupt:
        return


def _repeat(show: Callable[[], None], every_s: float) -> NoReturn:
    while True:
        show()
        sys.stdout.flush()
        time.sleep(every_s)


def _print(data: dict[str, Any], bot: str | None) -> None:
    from rich.console import Console

    Console().print(_page(data, bot))


def _page(data: dict[str, Any], bot: str | None) -> Any:
    from rich.console import Group

    data = visible(data)
    parts = [_head(data), *(_incident(one) for one in data["incidents"])]
    for one in data["bots"]:
        parts += ["", _bot(one), _levels(one, everything=bot is not None)]
    return Group(*parts)


def _head(data: dict[str, Any]) -> Any:
    from rich.text import Text

    text = Text()
    text.append(f"{data['portfolio'] or 'portfolio'} ", "bold")
    text.append(f" {data['mode']} ", "black on bright_cyan" if data["mode"] != "live" else "white on red")
    if data["synthetic"]:
        text.append(" SYNTHETIC PRICES ", "black on yellow")
    last = data["last_tick"]
    text.append(f"  copy {age_words(data['age_s'])} old", "bright_black")
    if last is not None:
        text.append(
            f"; tick {last['tick_id']:,} at {last['now']:%Y-%m-%d %H:%M:%S} UTC, {age_words(data['tick_age_s'])} ago",
            "bright_black",
        )
    return text


def _incident(one: dict[str, Any]) -> Any:
    from rich.text import Text

    return Text(
        f"! {one['severity']} {one['kind']}: {one['detail']} (since {one['ts']:%Y-%m-%d %H:%M} UTC)", "bold red"
    )


def _bot(one: dict[str, Any]) -> Any:
    from rich.table import Table
    from rich.text import Text

    quote, base = one["quote_asset"], one["symbol"].partition("/")[0]
    mode = f"{one['mode']}: {one['mode_reason']}" if one["mode_reason"] else one["mode"]
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), title_justify="left")
    table.title = Text.assemble(
        (one["bot_id"], "bold"), f"  {one['kind']} on {one['symbol']}, {one['venue']}  [{mode}]"
    )
    counts = f"{one['levels_working']} working of {one['levels_wanted']} wanted, {one['levels']} in all"
    price_age = f", {age_words(one['price_age_s'])} old" if one["price_age_s"] is not None else ""
    rows = [
        ("net PnL", money(one["net_pnl"], quote), own_part([one["kind"]]).lower(), money(one["grid_profit"], quote)),
        ("floating", money(one["unrealized"], quote), "fees paid", money(one["fees"], quote, sign=False)),
        ("held", f"{_number(one['inventory'], 6)} {base}", "at cost", money(one["exposure_at_cost"], quote, sign=False)),
        ("capital", money(one["capital_quote"], quote, sign=False), "round trips", f"{one['round_trips']:,}"),
        ("price", f"{_number(one['last_price'], 8)} {quote}{price_age}", "levels", counts),
        ("open lots", _lots(one["lots"]), "orders live", f"{one['orders_live']:,}"),
    ]  # fmt: skip
    for row in rows:
        table.add_row(*(Text(cell, "bright_black" if i % 2 == 0 else "") for i, cell in enumerate(row)))
    return table


def _levels(one: dict[str, Any], *, everything: bool) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bright_black", padding=(0, 2, 0, 0))
    quote, base = one["quote_asset"], one["symbol"].partition("/")[0]
    # The unit stands below the word: beside it there would be no room for the reason in 80 columns.
    for name in ("level", f"entry\n{quote}", f"exit\n{quote}", f"quantity\n{base}", f"held\n{base}"):
        table.add_column(Text(name), justify="right")
    table.add_column("state")
    table.add_column("why not", overflow="fold", min_width=REASON_WIDTH)
    levels = one["level_list"]
    for level in levels if everything else _around(levels, one["last_price"]):
        words, colour = SIGNS.get(level["state"], (level["state"].lower(), ""))
        numbers = (str(level["level"]), *(_number(level[k], 8) for k in ("entry_price", "exit_price", "qty", "held")))
        table.add_row(*numbers, Text(words, colour), Text(level["reason"], "yellow"))
    if not everything and len(levels) > LEVELS_SHOWN:
        table.caption = (
            f"the {LEVELS_SHOWN} levels nearest to the price and all that lack an order; "
            f"--bot {one['bot_id']} shows all {len(levels)}"
        )
        table.caption_justify = "left"
    return table


def _around(levels: list[dict[str, Any]], price: Any) -> list[dict[str, Any]]:
    if price is None or len(levels) <= LEVELS_SHOWN:
        return levels
    near = sorted(levels, key=lambda level: abs(level["entry_price"] - price))[:LEVELS_SHOWN]
    chosen = {level["level"] for level in near}
    return [level for level in levels if level["level"] in chosen or level["reason"]]


def _lots(lots: list[dict[str, Any]]) -> str:
    if not lots:
        return "none"
    oldest = _age_s(min(lot["opened_at"] for lot in lots), datetime.now(UTC).replace(tzinfo=None))
    return f"{len(lots):,}, the oldest {age_words(oldest)} old"


def _number(value: Any, places: int) -> str:
    if value is None:
        return "-"
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
