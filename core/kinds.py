"""Every strategy the house knows, by the word that stands under `kind` in a portfolio file.

A strategy is a package in `core/machines`: a configuration, a way to make it ready, and a machine. It becomes usable by
one row in `KINDS` and one name in `AnyBot`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from pydantic import Field

from core.editing import Editing
from core.machine import Machine, Prepared
from core.machines.arbitrage import config as arbitrage_config
from core.machines.arbitrage import machine as arbitrage_machine
from core.machines.atr_grid import config as atr_grid_config
from core.machines.atr_grid import machine as atr_grid_machine
from core.machines.dca import config as dca_config
from core.machines.dca import machine as dca_machine
from core.machines.funding_arb import config as funding_arb_config
from core.machines.funding_arb import machine as funding_arb_machine
from core.machines.grid import config as grid_config
from core.machines.grid import editing as grid_editing
from core.machines.grid import machine as grid_machine
from core.machines.ladder import config as ladder_config
from core.machines.ladder import machine as ladder_machine
from core.machines.order import config as order_config
from core.machines.order import machine as order_machine
from core.machines.position import config as position_config
from core.machines.position import machine as position_machine
from core.machines.rolling_grid import config as rolling_grid_config
from core.machines.rolling_grid import machine as rolling_grid_machine
from core.machines.twap import config as twap_config
from core.machines.twap import machine as twap_machine
from core.machines.watch import config as watch_config
from core.machines.watch import machine as watch_machine
from core.machines.xemm import config as xemm_config
from core.machines.xemm import machine as xemm_machine
from core.market import Instrument, Market


class Prepare(Protocol):
    """Makes a configuration ready for its instruments; raises `PlanRefused` where their rules do not allow it."""

    def __call__(self, config: Any, instruments: Mapping[Market, Instrument], /) -> Prepared:
        """Return the plan and what the engine must know beside it."""
        ...


@dataclass(frozen=True, slots=True)
class Kind:
    """One strategy: its machine, how a configuration is made ready for it, and how a running bot takes another one."""

    machine: Machine
    prepare: Prepare
    edit: Editing | None = None


AnyBot = Annotated[
    arbitrage_config.ArbitrageConfig
    | atr_grid_config.AtrGridConfig
    | dca_config.DcaConfig
    | funding_arb_config.FundingArbConfig
    | grid_config.GridConfig
    | ladder_config.LadderConfig
    | order_config.OrderConfig
    | position_config.PositionConfig
    | rolling_grid_config.RollingGridConfig
    | twap_config.TwapConfig
    | watch_config.WatchConfig
    | xemm_config.XemmConfig,
    Field(discriminator="kind"),
]

KINDS: dict[str, Kind] = {
    "arbitrage": Kind(arbitrage_machine, arbitrage_config.prepare),
    "atr_grid": Kind(atr_grid_machine, atr_grid_config.prepare),
    "dca": Kind(dca_machine, dca_config.prepare),
    "funding_arb": Kind(funding_arb_machine, funding_arb_config.prepare),
    "grid": Kind(
        grid_machine, grid_config.prepare, Editing(grid_editing.EDITABLE, grid_editing.edited, grid_editing.changes)
    ),
    "ladder": Kind(ladder_machine, ladder_config.prepare),
    "order": Kind(order_machine, order_config.prepare),
    "position": Kind(position_machine, position_config.prepare),
    "rolling_grid": Kind(rolling_grid_machine, rolling_grid_config.prepare),
    "twap": Kind(twap_machine, twap_config.prepare),
    "watch": Kind(watch_machine, watch_config.prepare),
    "xemm": Kind(xemm_machine, xemm_config.prepare),
}
