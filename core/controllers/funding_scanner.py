"""Funding scanner: a `funding_arb` for every coin whose rates differ enough between venues, the widest difference first.

The same entry test as the machine's (core.funding): edge over the horizon less four fees, four slippages and the basis. A
coin without two known rates and prices is left alone. The executor enters and leaves by its own rules; one that has been
flat for `executor_refresh_time` while its coin pays no more is stopped, so that its place is free for another coin.
"""

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Self, cast

from pydantic import Field, model_validator

from core.config import ConnectorPair, Fraction, Number, Seconds, led_by
from core.controllers.protocol import ControllerConfig, Create, Mine, Proposals, Scene, Stop
from core.executors.life import Status
from core.funding import Candidate, Choice, Terms, best_pair, pays, per_hour
from core.market import Market
from core.values import ZERO, plain

# A rate says something until the second interval after it is over.
RATE_INTERVALS = 2


class FundingScannerConfig(ControllerConfig):
    """Looks at `legs`, swaps of any coins at any venues; `total_amount_quote` is shared by `max_executors` pairs, two legs each.

    `min_profit`, `slippage_buffer`, `max_basis` and `taker` are fractions of one leg; the other limits of a pair are given
    in `pair`, by the names of `funding_arb`.
    """

    controller_name: Literal["funding_scanner"] = "funding_scanner"
    legs: Annotated[tuple[ConnectorPair, ...], Field(min_length=2, max_length=200)]
    max_executors: Annotated[int, Field(ge=1, le=100)] = 3
    min_profit: Fraction = Decimal("0.001")
    horizon_hours: Annotated[Number, Field(gt=0, le=87_600)] = Decimal(24)
    slippage_buffer: Fraction = Decimal("0.0002")
    max_basis: Fraction = Decimal("0.01")
    taker: Fraction = Decimal("0.0005")
    leverage: Annotated[int, Field(ge=1, le=125)] = 1
    executor_refresh_time: Seconds = 3600
    pair: dict[str, Any] = Field(default_factory=dict[str, Any])

    @model_validator(mode="before")
    @classmethod
    def _of_its_first(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        said = cast("dict[str, Any]", given)
        legs = said.get("legs")
        return led_by(said, legs[0]) if isinstance(legs, list | tuple) and legs else said

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        lonely = [coin for coin, legs in self.coins().items() if len(legs) < 2]
        if lonely:
            message = f"legs: {lonely[0]} is named at one venue only; a pair needs two"
            raise ValueError(message)
        return self

    def coins(self) -> dict[str, list[Market]]:
        """List the swaps of every coin, by what they are called before the slash, in the order given."""
        found: defaultdict[str, list[Market]] = defaultdict(list)
        for leg in self.legs:
            found[leg.symbol.partition("/")[0]].append(leg.market)
        return dict(found)

    def wants_rates(self) -> tuple[Market, ...]:
        """All its swaps."""
        return tuple(leg.market for leg in self.legs)

    @property
    def terms(self) -> Terms:
        """When a pair is worth entering."""
        return Terms(self.min_profit, self.horizon_hours, self.slippage_buffer, self.max_basis)

    def propose(self, scene: Scene) -> Proposals:
        """Propose a pair for each coin that pays, the best first, and the end of those that wait in vain."""
        ranked = sorted(self.paying(scene).items(), key=lambda one: (-one[1].net, one[0]))
        paying = {coin for coin, _ in ranked}
        stops = tuple(Stop(one.id, reason="pays no more") for one in scene.mine if self._is_idle(one, scene, paying))
        return Proposals((*stops, *(Create(coin.lower(), self._pair(coin)) for coin, _ in ranked)))

    def paying(self, scene: Scene) -> dict[str, Choice]:
        """Return the best pair of every coin that may be entered now."""
        found: dict[str, Choice] = {}
        for coin, markets in self.coins().items():
            choice = best_pair(self.terms, [self._candidate(market, scene) for market in markets])
            if choice is not None and pays(self.terms, choice):
                found[coin] = choice
        return found

    def _candidate(self, market: Market, scene: Scene) -> Candidate:
        rate, quote = scene.rates.get(market), scene.quotes.get(market)
        known = rate is not None and scene.now <= rate.ts + timedelta(seconds=RATE_INTERVALS * rate.interval_s)
        fresh = quote is not None and quote.objection(scene.now, scene.max_price_age_s) is None
        return Candidate(
            market, per_hour(rate.rate, rate.interval_s) if rate is not None and known else None, max(self.taker, ZERO),
            quote.mid if quote is not None and fresh else None,
        )  # fmt: skip

    def _is_idle(self, one: Mine, scene: Scene, paying: set[str]) -> bool:
        age_s = 0 if one.created_at is None else (scene.now - one.created_at).total_seconds()
        waits = one.status is Status.RUNNING and not one.holds and age_s >= self.executor_refresh_time
        return waits and one.level_id.upper() not in {coin.upper() for coin in paying}

    def _pair(self, coin: str) -> dict[str, Any]:
        legs = [{"venue": venue, "symbol": symbol} for venue, symbol in self.coins()[coin]]
        size = self.total_amount_quote * self.leverage / (2 * self.max_executors)
        told = {
            "kind": "funding_arb", **legs[0], "legs": legs, "size_quote": plain(size.quantize(Decimal("0.01"))),
            "leverage": self.leverage, "min_profit": self.min_profit, "horizon_hours": self.horizon_hours,
            "slippage_buffer": self.slippage_buffer, "max_basis": self.max_basis,
        }  # fmt: skip
        return told | self.pair
