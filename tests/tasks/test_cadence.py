"""A market maker that must hear of its fills: at which intervals it may run, and what is said where it may not."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.portfolio import Portfolio
from tasks.cadence import SEEN_MAX_S, objection_to, refuse_slow
from tasks.cli import main
from tasks.errors import Refused
from tasks.settings import load_portfolio

TEXT = """\
id: cadence
mode: {mode}
data_dir: data
venues:
  - {{id: spot, exchange: binance, market: spot, api_key: k, secret: s, streams: {spot}}}
  - {{id: perp, exchange: binanceusdm, market: swap, api_key: k, secret: s, streams: {perp}}}
risk: {{max_exposure_quote: 1000, max_drawdown: 0.1}}
bots:
  - {{id: x, kind: xemm, buying_market: {{venue: spot, symbol: BTC/USDT}}, order_amount: 0.02,
     selling_market: {{venue: perp, symbol: "BTC/USDT:USDT"}}, min_profitability: 0.0005, target_profitability: 0.001,
     max_profitability: 0.002}}
"""


def file_of(folder: Path, mode: str = "demo", spot: str = "false", perp: str = "false") -> Path:
    """A portfolio with one XEMM bot."""
    file = folder / "portfolio.yaml"
    file.write_text(TEXT.format(mode=mode, spot=spot, perp=perp))
    return file


def portfolio(folder: Path, **changes: str) -> Portfolio:
    """The same, read."""
    return load_portfolio(file_of(folder, **changes))


@pytest.mark.parametrize(
    ("changes", "interval_s", "deaf"),
    [
        ({}, 1.0, ""),
        ({}, 1.1, "perp and spot"),
        ({"mode": "live"}, 5.0, "perp and spot"),
        ({"spot": "true"}, 5.0, "perp"),
        ({"spot": "true", "perp": "true"}, 5.0, ""),
        ({"mode": "paper"}, 60.0, ""),
    ],
)
def test_xemm_without_streams_is_refused_above_a_second(
    tmp_path: Path, changes: dict[str, str], interval_s: float, deaf: str
) -> None:
    """RULES 9c: one line names bot, interval, the venues without a stream, and what works."""
    read = portfolio(tmp_path, **changes)
    if not deaf:
        refuse_slow(read, interval_s)
        return
    with pytest.raises(Refused) as refused:
        refuse_slow(read, interval_s)
    said = str(refused.value)
    assert "\n" not in said
    assert said.startswith(f"bots[0].kind: xemm hears of fills {interval_s:g} s apart")
    assert f"late: {deaf} without streams (accepted: --interval 1 or shorter, or streams: true" in said


def test_ticks_as_they_were_seen_may_be_a_little_late(tmp_path: Path) -> None:
    """One that is created while others run is held against the last two ticks: 1.2 s apart is a second, 2 s is not."""
    read = portfolio(tmp_path)
    assert objection_to(read, read.bots[0], 1.2, SEEN_MAX_S) == ""
    assert objection_to(read, read.bots[0], 2, SEEN_MAX_S)


@pytest.mark.parametrize("command", [["run", "--interval", "5"], ["run"], ["up"]])
def test_the_commands_refuse_it_before_anything_is_written(
    tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, by the default interval too; no store, no server, no question to an exchange."""
    file = file_of(tmp_path)
    assert main([*command, "--portfolio", str(file), "--json"]) == 2
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert told["error"]["key"] == "bots[0].kind"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["portfolio.yaml"]
