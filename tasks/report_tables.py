"""The written parts of a report as HTML: tiles, tables, lists. Every value from outside is escaped where it enters."""

from collections.abc import Sequence
from decimal import Decimal
from html import escape
from typing import Any

from tasks.part_names import PAIRS, part_names
from tasks.report_data import BotReport, BotSummary, Proof, ReportData, market_name
from tasks.report_format import (
    DASH,
    GAP,
    amount,
    amount_places,
    count,
    duration,
    is_missing,
    moment,
    percent,
    places_of,
    price,
    ratio,
)
from tasks.report_stats import Month, Trips, hold_fraction
from tasks.report_theme import STATE_WORDS, level_class

LAST_FILLS_SHOWN = 25

Cell = tuple[str, str]
"""The class of a table cell and its text, which is escaped already."""


def tile(label: str, value: str, unit: str, of_what: str, tone: str = "") -> str:
    """Return one key number: its label, the value with its unit, and what it is a part of."""
    shown_unit = f"<span class=unit>{escape(unit)}</span>" if unit and value != DASH else ""
    return (
        f'<div class=tile><dt>{escape(label)}</dt><dd><span class="number {tone}">{escape(value)}</span>{shown_unit}'
        f"<small>{escape(of_what)}</small></dd></div>"
    )


def tiles(bot: BotReport, summary: BotSummary) -> str:
    """Return the twelve key numbers of a bot; twelve, so that rows of two, three, four and six all come out even."""
    quote, capital = bot.quote_asset, bot.capital_quote
    held = hold_fraction(bot.equity)
    net_share = f"{_share(summary.net_pnl, capital)} of {amount(capital)} {quote} capital"
    highest_share = f"{_share(summary.exposure_max, capital, signed=False)} of capital"
    trips = f"{count(summary.round_trips)} round trips"
    volume = summary.volume_quote
    fee_bp = f"{ratio(summary.fees / volume * 10_000)} bp of {amount(volume)} traded" if volume else "nothing traded"
    under_water = f"of the peak, longest {duration(summary.drawdown_length_s)}"
    opening = f"{count(summary.fills_initial)} of them to open"
    closed, earned = part_names(bot.kind)[0], summary.grid_profit
    if bot.kind in PAIRS:
        closed, earned = "Both legs", earned + (summary.hedge or Decimal(0))
    funding = "none in this span" if summary.funding == 0 else "received" if summary.funding > 0 else "paid"
    parts = [
        tile("Net profit", amount(summary.net_pnl, signed=True), quote, net_share, tone(summary.net_pnl)),
        tile(closed, amount(earned, signed=True), quote, f"from {trips}, before fees"),
        tile("Floating", amount(summary.floating, signed=True), quote, "open lots at the last price"),
        tile("Fees", amount(summary.fees), quote, fee_bp),
        tile("Funding", amount(summary.funding, signed=True), quote, funding),
        tile("APR", *_percent(summary.apr, signed=True), "of capital a year, not compounded"),
        tile("Buy and hold", *_percent(held, signed=True), "of the same capital, same span"),
        tile("Max drawdown", *_percent(summary.max_drawdown), under_water),
        tile("Win rate", *_percent(summary.win_rate, places=1), f"of {trips}"),
        tile("Fills", count(summary.fills), "", opening),
        tile("Highest exposure", amount(summary.exposure_max), quote, highest_share),
        tile("Sharpe", ratio(summary.sharpe), "", f"of daily returns; Sortino {ratio(summary.sortino)}"),
    ]
    return f"<dl class=tiles>{''.join(parts)}</dl>"


def levels_table(bot: BotReport) -> str:
    """Return every level, highest first, with its state and the reason of each that is not working."""
    rows = sorted(bot.levels.to_dict("records"), key=lambda row: -float(row["entry_price"]))
    body: list[Sequence[Cell]] = []
    price_places = places_of([*bot.levels["entry_price"], *bot.levels["exit_price"]])
    qty_places = places_of(bot.levels["qty"])
    for row in rows:
        state = str(row["state"])
        kind = level_class(state)
        given = "" if is_missing(row["reason"]) else str(row["reason"])
        reason = f"<small>{escape(given or 'no reason given')}</small>" if given or kind == "idle" else ""
        body.append(
            [
                ("key", escape(str(row["level"]))),
                ("wide", f'<span class="state {kind}">{escape(STATE_WORDS.get(state, state))}</span>{reason}'),
                ("n", escape(_known(row["entry_price"], price_places))),
                ("n", escape(_known(row["exit_price"], price_places))),
                ("n", escape(_known(row["qty"], qty_places))),
            ]
        )
    quote, base = escape(bot.quote_asset), escape(bot.base_asset)
    heads = [
        ("key", "Level"),
        ("wide", "State, and why it is not working"),
        ("n", f"Entry, {quote}"),
        ("n", f"Exit, {quote}"),
        ("n", f"Quantity, {base}"),
    ]
    return table(heads, body, "No levels wanted.")


