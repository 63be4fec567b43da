"""`GridExecutorConfig` and `GridExecutor`: one grid worked from a notebook (document 000)."""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.config import BotId
from core.engine import Mode
from core.engine.bot import level_state
from core.engine.world import value_of
from core.facts import Action, Command
from core.machines.grid.config import GridConfig
from core.machines.grid.state import Closed
from core.market import Instrument
from core.values import ZERO
from tasks.manager_desk import Desk
from tasks.manager_paper import PaperClient


class GridExecutorConfig(GridConfig):
    """A grid's configuration as its document writes it: `connector_name` and `trading_pair` name venue and symbol.

    Fractions are fractions (0.01 is 1 %); every field of the `grid` kind may be given.
    """

    id: BotId = "grid"


class GridExecutor:
    """Works one grid with every `process_tick`: a face of the `grid` kind and of the engine.

    `strategy` is where it trades: a ccxt exchange, a venue of this house or a `PaperClient`, or an object that has them
    under `connectors` (by the configuration's connector_name) or as `client`. None is a paper account at the price in
    the middle of the range.
    """

    def __init__(
        self,
        strategy: Any = None,
        config: GridConfig | None = None,
        *,
        state_file: str | Path | None = None,
        results: str | Path = "results",
        instrument: Instrument | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        """Lay the grid; nothing is sent before the first tick. Raises `tasks.errors.Refused` where it cannot be laid."""
        if config is None:
            message = "config: a GridExecutorConfig is wanted"
            raise ValueError(message)
        self.client = _client_of(strategy, config)
        self._desk = Desk(
            self.client, config.symbol, state_file=state_file, results=results, instrument=instrument, clock=clock
        )
        rules = self._desk.rules
        told = config.model_dump(exclude_unset=True) | {"id": config.id, "venue": rules.venue, "symbol": rules.symbol}
        self.config = GridConfig.model_validate(told)
        self._desk.add(self.config)

    def process_tick(self) -> dict[str, int]:
        """Read price, orders and trades, and advance the grid; returns counts. See `Desk.tick`."""
        return self._desk.tick()

    @property
    def is_active(self) -> bool:
        """Whether it still trades: not ended by a barrier, nor stopped."""
        state = self._bot.state
        return self._bot.mode in {Mode.RUN, Mode.PAUSED} and (state is None or not isinstance(state.phase, Closed))

    @property
    def levels(self) -> list[dict[str, Any]]:
        """Every level: its state (NOT_ACTIVE, OPEN_ORDER_PLACED, OPEN_ORDER_FILLED, CLOSE_ORDER_PLACED), prices, reason."""
        bot, spec = self._bot, self._desk.world.specs[self.config.id]
        if bot.state is None:
            return [
                {
                    "state": "NOT_ACTIVE",
                    "entry": entry,
                    "exit": leave,
                    "qty": qty,
                    "held": ZERO,
                    "reason": "no price yet",
                }
                for entry, leave, qty in spec.machine.prices(spec.plan)
            ]
        found: list[dict[str, Any]] = []
        for index in range(spec.places):
            view = spec.machine.place(spec.plan, bot.state, index)
            state, reason = level_state(view.phase, bot.works.get(view.entry), bot.works.get(view.exit), view.reason)
            found.append({
                "state": state, "entry": view.entry_price, "exit": view.exit_price, "qty": view.qty, "held": view.held,
                "reason": reason,
            })  # fmt: skip
        return found

    @property
    def net_pnl_quote(self) -> Decimal | None:
        """Realised + floating - fees + funding at the last price; None before the first."""
        world = self._desk.world
        value = value_of(self._bot, world.specs[self.config.id], world.quotes)
        return None if value is None else value[0]

    @property
    def fees_quote(self) -> Decimal:
        """What was paid in fees, in quote."""
        return self._bot.fees

    @property
    def position(self) -> dict[str, Decimal]:
        """What it holds: signed base, its cost, and the price at which it breaks even, fees of its lots included."""
        bot = self._bot
        even = (bot.net_cost + bot.fees_open) / bot.inventory if bot.inventory else ZERO
        return {"qty": bot.inventory, "cost": bot.cost, "break_even": even}

    def stop(self, *, keep_position: bool = False) -> None:
        """End it with the next tick: orders cancelled, and the inventory sold at the market unless it is to be kept."""
        action = Action.HALT if keep_position else Action.FLATTEN
        self._desk.command(Command(0, self.config.id, action, "", "notebook", "stop", self._desk.clock()))

    def save_to_disk(self, file: str | Path) -> None:
        """Write the state as JSON, all or nothing."""
        self._desk.save(Path(file))

    def load_from_disk(self, file: str | Path) -> None:
        """Go on where `save_to_disk` was called; raises as `TradeManager.load_from_disk`."""
        self._desk.load(Path(file), GridConfig.model_validate)

    def close(self) -> None:
        """Release the client's connections; orders stay resting."""
        self._desk.close()

    @property
    def _bot(self) -> Any:
        return self._desk.world.bots[self.config.id]


def _client_of(strategy: Any, config: GridConfig) -> Any:
    if strategy is None:
        return PaperClient(config.about_price(), config.symbol)
    connectors = getattr(strategy, "connectors", None)
    if isinstance(connectors, Mapping):
        if config.venue not in connectors:
            message = f"connector_name: the strategy has no connector {config.venue!r}; it has {', '.join(connectors)}"
            raise ValueError(message)
        return connectors[config.venue]
    return getattr(strategy, "client", strategy) if not hasattr(strategy, "create_order") else strategy
