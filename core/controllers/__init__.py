"""Controllers: pure functions of market data that propose executors. Adding one is one file in this folder.

Every module here is imported, and every `ControllerConfig` that it defines can be named in a portfolio file.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import Field

from core.controllers.protocol import ControllerConfig

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

# Every controller there is, by the name under which a portfolio file asks for it.
CONTROLLERS: dict[str, type[ControllerConfig]] = {
    str(one.model_fields["controller_name"].default): one for one in ControllerConfig.__subclasses__()
}

if TYPE_CHECKING:
    AnyController = ControllerConfig
else:
    _known: Any = Union[tuple(CONTROLLERS[name] for name in sorted(CONTROLLERS))]  # noqa: UP007  made when it is run
    AnyController = Annotated[_known, Field(discriminator="controller_name")]