def _known(value: Any, places: int) -> str:
    # A level that was not priced yet has zeros.
    return price(value, places) if value else DASH


def levels_legend(bot: BotReport) -> str:
    """Return how many levels stand in each class, as coloured words."""
    kinds = [level_class(str(state)) for state in bot.levels["state"]]
    words = (("working", "working"), ("holding", "holding"), ("idle", "not working"), ("complete", "complete"))
    chips = [f'<span class="state {kind}">{kinds.count(kind)} {word}</span>' for kind, word in words if kind in kinds]
    return f"<p class=legend>{''.join(chips)}</p>"


def fills_table(bot: BotReport) -> str:
    """Return the newest fills, newest first."""
    rows = bot.fills.sort_values("ts").tail(LAST_FILLS_SHOWN).to_dict("records")[::-1]
    body: list[Sequence[Cell]] = []
    price_places, qty_places = (places_of(row[name] for row in rows) for name in ("price", "qty"))
    fee_places, gain_places = (amount_places(row[name] for row in rows) for name in ("fee_quote", "realized_pnl"))
    for row in rows:
        buys = str(row["side"]).upper() == "BUY"
        gained = row["realized_pnl"]
        body.append(
            [
                ("key", escape(moment(row["ts"], seconds=True))),
                ("", f'<span class="side {"buy" if buys else "sell"}">{escape(str(row["side"]).lower())}</span>'),
                ("", escape(str(row["role"]))),
                ("n", escape(price(row["price"], price_places))),
                ("n", escape(price(row["qty"], qty_places))),
                ("n", escape(amount(_exact(row["price"]) * _exact(row["qty"])))),
                ("n", escape(amount(row["fee_quote"], places=fee_places))),
                ("n " + tone(gained), escape(amount(gained, signed=True, places=gain_places))),
                ("code", escape(str(row["leg_id"]))),
            ]
        )
    quote, base = escape(bot.quote_asset), escape(bot.base_asset)
    heads = [
        ("key", "Time, UTC"),
        ("", "Side"),
        ("", "Role"),
        ("n", f"Price, {quote}"),
        ("n", f"Quantity, {base}"),
        ("n", f"Value, {quote}"),
        ("n", f"Fee, {quote}"),
        ("n", f"Realised, {quote}"),
        ("", "Leg"),
    ]
    return table(heads, body, "No fills yet.")


def months_table(months: Sequence[Month], quote_asset: str) -> str:
    """Return the calendar months with their profit, against buy-and-hold, newest last."""
    fee_places = amount_places(month.fees for month in months)
    body: list[Sequence[Cell]] = [
        [
            ("key", escape(month.label)),
            ("n " + tone(month.profit), escape(amount(month.profit, signed=True))),
            ("n", escape(percent(month.fraction, signed=True))),
            ("n", escape(percent(month.hold_fraction, signed=True))),
            ("n", escape(percent(month.drawdown))),
            ("n", count(month.closing_fills)),
            ("n", escape(amount(month.fees, places=fee_places))),
        ]
        for month in months
    ]
    quote = escape(quote_asset)
    heads = [
        ("key", "Month"),
        ("n", f"Profit, {quote}"),
        ("n", "Of equity"),
        ("n", "Hold"),
        ("n", "Deepest"),
        ("n", "Closing fills"),
        ("n", f"Fees, {quote}"),
    ]
    return table(heads, body, "No equity recorded yet.")


