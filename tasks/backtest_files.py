"""What `backtest --out` leaves behind: fills and equity as Parquet, the report, its pictures."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from core.lots import fee_in_quote
from core.orders import decode
from core.values import ZERO, plain, total
from tasks.backtest_beside import Booked, beside_of, booked_of, floating_in
from tasks.backtest_doubt import SHARE_MOST
from tasks.backtest_figures import closed_profits, curve_of, is_initial
from tasks.backtesting import Run
from tasks.report_data import Beside, BotReport, BotSummary, Proof, ReportData
from tasks.report_format import moment
from tasks.report_html import write_html
from tasks.report_png import write_pngs
from tasks.version import code_version


def write_files(made: Run, out: str | Path) -> list[Path]:
    """Write everything into `out`, which is made where it is missing; returns the paths."""
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    report = report_of(made)
    written = [folder / "fills.parquet", folder / "equity.parquet"]
    report.bots[0].fills.to_parquet(written[0])
    report.bots[0].equity.to_parquet(written[1])
    written.append(write_html(report, folder / "report.html"))
    return [*written, *write_pngs(report, folder)]


def report_of(made: Run) -> ReportData:
    """Turn a finished backtest into what the report's writers take."""
    first, last = _stamp(made.series.ts_ms(0)), _stamp(made.series.ts_ms(len(made.series) - 1))
    options = made.options
    return ReportData(
        title=f"Backtest of {made.bot.id}: {made.bot.kind} on {made.bot.symbol}",
        mode="backtest",
        synthetic=False,
        generated_at=datetime.now(UTC).replace(tzinfo=None),
        data_from=first,
        data_to=last,
        data_age_s=None,
        code_version=code_version(),
        config_yaml=_config(made),
        fill_rules={
            "candles": f"{len(made.series):,} of {made.timeframe}, {moment(first)} to {moment(last)} UTC",
            "path inside a bar": options.intrabar,
            "a limit fills when the path": "reaches it" if options.fill == "touch" else "trades through it by one tick",
            "latency": f"{options.latency_s:g} s",
            "spread": f"{plain(options.spread * 10_000)} bps",
            "slippage": f"{plain(options.slippage * 10_000)} bps",
            "share of a bar's volume": "any"
            if options.participation is None
            else f"{plain(options.participation * 100)} %",
            "maker and taker fee": f"{made.spec.instrument.maker:f} and {made.spec.instrument.taker:f} of notional",
        },
        bots=(_bot(made, first),),
        # What other fill rules would have given has a table of its own.
        notes=tuple(remark for remark in made.remarks if not remark.startswith("net PnL at touch")),
    )


def _bot(made: Run, first: datetime) -> BotReport:
    bot, spec = made.bot, made.spec
    booked = booked_of(made)
    beside = beside_of(made, booked)
    return BotReport(
        bot_id=bot.id, kind=bot.kind, venue=bot.venue, symbol=bot.symbol, side="BUY" if spec.long else "SELL",
        quote_asset=spec.instrument.quote, base_asset=spec.instrument.base, capital_quote=spec.capital_quote,
        candles=_candles(made), levels=_levels(made), fills=_fills(made, booked), equity=_equity(made),
        summary=_summary(made, first, booked, beside),
        beside=beside, leverage=bot.leverage, proof=_proof(made.figures),
    )  # fmt: skip


def _proof(figures: Mapping[str, Any]) -> Proof | None:
    if "round_trips_inside_bar" not in figures:
        return None
    nets = {rule: figures.get(f"net_pnl_{rule}") for rule in ("touch", "cross", "worst")}
    return Proof(
        **{f"net_{rule}": None if net is None else _decimal(net) for rule, net in nets.items()},
        inside_trips=figures["round_trips_inside_bar"], inside_share=figures["inside_bar_share"],
        ambiguous_bars=figures["ambiguous_bars"], share_most=float(SHARE_MOST),
    )  # fmt: skip


