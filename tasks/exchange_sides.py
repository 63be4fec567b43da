"""An account in hedge mode: two positions per symbol, and which of them an order is for (Binance USD-M's `positionSide`).

A bot stands on one side of a market (`direction_at`), so each of its orders there, opening or closing, is for that side.
An order for a side can never turn it over: the exchange itself refuses to close more than is there, and takes no
`reduceOnly` beside it. Positions are read as one signed number, long less short: what the books of all bots sum to.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from core.orders import Order
from core.values import ZERO
from tasks.exchange_parse import number, text
from tasks.exchange_wire import BadAnswer

# By bot and symbol: BUY or SELL, "" for a bot that may stand on either side.
Directions = Mapping[tuple[str, str], str]

_SIDES = {"BUY": "LONG", "SELL": "SHORT"}


def side_params(order: Order, directions: Directions) -> dict[str, str]:
    """Return the parameter that names the position of an order; raises `BadAnswer` where its bot has no one side."""
    side = _SIDES.get(directions.get((order.bot_id, order.symbol), ""))
    if side is None:
        message = f"bot {order.bot_id} has no one side of {order.symbol}, which an account in hedge mode needs"
        raise BadAnswer(message)
    return {"positionSide": side}


def add_position(found: dict[str, Decimal], symbol: str, row: Mapping[str, Any], *, hedged: bool) -> bool:
    """Add a row of Binance's positions to the signed sum of its symbol; returns whether something stands there.

    Raises `BadAnswer` for a row of the other mode, which the account was not in when it was checked.
    """
    side, qty = str(row.get("positionSide", "BOTH")), number(row, "positionAmt")
    if (side != "BOTH") != hedged:
        mode = "one-way" if side == "BOTH" else "hedge"
        raise BadAnswer(f"the account is in {mode} mode, which is not position_mode of the portfolio")
    if (side == "LONG" and qty < ZERO) or (side == "SHORT" and qty > ZERO):
        raise BadAnswer(f"the {side} position of {text(row, 'symbol')} is {qty}")
    found[symbol] = found.get(symbol, ZERO) + qty
    return qty != ZERO