def ratios_list(bot: BotReport, summary: BotSummary, trips: Trips) -> str:
    """Return the remaining metrics and the statistics of the closing fills as a list of names and values."""
    gross = f"{GAP}{escape(bot.quote_asset)}"
    rows = [
        ("Closing fills", f"{count(trips.count)}, {count(trips.won)} with a profit"),
        ("Expectancy, before fees", _with(amount(summary.expectancy, signed=True), gross)),
        ("Best and worst", f"{amount(trips.best, signed=True)} and {_with(amount(trips.worst, signed=True), gross)}"),
        ("Profit factor", ratio(summary.profit_factor)),
        ("CAGR", _with(percent(summary.cagr, signed=True), " a year")),
        ("Sharpe, Sortino, Calmar", f"{ratio(summary.sharpe)}, {ratio(summary.sortino)}, {ratio(summary.calmar)}"),
        ("Longest time under water", duration(summary.drawdown_length_s)),
        ("Time in market", _with(percent(summary.time_in_market, places=1), " of the time")),
        ("Turnover", _with(ratio(summary.turnover, 1), " times a year")),
        ("Traded value", _with(amount(summary.volume_quote), gross)),
    ]
    rows += [
        (
            f"Of {market_name(bot, one)}, before fees",
            f"{amount(one.profit, signed=True)}{gross} from {count(one.fills)} fills",
        )
        for one in bot.beside
    ]
    items = "".join(f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>" for name, value in rows)
    return f"<dl class=pairs>{items}</dl>"


def proof_list(proof: Proof, quote_asset: str) -> str:
    """Return what other fill rules would have given, and what the result owes to guesses inside single bars."""
    unit = f"{GAP}{escape(quote_asset)}"
    nets = [
        ("Net profit if limits fill on touch", proof.net_touch),
        ("if they fill when traded through", proof.net_cross),
        ("traded through, and the bar takes its adverse extreme first", proof.net_worst),
    ]
    rows = [(name, _with(amount(net, signed=True), unit)) for name, net in nets if net is not None]
    share = percent(proof.inside_share, places=1)
    rows += [
        ("Round trips inside one bar", count(proof.inside_trips)),
        (
            "Their share of the profit",
            _with(share, f"; above {percent(proof.share_most, places=0)} nothing is proven without finer candles"),
        ),
        ("Bars with purchases and sales, whose order is a guess", count(proof.ambiguous_bars)),
    ]
    items = "".join(f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>" for name, value in rows)
    return f"<dl class=pairs>{items}</dl>"


def bots_table(data: ReportData, summaries: Sequence[BotSummary]) -> str:
    """Return the bots of a portfolio, one a row, each linked to its own part."""
    body: list[Sequence[Cell]] = [
        [
            ("key", f'<a href="#bot{place}">{escape(bot.bot_id)}</a>'),
            ("", escape(f"{bot.kind}, {bot.symbol}")),
            ("n", f"{escape(amount(bot.capital_quote))} {escape(bot.quote_asset)}"),
            ("n " + tone(total.net_pnl), escape(amount(total.net_pnl, signed=True))),
            ("n", escape(_share(total.net_pnl, bot.capital_quote))),
            ("n", escape(percent(total.max_drawdown))),
            ("n", count(total.fills)),
        ]
        for place, (bot, total) in enumerate(zip(data.bots, summaries, strict=True))
    ]
    heads = [
        ("key", "Bot"),
        ("", "What"),
        ("n", "Capital"),
        ("n", "Net profit"),
        ("n", "Of capital"),
        ("n", "Max drawdown, of peak"),
        ("n", "Fills"),
    ]
    return table(heads, body, "No bots.")


def pairs_list(pairs: Sequence[tuple[str, str]]) -> str:
    """Return names and values, both escaped here, as a list."""
    items = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in pairs)
    return f"<dl class=pairs>{items}</dl>"


def table(heads: Sequence[Cell], body: Sequence[Sequence[Cell]], when_empty: str) -> str:
    """Return a table in a box that scrolls by itself on a narrow screen; a sentence where there are no rows."""
    if not body:
        return f"<p class=empty>{escape(when_empty)}</p>"
    head = "".join(f'<th scope=col class="{kind}">{text}</th>' for kind, text in heads)
    rows = "".join("<tr>" + "".join(f'<td class="{kind}">{text}</td>' for kind, text in row) + "</tr>" for row in body)
    return f"<div class=scroll tabindex=0><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"


def tone(value: Any) -> str:
    """Return the class that colours a gain or a loss; nothing for zero and for what is missing."""
    if is_missing(value) or value == 0:
        return ""
    return "good" if value > 0 else "bad"


def _share(part: Decimal, whole: Decimal, *, signed: bool = True) -> str:
    return percent(part / whole if whole > 0 else None, signed=signed)


def _percent(fraction: float | None, *, signed: bool = False, places: int = 2) -> tuple[str, str]:
    written = percent(fraction, signed=signed, places=places)
    return (written.removesuffix(f"{GAP}%"), "%") if written != DASH else (DASH, "")


def _with(written: str, unit: str) -> str:
    return written if written == DASH else f"{written}{unit}"


def _exact(value: Any) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(str(value))
