"""Controllers at work in a portfolio: executors created, renewed, stored, across restarts."""

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.tasks.played import START, play, stored, write_candles, write_portfolio

LADDER = """
controllers:
  - {id: mm, controller_name: maker_ladder, venue: spot, symbol: COIN/USDT, total_amount_quote: 300,
     buy_spreads: [0.002, 0.004], executor_refresh_time: 300, tick_size: 0.01, lot_step: 0.01, cooldown_time: 0,
     triple_barrier: {take_profit: 0.003, take_profit_order_type: LIMIT, stop_loss: 0.05, time_limit: 3600}%s}
"""


@pytest.fixture
def portfolio(tmp_path: Path) -> Path:
    """Return a portfolio over 400 made-up candles, with a maker ladder."""
    file = write_portfolio(tmp_path, write_candles(tmp_path / "candles.csv", 400))
    file.write_text(file.read_text() + LADDER % "")
    return file


def memory(file: Path) -> dict[str, Any]:
    """What the controllers remember."""
    return json.loads((file.parent / "data" / "controllers.json").read_text())


def test_a_maker_ladder_works_and_survives_restarts(portfolio: Path) -> None:
    """Levels are laid, renewed and stored; ids are never given twice; at most two live at once, before and after a restart."""
    alive: list[int] = []

    def count(_: int, session: Any) -> None:
        alive.append(sum(1 for name in session.world.bots if name.startswith("mm")))

    play(portfolio, 120, count)
    play(portfolio, 120, count)
    created = [row[0] for row in stored(portfolio, "SELECT bot_id FROM journal WHERE decision = 'CREATE'")]
    assert len(created) == len(set(created)) >= 4
    assert max(alive) <= 4  # two at work, two that are over and not stored yet
    assert memory(portfolio)["mm"]["next"] == len(created)
    assert stored(portfolio, "SELECT count(*) FROM journal WHERE decision = 'NOT_OBEYED'") == [(0,)]
    assert stored(portfolio, "SELECT count(*) FROM fills WHERE bot_id LIKE 'mm%'")[0][0] > 0
    assert stored(portfolio, "SELECT count(*) FROM incidents WHERE severity = 'critical'") == [(0,)]


def test_what_stored_executors_won_is_remembered(portfolio: Path) -> None:
    """Profit of executors that left memory is, to the last digit, what their raw executions brought."""
    standing: list[set[str]] = []
    play(portfolio, 250, lambda _, session: standing.append(set(session.world.bots)))
    gone = sorted(set().union(*standing) - set(memory(portfolio)["mm"]["levels"]) - {"g1"})
    rows = stored(portfolio, "SELECT bot_id, side, price, qty, fee, fee_asset FROM fills WHERE bot_id LIKE 'mm%'")
    won = Decimal(0)
    for bot, side, price, qty, fee, asset in rows:
        if bot in gone:
            won += price * qty * (1 if side == "sell" else -1) - (fee if asset == "USDT" else fee * price)
    assert gone
    assert won != 0
    assert abs(Decimal(memory(portfolio)["mm"]["won"]) - won) <= Decimal("1E-8") * len(rows)


def test_the_kill_switch_closes_all_and_creates_nothing(portfolio: Path) -> None:
    """Set in the file: executors are stopped, what they held is sold, and none is created any more."""
    play(portfolio, 60)
    portfolio.write_text(
        portfolio.read_text().replace("cooldown_time: 0", "cooldown_time: 0, manual_kill_switch: true")
    )
    before = memory(portfolio)["mm"]["next"]
    play(portfolio, 60)
    assert memory(portfolio)["mm"]["next"] == before
    assert memory(portfolio)["mm"]["levels"] == {}
    held = "SELECT sum(CASE side WHEN 'buy' THEN qty ELSE -qty END) FROM fills WHERE bot_id LIKE 'mm%'"
    left = stored(portfolio, held)[0][0]
    assert left is None or abs(left) < Decimal("0.01")


def test_a_refused_creation_is_said_and_rests(portfolio: Path) -> None:
    """Levels below the exchange's minimum: refused with the reason, after 1, 2, 4, 8 minutes and not at every tick."""
    portfolio.write_text(portfolio.read_text().replace("total_amount_quote: 300,", "total_amount_quote: 0.5,"))
    play(portfolio, 20)
    refused = stored(portfolio, "SELECT reason FROM journal WHERE decision = 'NOT_OBEYED'")
    assert len(refused) == 2 * 5  # two levels, at minutes 0, 1, 3, 7 and 15
    assert "amount" in refused[0][0]


def test_the_funding_scanner_opens_a_pair_where_recorded_rates_differ(tmp_path: Path) -> None:
    """Two swap venues over played candles with funding files: it creates the executor, which goes in on both sides."""
    candles = write_candles(tmp_path / "candles.csv", 200)
    rows = {"a": "0.0000", "b": "0.0100"}
    for name, rate in rows.items():
        times = [START + timedelta(minutes=30 * i) for i in range(6)]
        lines = ["timestamp,funding_rate", *(f"{at},{rate}" for at in times)]
        (tmp_path / f"{name}.funding.csv").write_text("\n".join(lines) + "\n")
    rule = '{"COIN/USDT:USDT": {tick_size: 0.01, lot_step: 0.001, min_qty: 0.001, min_notional: 1, maker: 0.0002, taker: 0.0005}}'
    legs = '[{venue: a, symbol: "COIN/USDT:USDT"}, {venue: b, symbol: "COIN/USDT:USDT"}]'
    file = tmp_path / "portfolio.yaml"
    file.write_text(
        f"""\
id: scan
mode: paper
data_dir: data
venues:
  - {{id: a, exchange: binanceusdm, market: swap, instruments: {rule}}}
  - {{id: b, exchange: bybit, market: swap, instruments: {rule}}}
feed: {{kind: candles, speed: candle, paths: {{a: {candles}, b: {candles}}}, funding: {{a: a.funding.csv, b: b.funding.csv}}}}
bots:
  - {{id: eyes, kind: watch, legs: {legs}}}
controllers:
  - {{id: fs, controller_name: funding_scanner, total_amount_quote: 2000, max_executors: 1,
     legs: {legs}}}
"""
    )
    play(file, 90)
    assert stored(file, "SELECT reason FROM journal WHERE decision = 'NOT_OBEYED'") == []
    held = stored(
        file,
        "SELECT venue, sum(CASE side WHEN 'buy' THEN qty ELSE -qty END) FROM fills WHERE bot_id LIKE 'fs%' "
        "GROUP BY venue ORDER BY venue",
    )
    assert [venue for venue, _ in held] == ["a", "b"]
    assert held[0][1] == -held[1][1] > 0
