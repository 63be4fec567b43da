"""What notebooks import: thin faces of the engine that runs backtest, paper and live. See docs/python.md."""

from tasks.manager_grid import GridExecutor, GridExecutorConfig
from tasks.manager_paper import PaperClient
from tasks.manager_trades import TradeManager, Trader

__all__ = ["GridExecutor", "GridExecutorConfig", "PaperClient", "TradeManager", "Trader"]
