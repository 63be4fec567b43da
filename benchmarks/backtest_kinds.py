"""Times compiled grids with choices and barriers, ladder and rolling grid against the core on the same bars: the same fills.

CPU time of one process, the machine code in the cache. The bars are W1's. Prints a table and one JSON line.

    python -m benchmarks.backtest_kinds
"""

import json
import time
from typing import Any

from benchmarks.workloads import BARS_A_YEAR, brownian_bars, portfolio_yaml, series
from core.kernel import ArraySeries
from tasks.assemble import instruments_of, limits_of, opening_of, spec_of
from tasks.backtesting import Options, run_spec
from tasks.kernel_kinds import backtest_kernel
from tasks.settings import check
from tasks.yaml_strict import load

RUNS = 5
LADDER: dict[str, Any] = {
    "kind": "ladder", "min_price": 21_000, "max_price": 41_790, "count": 100, "qty": "0.1", "profit": "0.007", "loop": True,
}  # fmt: skip
ROLLING: dict[str, Any] = {
    "kind": "rolling_grid", "quantity": "0.1", "take_profit": "0.006", "grid_step": "0.002", "max_orders": 20, "wait_time": 300,
    "max_margin": 100_000, "requotes": 60,
}  # fmt: skip
RECOVERED: dict[str, Any] = ROLLING | {
    "stop_loss": "0.05", "stuck_distance": "0.012", "position_timeout_minutes": 60, "recovery_rungs": ["0.002", "0.004", "0.006"],
    "recovery_escalation": "market", "recovery_escalation_minutes": 720, "recovery_loss_budget": "0.5",
}  # fmt: skip
GRID: dict[str, Any] = {
    "kind": "grid", "start_price": 21_000, "end_price": 42_000, "levels": 100, "amount_base": "0.1",
}  # fmt: skip
CHOSEN: dict[str, Any] = GRID | {
    "max_open_orders": 5, "activation_bounds": ["0.02", "0.03"], "max_orders_per_batch": 1, "order_frequency": 10,
}  # fmt: skip
GUARDED: dict[str, Any] = GRID | {
    "bot_stop_loss": 100_000, "bot_take_profit": 100_000, "on_range_exit": "close",
    "triple_barrier": {"stop_loss": "0.2", "trailing_stop": {"activation": "0.15", "delta": "0.1"}},
}  # fmt: skip
# Name, bot, how many of the year's bars, how orders fill.
WORK = [
    ("grid of 100, all its barriers set", GUARDED, BARS_A_YEAR, Options()),
    ("grid of 100, five open, in batches", CHOSEN, 20_000, Options()),
    ("ladder of 100, touch, no latency", LADDER, BARS_A_YEAR, Options(intrabar="ohlc", fill="touch", latency_s=0)),
    ("ladder of 100, default rules", LADDER, BARS_A_YEAR, Options()),
    ("rolling grid of 20, default rules", ROLLING, 20_000, Options()),
    ("the same, stuck lots recovered", RECOVERED, 20_000, Options()),
]


def measure(config: dict[str, Any], candles: ArraySeries, options: Options) -> tuple[int, float, float]:
    """Return fills, the kernel's best time and the core's time, both with figures; raises where the engines differ."""
    raw = load(portfolio_yaml(), "w1")
    raw["bots"] = [{"id": "b", "venue": raw["bots"][0]["venue"], "symbol": raw["bots"][0]["symbol"], **config}]
    portfolio = check(raw, {})
    bot = portfolio.bots[0]
    spec = spec_of(bot, instruments_of(portfolio, {}, {}), "test", key="bots[0]")
    opening = opening_of(portfolio.venue(bot.venue), {spec.bot_id: spec})
    took, made = [], None
    for _ in range(RUNS):
        began = time.process_time()
        made = backtest_kernel(bot, spec, candles, "1m", options, limits_of(portfolio), opening)
        took.append(time.process_time() - began)
    began = time.process_time()
    slow = run_spec(portfolio, bot, spec, [candles], "1m", options)
    core_s = time.process_time() - began
    for name in ("fills", "round_trips", "net_pnl", "fees", "max_drawdown"):
        if made is None or made.figures[name] != slow.figures[name]:
            message = f"the engines differ in {name}"
            raise ArithmeticError(message)
    return len(slow.fills), min(took), core_s


def main() -> None:
    """Measure and print."""
    candles = series(brownian_bars(BARS_A_YEAR))
    rows = [(name, bars, *measure(bot, candles.between(0, bars), options)) for name, bot, bars, options in WORK]
    print(f"{'workload':<36} {'bars':>9} {'fills':>7} {'kernel s':>9} {'core s':>8} {'times':>7}")
    for name, bars, fills, kernel_s, core_s in rows:
        print(f"{name:<36} {bars:>9,} {fills:>7,} {kernel_s:>9.4f} {core_s:>8.2f} {core_s / kernel_s:>7,.0f}")
    print(json.dumps({"benchmark": "backtest_kinds", "rows": [
        {"name": name, "bars": bars, "fills": fills, "kernel_cpu_s": round(kernel_s, 5), "core_cpu_s": round(core_s, 3)}
        for name, bars, fills, kernel_s, core_s in rows
    ]}))  # fmt: skip


if __name__ == "__main__":
    main()
