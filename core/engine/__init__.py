"""The engine: takes facts in, gives a new world and the orders to send. The only place that composes the core."""

from core.engine.advance import advance
from core.engine.world import Bot, BotSpec, Cancel, Incident, Limits, Mode, Place, Step, World

__all__ = ["Bot", "BotSpec", "Cancel", "Incident", "Limits", "Mode", "Place", "Step", "World", "advance"]
