"""`gridkeeper rebuild`: the store from the exchange alone, where it was lost or damaged."""

import argparse
import asyncio
from typing import Any

from core.values import plain
from tasks.outcome import Outcome


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.epilog = (
        "Sends nothing. Takes the lost store's token over, keeps its file aside, and leaves every bot with exits only until "
        "`gridkeeper control BOT release`. example: gridkeeper rebuild --portfolio examples/paper.yaml"
    )
    parser.add_argument("--portfolio", required=True, metavar="F")


def run(args: argparse.Namespace) -> Outcome:
    """Rebuild; raises `Refused`, `Halted`, `Busy`, and then nothing has changed."""
    from tasks.rebuild import rebuild_store

    data = _data(asyncio.run(rebuild_store(args.portfolio)))
    return Outcome(data, lambda: _show(data))


def _data(report: Any) -> dict[str, Any]:
    world = report.made.world
    orders = report.made.steps[-1].orders
    return {
        "store": str(report.store),
        "token": report.token,
        "kept_aside": [str(path) for path in report.kept],
        "orders": len(orders),
        "orders_open": sum(order.live for order in orders),
        "fills": sum(len(step.fills) for step in report.made.steps),
        "bots": [
            {
                "bot_id": name,
                "mode": bot.mode.value,
                "mode_reason": bot.mode_reason,
                "inventory": plain(bot.inventory),
                "cost_quote": plain(bot.cost),
                "lots": len(bot.lots),
                "orders_open": sum(work.order is not None and work.order.live for work in bot.works.values()),
                "realized_pnl": plain(bot.realized),
            }
            for name, bot in world.bots.items()
        ],
        "incidents": [incident.detail for incident in world.incidents.values()],
        "findings": [{"bot_id": one.bot_id, "subject": one.subject, "detail": one.detail} for one in report.findings],
    }


def _show(data: dict[str, Any]) -> None:
    print(f"store {data['store']} with token {data['token']}: {data['orders']} orders, {data['fills']} fills")
    for path in data["kept_aside"]:
        print(f"kept aside: {path}")
    for bot in data["bots"]:
        print(
            f"{bot['bot_id']}: {bot['lots']} lots, inventory {bot['inventory']} at cost {bot['cost_quote']}, "
            f"{bot['orders_open']} open orders; {bot['mode_reason']}"
        )
    for one in data["findings"]:
        if one["subject"] != "bot":
            print(f"{one['bot_id'] or 'account'} {one['subject']}: {one['detail']}")
    print("next: look at `gridkeeper status`, then `gridkeeper control BOT release` lets a bot enter again")
