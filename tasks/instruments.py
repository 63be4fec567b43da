"""Trading rules of symbols, from the best source there is: the file, the exchange, the last ones stored, built-in ones.

The built-in table holds the commonest symbols so that a first paper run or backtest needs no network; every place that
shows it says so (`Instrument.source`). Figures: Binance exchangeInfo; the fees are its published base rates.
"""

from collections.abc import Mapping
from decimal import Decimal

from core.market import Instrument
from core.portfolio import InstrumentRules, VenueConfig

# symbol: tick size, lot step, minimum quantity, minimum notional
_SPOT = {
    "BTC/USDT": ("0.01", "0.00001", "0.00001", "5"),
    "ETH/USDT": ("0.01", "0.0001", "0.0001", "5"),
    "BNB/USDT": ("0.01", "0.001", "0.001", "5"),
    "SOL/USDT": ("0.01", "0.001", "0.001", "5"),
    "XRP/USDT": ("0.0001", "0.1", "0.1", "5"),
    "ADA/USDT": ("0.0001", "0.1", "0.1", "5"),
    "DOGE/USDT": ("0.00001", "1", "1", "5"),
    "LTC/USDT": ("0.01", "0.001", "0.001", "5"),
    "LINK/USDT": ("0.01", "0.01", "0.01", "5"),
}
_SWAP = {
    "BTC/USDT:USDT": ("0.1", "0.001", "0.001", "100"),
    "ETH/USDT:USDT": ("0.01", "0.001", "0.001", "20"),
    "BNB/USDT:USDT": ("0.01", "0.01", "0.01", "5"),
    "SOL/USDT:USDT": ("0.01", "0.01", "0.01", "5"),
    "XRP/USDT:USDT": ("0.0001", "0.1", "0.1", "5"),
}
_SPOT_FEES = (Decimal("0.001"), Decimal("0.001"))
_SWAP_FEES = (Decimal("0.0002"), Decimal("0.0005"))


def from_file(venue: VenueConfig, symbol: str, rules: InstrumentRules) -> Instrument:
    """Build an instrument from the rules that the portfolio file gives."""
    base, quote, swap = split_symbol(symbol)
    return Instrument(
        venue=venue.id, symbol=symbol, base=base, quote=quote, tick_size=rules.tick_size, lot_step=rules.lot_step,
        min_qty=rules.min_qty, min_notional=rules.min_notional, maker=rules.maker, taker=rules.taker, swap=swap,
        fee_in_base=venue.fee_asset == "base", source="the portfolio file",
    )  # fmt: skip


def built_in(venue: VenueConfig, symbol: str) -> Instrument | None:
    """Return the built-in rules of a common symbol, or None."""
    table, fees = (_SPOT, _SPOT_FEES) if venue.market == "spot" else (_SWAP, _SWAP_FEES)
    row = table.get(symbol)
    if row is None:
        return None
    tick, lot, least, notional = (Decimal(text) for text in row)
    base, quote, swap = split_symbol(symbol)
    return Instrument(
        venue=venue.id, symbol=symbol, base=base, quote=quote, tick_size=tick, lot_step=lot, min_qty=least,
        min_notional=notional, maker=fees[0], taker=fees[1], swap=swap, fee_in_base=venue.fee_asset == "base",
        source="built in",
    )  # fmt: skip


def choose(
    venue: VenueConfig, symbol: str, exchange: Mapping[str, Instrument], stored: Mapping[str, Instrument]
) -> Instrument | None:
    """Return the rules from the best source, or None where no source knows the symbol."""
    if symbol in venue.instruments:
        return from_file(venue, symbol, venue.instruments[symbol])
    return exchange.get(symbol) or stored.get(symbol) or built_in(venue, symbol)


def split_symbol(symbol: str) -> tuple[str, str, bool]:
    """Split a unified symbol into base, quote and whether it is a swap."""
    base, _, rest = symbol.partition("/")
    quote, _, settle = rest.partition(":")
    return base, quote, bool(settle)
