"""The report as one HTML file that needs nothing else: no server, no network, no file beside it.

plotly.js and the series travel compressed inside the page and are unpacked by the browser, which keeps three years of
minutes below five megabytes. The page's Content-Security-Policy forbids every request and every script but the two
whose hashes it names, so that even text that slipped past the escaping could neither run nor report anything.
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from tasks import report_charts as charts
from tasks import report_tables as tables
from tasks.report_data import BotReport, BotSummary, ReportData
from tasks.report_format import duration, moment, span
from tasks.report_portfolio import whole_of
from tasks.report_stats import bridge_steps, complete_summary, months_of, summarise_trips
from tasks.report_theme import DARK, LIGHT, css_variables

SHORT_SPAN_DAYS = 90
STALE_PRICE_S = 60.0


def write_html(data: ReportData, path: Path) -> Path:
    """Write the report to `path` in one step and return the path. Raises OSError where it cannot be written."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    beside.write_text(render_html(data), encoding="utf-8")
    return beside.replace(path)


def render_html(data: ReportData) -> str:
    """Return the whole page as text."""
    script = _own("report_page.js")
    plotly = _plotly()
    summaries = [complete_summary(bot) for bot in data.bots]
    pairs = list(zip(data.bots, summaries, strict=True))
    parts = [_bot_part(data, place, bot, summary) for place, (bot, summary) in enumerate(pairs)]
    whole = whole_of(data)
    drawn = pairs if whole is None else [*pairs, (whole, complete_summary(whole))]
    figures = {"palettes": {"light": LIGHT, "dark": DARK}, "bots": [_figures(bot, summary) for bot, summary in drawn]}
    series = [charts.series_of(bot, len(drawn)) for bot, _ in pairs]
    if whole is not None:
        # Prices of several markets in one picture would say nothing.
        series.append(charts.series_of(replace(whole, fills=whole.fills[:0]), len(drawn)))
    overview = ""
    if len(data.bots) != 1:
        overview = f"<section class=card><h2>Bots</h2>{tables.bots_table(data, summaries)}</section>"
    if whole is not None:
        overview = _whole_part(data, len(pairs), *drawn[-1]) + overview
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}' '{_hash(plotly)}'; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{escape(data.title)}</title><style>{css_variables()}{_own('report_page.css')}</style></head>"
        f"<body>{_header(data)}<main>{overview}{''.join(parts)}{_provenance(data)}</main>"
        f'<script type="application/json" id="figures">{_json(figures)}</script>'
        f'<script type="application/gzip" id="series">{_packed(_json(series))}</script>'
        f'<script type="application/gzip" id="plotly">{_packed_plotly()}</script>'
        f"<script>{script}</script></body></html>\n"
    )


def _header(data: ReportData) -> str:
    band = ""
    if data.synthetic:
        band = (
            '<p class="band" role="alert"><strong>Synthetic data</strong> These prices were generated. No market ever '
            "traded them; the result says nothing about real money.</p>"
        )
    days = ""
    if data.data_from is not None and data.data_to is not None:
        days = f", {span((data.data_to - data.data_from).total_seconds())}"
    facts = [
        ("Data", f"{moment(data.data_from)} to {moment(data.data_to)} UTC{days}", ""),
        ("Written", f"{moment(data.generated_at, seconds=True)} UTC", ""),
        ("Version", data.code_version, ""),
    ]
    if data.data_age_s is None:
        facts.insert(1, ("Newest price", "historical", ""))
    else:
        stale = "stale" if data.data_age_s > STALE_PRICE_S else ""
        facts.insert(1, ("Newest price", f"{duration(data.data_age_s)} old when written", stale))
    items = "".join(
        f'<div class="{kind}"><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>' for name, value, kind in facts
    )
    mode = escape(data.mode)
    synthetic = "<span class='badge synthetic'>synthetic data</span>" if data.synthetic else ""
    written = data.generated_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return (
        f"{band}<header><p class=brand>gridkeeper</p><div class=title><h1>{escape(data.title)}</h1>"
        f'<span class="badge mode">{mode}</span>{synthetic}</div>'
        f'<dl class=facts data-written="{written}">{items}</dl></header>'
    )


def _bot_part(data: ReportData, place: int, bot: BotReport, summary: BotSummary) -> str:
    who = f"{bot.kind} on {bot.venue}, {bot.symbol}, {bot.side.lower()}"
    shown = min(len(bot.fills), tables.LAST_FILLS_SHOWN)
    since = f", running since {moment(summary.started_at)} UTC" if summary.started_at else ""
    return (
        f'<article id="bot{place}">'
        f'<div class="bot-head"><h2>{escape(bot.bot_id)}</h2><p>{escape(who + since)}</p></div>'
        f"{tables.tiles(bot, summary)}{_short_span(data)}"
        f"{_proof_card(bot)}{_price_card(place, bot)}{_equity_card(place, bot)}{_exposure_card(place, bot)}"
        f"<div class=two>{_bridge_card(place, bot)}"
        f"<section class=card><h3>Round trips and ratios</h3>"
        f"{tables.ratios_list(bot, summary, summarise_trips(bot.fills))}</section></div>"
        f"<section class=card><h3>Months</h3>{tables.months_table(months_of(bot), bot.quote_asset)}</section>"
        f"<section class=card><div class=head><h3>Levels</h3>{tables.levels_legend(bot)}</div>"
        f"{tables.levels_table(bot)}</section>"
        f"<section class=card><div class=head><h3>Last fills</h3>"
        f"<p class=legend>the newest {shown} of {len(bot.fills):,}</p></div>"
        f"{tables.fills_table(bot)}</section></article>"
    )


