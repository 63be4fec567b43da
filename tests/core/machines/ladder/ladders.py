"""Ladders for tests: configurations, ready bots, and whole runs as values."""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from core.engine import BotSpec, Limits
from core.machines.ladder import machine
from core.machines.ladder.config import LadderConfig, prepare
from core.market import Instrument, Intrabar
from core.simbook import FillRules
from core.simulation import Account
from tests.core.worlds import D, Run, account, candles, instrument, random_steps, run, swap, world


def ladder(**changes: Any) -> LadderConfig:
    """Five trades of 0.1 evenly between 98 and 102, one per cent each, unless told otherwise."""
    values: dict[str, Any] = {
        "id": "l", "venue": "spot", "symbol": "BTC/USDT", "min_price": 98, "max_price": 102, "count": 5, "qty": "0.1",
        "profit": "0.01",
    }  # fmt: skip
    values |= changes
    return LadderConfig(**{name: value for name, value in values.items() if value is not None})


def spec_of(config: LadderConfig, rules: Instrument) -> BotSpec:
    """Make the bot ready."""
    ready = prepare(config, {rules.market: rules})
    return BotSpec(
        bot_id=config.id, kind="ladder", token="test", machine=machine, plan=ready.plan, instrument=rules,
        capital_quote=ready.capital_quote, places=ready.places, step_min=ready.step_min,
        max_position_size=config.max_position_size, max_drawdown=config.max_drawdown,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run before it starts; everything in it is a value, so it can be run again and again."""

    config: LadderConfig
    rules: Instrument
    limits: Limits
    fills: FillRules
    steps: tuple[int, ...]
    intrabar: Intrabar

    def account(self) -> Account:
        """A fresh account."""
        return account(self.rules, self.fills)

    def run(self, at: Account | None = None, *, jump: bool = True) -> Run:
        """Run it from the start."""
        start = world(spec_of(self.config, self.rules), limits=self.limits)
        return run(start, at or self.account(), candles(self.steps), jump=jump, intrabar=self.intrabar)


def maybe(*values: Any) -> st.SearchStrategy[Any]:
    """Nothing more often than not, else one of the values."""
    return st.none() | st.none() | st.sampled_from(values)


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """Runs of up to a hundred candles around 100, on spot and on a swap, with every option of a ladder."""
    fees = {"maker": D(draw(st.sampled_from(["0.0002", "0"]))), "taker": D("0.0005")}
    rules = swap(**fees) if draw(st.booleans()) else instrument(**fees, fee_in_base=draw(st.booleans()))
    normal = draw(st.booleans())
    config = ladder(
        venue=rules.venue, symbol=rules.symbol, distribution="normal" if normal else "linear",
        min_price=draw(st.sampled_from([90, 97, 99])), max_price=draw(st.sampled_from([101, 103, 110])),
        count=draw(st.integers(1, 12)), profit=draw(st.sampled_from(["0.002", "0.01", "0.03"])),
        mean=draw(maybe(100, "99.5")) if normal else None, sigma=draw(maybe(1, 3)) if normal else None,
        loop=draw(st.booleans()), above_market=draw(st.sampled_from(["wait", "enter"])),
        maker_offset_buy=draw(st.sampled_from([0, "0.05", "0.4"])),
        maker_offset_sell=draw(st.sampled_from([0, "0.05", "0.4"])),
        max_position_size=draw(maybe("0.2", "0.5")), max_drawdown=draw(maybe("0.005")),
    )  # fmt: skip
    fills = FillRules(
        cross=draw(st.booleans()), latency_s=draw(st.sampled_from([0.0, 7.0, 70.0])),
        spread=D(draw(st.sampled_from(["0", "0.0004"]))), slippage=D(draw(st.sampled_from(["0", "0.001"]))),
    )  # fmt: skip
    limits = Limits(max_exposure_quote=draw(maybe(D(20), D(45))), max_drawdown=draw(maybe(D("0.01"))))
    steps = random_steps(
        draw(st.integers(0, 10**6)), draw(st.sampled_from([80, 200, 400])), draw(st.sampled_from([10, 40, 90]))
    )
    return Scenario(config, rules, limits, fills, tuple(steps), draw(st.sampled_from(list(Intrabar))))
