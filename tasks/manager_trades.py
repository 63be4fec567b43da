"""`TradeManager`: bulk trades laid over a price range and worked from a notebook (document 001)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.config import to_decimal
from core.engine.bot import level_state
from core.machines.ladder.config import LadderConfig
from core.machines.ladder.state import Completed
from core.market import Instrument
from core.values import ZERO, total
from tasks.manager_desk import Desk

STATE_FILE = "trader_state.json"
_PERCENT = Decimal(100)


@dataclass(frozen=True, slots=True)
class Trader:
    """One trade as it stands. `state` is one of PENDING_ENTRY, PLACED_ENTRY, FILLED_WAIT, PLACED_EXIT, COMPLETED.

    Prices and `qty` are the trade's own; `held` is what it has bought and not yet sold; `reason` why no order rests.
    """

    name: str
    state: str
    target_entry: Decimal
    target_exit: Decimal
    qty: Decimal
    held: Decimal
    loop_trade: bool
    reason: str


class TradeManager:
    """Makes trades in bulk and works them with every `process_tick`: a face of the `ladder` kind and of the engine.

    Units are those of its document: `profit` in per cent (0.5 is 0.5 %), offsets in price. With `state_file` the state is
    on the disk before anything is sent, so that a killed process loses no order; without it, only `save_to_disk` writes.
    """

    def __init__(
        self,
        client: Any,
        maker_offset_buy: Any = 0,
        maker_offset_sell: Any = 0,
        *,
        symbol: str | None = None,
        state_file: str | Path | None = None,
        results: str | Path = "results",
        max_exposure_quote: Any = None,
        instrument: Instrument | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        """Take over a ccxt exchange, a venue of this house or a `PaperClient`.

        `symbol` defaults to the client's own, else BTC/USDT; `max_exposure_quote` bounds open inventory and entries.
        """
        limit = None if max_exposure_quote is None else to_decimal(max_exposure_quote)
        self._desk = Desk(
            client, symbol, state_file=state_file, results=results, max_exposure_quote=limit, instrument=instrument,
            clock=clock,
        )  # fmt: skip
        self._offsets = {"maker_offset_buy": maker_offset_buy, "maker_offset_sell": maker_offset_sell}
        self._earned = ZERO

    def create_linear_traders(
        self, min_p: Any, max_p: Any, count: int, qty: Any, profit: Any, loop: bool = False, **options: Any
    ) -> list[Trader]:
        """Lay `count` trades evenly from `min_p` to `max_p`, both included; each exits `profit` per cent above its entry.

        `options` are further fields of the `ladder` kind. Raises `pydantic.ValidationError` or `tasks.errors.Refused`
        where a value, or the exchange's rules, do not allow it; nothing is laid then.
        """
        return self._create("linear", min_p, max_p, count, qty, profit, loop, options)

    def create_normal_traders(
        self, min_p: Any, max_p: Any, count: int, qty: Any, profit: Any, loop: bool = False, mean: Any = None,
        sigma: Any = None, sigma_divisor: Any = None, **options: Any,
    ) -> list[Trader]:  # fmt: skip
        """Lay trades by a normal distribution: most around `mean` (default the centre), with `sigma` in price.

        Without `sigma` it is the range divided by `sigma_divisor` (default 6). Otherwise as `create_linear_traders`.
        """
        shape = {"mean": mean, "sigma": sigma, "sigma_divisor": sigma_divisor}
        return self._create("normal", min_p, max_p, count, qty, profit, loop, shape | options)

    def process_tick(self) -> dict[str, int]:
        """Read price, orders and trades, and advance every trade; completed ones are dropped. See `Desk.tick`."""
        count = self._desk.tick()
        done = 0
        for bot_id in list(self._desk.configs):
            bot = self._desk.world.bots[bot_id]
            over = bot.state is not None and all(isinstance(rung, Completed) for rung in bot.state.rungs)
            if over and not any(work.order for work in bot.works.values()):
                self._earned += bot.realized - bot.fees + bot.funding
                done += len(bot.state.rungs)
                self._desk.drop(bot_id)
        return count | {"completed": done, "active": len(self.traders)}

    @property
    def traders(self) -> list[Trader]:
        """Every trade that is not completed, by its ladder and entry price."""
        return [trader for name in self._desk.configs for trader in self._traders(name) if trader.state != "COMPLETED"]

    @property
    def realized_pnl(self) -> Decimal:
        """What all trades, completed ones included, have earned in quote, net of fees."""
        return self._earned + total(b.realized - b.fees + b.funding for b in self._desk.world.bots.values())

    def save_to_disk(self, file: str | Path | None = None) -> Path:
        """Write the state as JSON, all or nothing; returns the file (default: `state_file`, else trader_state.json)."""
        path = Path(file) if file is not None else self._desk.file or Path(STATE_FILE)
        self._desk.save(path)
        return path

    def load_from_disk(self, file: str | Path | None = None) -> list[Trader]:
        """Go on where `save_to_disk` was called: what happened meanwhile is read with the next tick.

        Raises `FileNotFoundError`, or `tasks.manager_state.StateRefused` for a file of another symbol or version.
        """
        path = Path(file) if file is not None else self._desk.file or Path(STATE_FILE)
        self._desk.load(path, LadderConfig.model_validate)
        return self.traders

    def close(self) -> None:
        """Release the client's connections; orders stay resting."""
        self._desk.close()

    def _create(
        self, distribution: str, min_p: Any, max_p: Any, count: int, qty: Any, profit: Any, loop: bool,
        options: dict[str, Any],
    ) -> list[Trader]:  # fmt: skip
        given = {name: value for name, value in options.items() if value is not None}
        rules = self._desk.rules
        config = LadderConfig.model_validate({
            "id": self._desk.name("t"), "venue": rules.venue, "symbol": rules.symbol, "distribution": distribution,
            "min_price": min_p, "max_price": max_p, "count": count, "qty": qty, "loop": loop,
            "profit": to_decimal(profit) / _PERCENT, **self._offsets, **given,
        })  # fmt: skip
        self._desk.add(config)
        return self._traders(config.id)

    def _traders(self, bot_id: str) -> list[Trader]:
        spec, bot = self._desk.world.specs[bot_id], self._desk.world.bots[bot_id]
        loop, found = spec.plan.config.loop, list[Trader]()
        for index, trade in enumerate(spec.plan.trades):
            state, held, reason = "PENDING_ENTRY", ZERO, "waits for the first price"
            if bot.state is not None:
                view = spec.machine.place(spec.plan, bot.state, index)
                works = bot.works.get(view.entry), bot.works.get(view.exit)
                state, reason = level_state(view.phase, *works, view.reason)
                held = view.held
            found.append(
                Trader(f"{bot_id}/{index}", state, trade.entry_price, trade.exit_price, trade.qty, held, loop, reason)
            )
        return found
