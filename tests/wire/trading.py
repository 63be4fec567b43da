"""A whole portfolio that trades at the loopback exchange: its file, its ticks, and its books against the exchange's."""

from decimal import Decimal
from pathlib import Path

from tests.tasks.played import play as trade
from tests.tasks.played import stored
from tests.wire.exchange_server import API_KEY, SECRET, ExchangeServer


def write_portfolio(folder: Path, server: ExchangeServer, *, mode: str = "demo", bot: str = "") -> Path:
    """Write a portfolio with one grid of 10 levels around 60,000 at the server; the keys come from the environment."""
    file = folder / "portfolio.yaml"
    file.write_text(
        f"""\
id: wire
mode: {mode}
data_dir: data
venues:
  - {{id: spot, exchange: binance, market: spot, api_url: "{server.url}", api_key: "${{WIRE_KEY}}", secret: "${{WIRE_SECRET}}"}}
risk: {{max_exposure_quote: 5000, max_drawdown: 0.5, unknown_quarantine_s: 1}}
bots:
  - {{id: g1, kind: grid, venue: spot, symbol: BTC/USDT, start_price: 59000, end_price: 61000, levels: 10,
     total_amount_quote: 2000{bot}}}
"""
    )
    return file


def keys() -> dict[str, str]:
    """Return the environment that holds the server's keys."""
    return {"WIRE_KEY": API_KEY, "WIRE_SECRET": SECRET}


def wallet(file: Path) -> dict[str, Decimal]:
    """Return the ledger's wallet by asset."""
    return dict(stored(file, "SELECT asset, sum(amount) FROM ledger WHERE account = 'wallet' GROUP BY asset"))


__all__ = ["keys", "stored", "trade", "wallet", "write_portfolio"]