def _short_span(data: ReportData) -> str:
    if data.data_from is None or data.data_to is None:
        return ""
    days = round((data.data_to - data.data_from).total_seconds() / 86_400)
    if days >= SHORT_SPAN_DAYS:
        return ""
    return f"<p class=hint>Yearly figures are projected from {days} days; read them with care.</p>"


def _whole_part(data: ReportData, place: int, whole: BotReport, summary: BotSummary) -> str:
    return (
        f'<article id="bot{place}"><div class="bot-head"><h2>All bots together</h2></div>'
        f"{tables.tiles(whole, summary)}{_short_span(data)}"
        f"{_equity_card(place, whole)}{_exposure_card(place, whole)}<div class=two>{_bridge_card(place, whole)}"
        f"<section class=card><h3>Months</h3>{tables.months_table(months_of(whole), whole.quote_asset)}</section></div>"
        "</article>"
    )


def _price_card(place: int, bot: BotReport) -> str:
    if bot.candles.empty:
        return "<section class=card><h3>Price</h3><p class=empty>No candles in this span yet.</p></section>"
    keys = (
        "<span class='key triangle buy'>buy</span><span class='key triangle sell'>sell</span>"
        "<span class='key rule working'>working</span><span class='key rule holding'>holding</span>"
        "<span class='key rule idle'>not working</span>"
    )
    choices = ((1, "1 d"), (7, "7 d"), (30, "30 d"), (365, "1 y"), (0, "All"))
    spans = "".join(f"<button type=button data-days={days}>{name}</button>" for days, name in choices)
    return (
        f"<section class=card><div class=head><h3>Price, levels and fills</h3><div class=spans role=group "
        f'aria-label="Visible span" data-bot="{place}">{spans}</div></div><p class=legend>{keys}'
        f'<span class="note" id="note{place}"></span></p>'
        f'<div class="chart price" id="price{place}" role=img aria-label="Price with the levels of the bot and its '
        f'fills; below it the inventory"></div></section>'
    )


def _equity_card(place: int, bot: BotReport) -> str:
    if bot.equity.empty:
        return "<section class=card><h3>Equity</h3><p class=empty>No equity recorded yet.</p></section>"
    return (
        "<section class=card><div class=head><h3>Equity and drawdown</h3></div><p class=legend>"
        "<span class='key rule accent'>equity</span><span class='key rule hold'>buy and hold</span>"
        "<span class='key rule bad'>drawdown</span></p>"
        f'<div class="chart equity" id="equity{place}" role=img aria-label="Equity against buy and hold; below it '
        f'the drawdown"></div></section>'
    )


def _exposure_card(place: int, bot: BotReport) -> str:
    if bot.equity.empty:
        return ""
    keys = "".join(f"<span class='key rule {kind}'>{escape(name)}</span>" for kind, name in charts.exposure_names(bot))
    return (
        f"<section class=card><h3>Exposure{' and margin' if bot.leverage > 1 else ''}</h3><p class=legend>{keys}</p>"
        f'<div class="chart exposure" id="exposure{place}" role=img aria-label="Value at stake over time, against the '
        'capital"></div></section>'
    )


def _proof_card(bot: BotReport) -> str:
    proof = bot.proof
    if proof is None:
        return ""
    doubted = proof.inside_share is not None and proof.inside_share > proof.share_most
    kind, word = ("warn", "not proven") if doubted else ("", "within what candles can show")
    return (
        f"<section class=card><div class=head><h3>How far this can be believed</h3><span class='badge {kind}'>{word}</span>"
        f"</div>{tables.proof_list(proof, bot.quote_asset)}</section>"
    )


def _bridge_card(place: int, bot: BotReport) -> str:
    return (
        f"<section class=card><div class=head><h3>Where the profit comes from</h3>"
        f"<p class=legend>{escape(bot.quote_asset)}</p></div>"
        f'<div class="chart bridge" id="bridge{place}" role=img aria-label="Net profit as the sum of its parts"></div>'
        "</section>"
    )


def _provenance(data: ReportData) -> str:
    notes = ""
    if data.notes:
        items = "".join(f"<li>{escape(note)}</li>" for note in data.notes)
        notes = f"<section class=card><h3>Notes</h3><ul>{items}</ul></section>"
    rules = ""
    if data.fill_rules:
        rules = f"<section class=card><h3>Fill rules</h3>{tables.pairs_list(list(data.fill_rules.items()))}</section>"
    config = ""
    if data.config_yaml:
        config = (
            "<section class=card><h3>Configuration</h3>"
            f"<pre tabindex=0>{escape(data.config_yaml.strip())}</pre></section>"
        )
    return (
        f'<div class="two top">{rules}{config}</div>{notes}'
        "<footer>Times are UTC, open lots are marked at the last price, a dash means that a number has no meaning "
        "here. The formulas stand in docs/metrics.md.</footer>"
    )


def _figures(bot: BotReport, summary: BotSummary) -> dict[str, Any]:
    drawn: dict[str, Any] = {"bridge": charts.bridge_figure(bridge_steps(summary, bot.kind))}
    if not bot.candles.empty:
        drawn["price"] = charts.price_figure(bot)
    if not bot.equity.empty:
        drawn["equity"] = charts.equity_figure(bot)
        drawn["exposure"] = charts.exposure_figure(bot)
    return drawn


# "<" and its kin are written as escapes, so that no text can end the script element it stands in.
def _json(value: dict[str, Any] | Sequence[Any]) -> str:
    written = json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=True)
    return written.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


# The time in a gzip header is left out, so that equal data gives an equal file.
def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=9, mtime=0)).decode()


def _hash(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _own(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8").strip()


@cache
def _plotly() -> str:
    return files("plotly").joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8")


@cache
def _packed_plotly() -> str:
    return _packed(_plotly())
