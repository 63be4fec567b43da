"""The other markets of a running bot, hedges most often, as the report of the published copy shows them.

Of markets that a bot does not watch no prices are sampled: what is held there is valued at the price of its own last
execution. A floating profit is known for all other markets together, so it is shown where there is one of them.
"""

from typing import Any

import pandas as pd

from core.values import ZERO
from tasks.report_data import BESIDE_COLUMNS, Beside
from tasks.report_money import Money, Span

_FILLS = """
SELECT venue, symbol, ts, price,
    sum(CASE side WHEN 'buy' THEN qty ELSE -qty END) OVER (
        PARTITION BY venue, symbol ORDER BY ts, trade_id ROWS UNBOUNDED PRECEDING
    ) AS held,
    realized
FROM fills WHERE bot_id = ? AND NOT (venue = ? AND symbol = ?) AND ts < ? ORDER BY ts, trade_id"""


def beside_of(span: Span, state: dict[str, Any], money: Money) -> tuple[Beside, ...]:
    """Return the other markets that a bot (a row of `bot_state`) traded up to the end of the span.

    `profit` is realised within the span, and the floating one too where the span is the bot's whole life and there is one
    other market.
    """
    rows = span.table(_FILLS, [state["bot_id"], state["venue"], state["symbol"], span.end])
    markets: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        markets.setdefault((row["venue"], row["symbol"]), []).append(row)
    made: list[Beside] = []
    for (venue, symbol), fills in markets.items():
        inside = [row for row in fills if row["ts"] >= span.first]
        realized = sum((row["realized"] or ZERO for row in inside), ZERO)
        whole = money.hedge is not None and len(markets) == 1
        profit = money.hedge if whole and money.hedge is not None else realized
        frame = pd.DataFrame(
            [{"ts": row["ts"], "exposure_quote": float(row["held"]) * float(row["price"])} for row in fills],
            columns=list(BESIDE_COLUMNS),
        )
        frame = frame.assign(ts=pd.to_datetime(frame["ts"]))
        made.append(Beside(venue=venue, symbol=symbol, profit=profit, fills=len(inside), frame=frame))
    return tuple(made)


def leverages_of(config_yaml: str) -> dict[str, int]:
    """Return the leverage of each bot that a portfolio's configuration names one for."""
    import yaml

    config: Any = yaml.safe_load(config_yaml) if config_yaml else None
    bots: list[Any] = config.get("bots", []) if isinstance(config, dict) else []
    return {str(bot["id"]): int(bot["leverage"]) for bot in bots if bot.get("leverage")}
