"""Maker ladder: a position executor per level and side, at spreads around the mid price, renewed while nothing filled."""

from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from core.config import Fraction, Positive, Seconds, TripleBarrier
from core.controllers.protocol import ControllerConfig, Create, Mine, Proposals, Scene, Stop
from core.executors.life import Status
from core.values import ONE, ZERO, floor_to, ratio

Spreads = Annotated[tuple[Fraction, ...], Field(max_length=20)]
Shares = Annotated[tuple[Positive, ...], Field(max_length=20)]


class MakerLadderConfig(ControllerConfig):
    """Buys `buy_spreads` below and sells `sell_spreads` above the mid price (fractions); shares split the money.

    `*_amounts_pct` are weights over both sides (default: equal). A level that has not traded for `executor_refresh_time` (s)
    is withdrawn and laid anew. `tick_size` and `lot_step` are the instrument's.
    """

    controller_name: Literal["maker_ladder"] = "maker_ladder"
    buy_spreads: Spreads = ()
    sell_spreads: Spreads = ()
    buy_amounts_pct: Shares = ()
    sell_amounts_pct: Shares = ()
    executor_refresh_time: Seconds = 300
    triple_barrier: TripleBarrier
    tick_size: Positive
    lot_step: Positive

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for side in ("buy", "sell"):
            spreads, shares = getattr(self, f"{side}_spreads"), getattr(self, f"{side}_amounts_pct")
            if shares and len(shares) != len(spreads):
                message = f"{side}_amounts_pct: {len(shares)} for {len(spreads)} spreads; one for each works"
                raise ValueError(message)
        if not self.buy_spreads and not self.sell_spreads:
            message = "buy_spreads: no level on either side; for example [0.002, 0.004]"
            raise ValueError(message)
        return self

    def propose(self, scene: Scene) -> Proposals:
        """Propose every level, and the end of those that waited too long; a level is laid again once its old one is over."""
        stale = [one for one in scene.mine if self._is_stale(one, scene)]
        stops = tuple(Stop(one.id, reason="refreshed") for one in stale)
        mid, whole = scene.quote.mid, sum((share for *_, share in self._levels()), ZERO)
        levels = tuple(
            Create(name, self._level(side, mid * (ONE + spread * sign), self.total_amount_quote * share / whole))
            for name, side, sign, spread, share in self._levels()
        )
        return Proposals((*stops, *levels))

    def _is_stale(self, one: Mine, scene: Scene) -> bool:
        age_s = 0 if one.created_at is None else (scene.now - one.created_at).total_seconds()
        return one.status is Status.RUNNING and not one.is_trading and age_s >= self.executor_refresh_time

    def _levels(self) -> list[tuple[str, str, int, Decimal, Decimal]]:
        found: list[tuple[str, str, int, Decimal, Decimal]] = []
        sides = (
            ("buy", self.buy_spreads, self.buy_amounts_pct, -1),
            ("sell", self.sell_spreads, self.sell_amounts_pct, 1),
        )
        for side, spreads, shares, sign in sides:
            for index, spread in enumerate(spreads):
                found.append((f"{side}_{index}", side.upper(), sign, spread, shares[index] if shares else ONE))
        return found

    def _level(self, side: str, price: Decimal, amount_quote: Decimal) -> dict[str, Any]:
        at = floor_to(price, self.tick_size)
        return {
            "kind": "position", "side": side, "entry_price": at, "amount": floor_to(ratio(amount_quote, at), self.lot_step),
            "triple_barrier": self.triple_barrier.model_dump(mode="json", exclude_none=True),
        }  # fmt: skip
