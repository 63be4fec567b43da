"""Places of a machine as they were shown, kept with the state that they are of."""

from dataclasses import dataclass
from typing import Any

from core.machine import PlaceView


@dataclass(slots=True, eq=False)
class Places:
    """Views of places as a machine showed them of one state under one plan: what was seen of it once is not asked again."""

    plan: Any
    state: Any
    views: dict[int, PlaceView]


NOT_SEEN = Places(None, None, {})