def _candles(made: Run) -> pd.DataFrame:
    series: Any = made.series
    unit = 10.0**series.scale
    columns = {name: np.asarray(getattr(series, name)) / unit for name in ("open", "high", "low", "close")}
    stamps = pd.to_datetime(np.asarray(series.ts), unit="ms")
    return pd.DataFrame({"ts": stamps, **columns, "volume": np.asarray(series.volume) / 10.0**series.volume_scale})


def _levels(made: Run) -> pd.DataFrame:
    rows = made.result.world.bots[made.bot.id].shown
    return pd.DataFrame(
        [
            {
                "level": index, "entry_price": float(row.view.entry_price), "exit_price": float(row.view.exit_price),
                "state": row.state, "reason": row.reason, "qty": float(row.view.qty),
            }
            for index, row in sorted(rows.items())
        ],
        columns=["level", "entry_price", "exit_price", "state", "reason", "qty"],
    )  # fmt: skip


def _fills(made: Run, booked: Booked) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    # The fills of other markets have prices of their own and stand in `Beside`.
    own = made.spec.instrument.market
    for fill, gained in booked.fills:
        if (fill.venue, fill.symbol) != own:
            continue
        who = decode(fill.client_id)
        rows.append(
            {
                "ts": fill.ts, "side": fill.side.value, "role": who.role.name.lower() if who is not None else "",
                "price": float(fill.price), "qty": float(fill.qty),
                "fee_quote": float(fee_in_quote(fill, made.spec.rule((fill.venue, fill.symbol))) or ZERO),
                "realized_pnl": None if gained is None else float(gained),
                "leg_id": who.leg_id if who is not None else "",
            }
        )  # fmt: skip
    columns = ["ts", "side", "role", "price", "qty", "fee_quote", "realized_pnl", "leg_id"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.assign(ts=pd.to_datetime(frame["ts"]))


def _equity(made: Run) -> pd.DataFrame:
    curve = curve_of(made)
    return pd.DataFrame(
        {
            "ts": pd.to_datetime(curve.ts_ms, unit="ms"), "equity": curve.equity, "hold_equity": curve.hold,
            "drawdown": curve.drawdown, "exposure_quote": curve.exposure, "inventory_base": curve.inventory,
        }
    )  # fmt: skip


def _summary(made: Run, first: datetime, booked: Booked, beside: Sequence[Beside]) -> BotSummary:
    bot = made.result.world.bots[made.bot.id]
    figures = made.figures
    closed = closed_profits(made)
    floating = _decimal(figures["unrealized_pnl"])
    own = made.spec.instrument.market
    return BotSummary(
        net_pnl=_decimal(figures["net_pnl"]), realized_pnl=bot.realized, unrealized_pnl=floating,
        grid_profit=booked.grid_profit.get(own, ZERO) if beside else bot.grid_profit,
        floating=floating_in(made, own) if beside else floating,
        hedge=total(one.profit for one in beside) if beside else None,
        fees=bot.fees, funding=bot.funding, round_trips=bot.round_trips, fills=len(made.fills),
        fills_initial=sum(1 for fill in made.fills if is_initial(fill)),
        win_rate=figures["win_rate"] if closed else None, max_drawdown=figures["max_drawdown"], sharpe=figures["sharpe"],
        sortino=figures["sortino"], exposure_max=_decimal(figures["exposure_max"]), apr=None, started_at=first,
    )  # fmt: skip


def _config(made: Run) -> str:
    import yaml

    plain_data = made.bot.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    return yaml.safe_dump({"kind": made.bot.kind, **plain_data}, sort_keys=False)


def _decimal(text: str) -> Any:
    from decimal import Decimal

    return Decimal(text)


def _stamp(ts_ms: int) -> datetime:
    return datetime.fromtimestamp(ts_ms / 1000, UTC).replace(tzinfo=None)
