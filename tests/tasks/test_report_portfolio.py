"""The bots of a report in sum: money to the last digit, curves at every moment that any of them knows."""

import dataclasses
from decimal import Decimal

import numpy as np
import pytest

from tasks import report_charts as charts
from tasks import report_stats as stats
from tasks.report_data import Beside, BotReport, Proof
from tasks.report_html import render_html
from tasks.report_portfolio import whole_of
from tests.tasks import report_demo as demo


def two_bots() -> tuple[BotReport, BotReport]:
    """A bot over two days, and one over the second of them alone."""
    candles = demo.walked_candles(2_880)
    late = demo.played(candles.iloc[1_440:].reset_index(drop=True), levels=6)
    return demo.played(candles, levels=12), dataclasses.replace(late, bot_id="late")


def test_money_and_curves_are_added() -> None:
    """Sums are exact; before its first sample a bot is worth its capital; months and bridge add up as for one bot."""
    one, late = two_bots()
    whole = whole_of(demo.report(one, late))
    assert whole is not None
    assert whole.summary.net_pnl == one.summary.net_pnl + late.summary.net_pnl
    assert whole.summary.fills == len(whole.fills) == len(one.fills) + len(late.fills)
    first, last = whole.equity["equity"].iloc[0], whole.equity["equity"].iloc[-1]
    assert first == pytest.approx(float(one.equity["equity"].iloc[0] + late.capital_quote))
    assert last == pytest.approx(float(one.equity["equity"].iloc[-1] + late.equity["equity"].iloc[-1]))
    assert last - float(whole.capital_quote) == pytest.approx(float(whole.summary.net_pnl))
    assert list(whole.equity["ts"]) == sorted({*one.equity["ts"], *late.equity["ts"]})
    assert stats.bridge_steps(whole.summary)[-1].value == whole.summary.net_pnl


def test_one_bot_or_two_assets_have_no_sum() -> None:
    """Nothing is added where there is nothing to add, or where the sum would mean nothing."""
    one, late = two_bots()
    assert whole_of(demo.report(one)) is None
    assert whole_of(demo.report(one, dataclasses.replace(late, quote_asset="EUR"))) is None


def test_page_of_two_bots_shows_both_together() -> None:
    """The sum stands before the bots; a bot without data changes nothing."""
    page = render_html(demo.report(*two_bots(), demo.empty_bot()))
    assert page.index("All bots together") < page.index('id="bot0"')
    assert "All bots together" in render_html(demo.report(demo.empty_bot("a1"), demo.empty_bot("b1")))


def test_hedge_stands_in_bridge_exposure_and_ratios() -> None:
    """The other market has a bar of its own, its own line, and net is the sum of both at every moment."""
    bot, _ = two_bots()
    frame = bot.equity.assign(exposure_quote=-100.0)[["ts", "exposure_quote"]].iloc[10:]
    beside = Beside(venue="perp", symbol="BTC/USDT:USDT", profit=Decimal("-3.5"), fills=4, frame=frame)
    summary = dataclasses.replace(bot.summary, hedge=Decimal("-3.5"), net_pnl=bot.summary.net_pnl - Decimal("3.5"))
    hedged = dataclasses.replace(bot, beside=(beside,), summary=summary, leverage=5)
    steps = stats.bridge_steps(summary)
    assert [step.name for step in steps] == ["Grid profit", "Floating", "Hedge", "Fees", "Funding", "Net"]
    assert [step.name for step in stats.bridge_steps(summary, "funding_arb")][:3] == [
        "First leg",
        "Floating",
        "Other leg",
    ]
    own, theirs, net, margin, _ = charts.exposure_figure(hedged)["traces"]
    assert (theirs["y"][9], theirs["y"][10]) == (0.0, -100.0)
    assert np.allclose(np.add(own["y"], theirs["y"]), net["y"], atol=1e-4)
    assert np.allclose(np.add(np.abs(own["y"]), np.abs(theirs["y"])) / 5, margin["y"], rtol=1e-6)
    page = render_html(demo.report(hedged))
    assert "Of BTC/USDT:USDT, before fees" in page
    assert "margin at leverage 5" in page
    pair = dataclasses.replace(hedged, kind="funding_arb", beside=(dataclasses.replace(beside, symbol=bot.symbol),))
    page = render_html(demo.report(pair))
    assert f"Of {bot.symbol} at perp, before fees" in page
    assert "Both legs" in page
    assert "Grid profit" not in page


@pytest.mark.parametrize(("share", "said"), [(0.02, "within what candles can show"), (0.11, "not proven")])
def test_page_says_what_is_not_proven(share: float, said: str) -> None:
    """Above a tenth of the profit from inside single bars the result is called not proven; the other rules are shown."""
    proof = Proof(
        net_touch=Decimal("12.5"), net_cross=Decimal(10), net_worst=Decimal("-4.25"), inside_trips=7, inside_share=share,
        ambiguous_bars=9, share_most=0.10,
    )  # fmt: skip
    page = render_html(demo.report(dataclasses.replace(two_bots()[0], proof=proof)))
    for word in (said, "+12.50", "+10.00", "\u22124.25", "Round trips inside one bar"):
        assert word in page
