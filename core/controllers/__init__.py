"""Controllers: pure functions of market data that propose executors. Adding one is one file here and its name in `ALL`."""

from typing import Annotated

from pydantic import Field

from core.controllers.dca_bands import DcaBandsConfig
from core.controllers.grid_strike import GridStrikeConfig
from core.controllers.maker_ladder import MakerLadderConfig

AnyController = Annotated[DcaBandsConfig | GridStrikeConfig | MakerLadderConfig, Field(discriminator="controller_name")]
