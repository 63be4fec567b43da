"""What notebooks import: thin faces of the engine that runs backtest, paper and live. See docs/python.md."""

from tasks.manager_grid import GridExecutor, GridExecutorConfig
from tasks.manager_paper import PaperClient
from tasks.manager_trades import TradeManager, Trader
from tasks.orchestrator import (
    execute_action,
    generate_performance_report,
    get_executors_report,
    get_positions_report,
)
from tasks.orchestrator_filter import ExecutorFilter, filter_executors
from tasks.orchestrator_queue import CreateExecutorAction, StopExecutorAction, StoreExecutorAction

__all__ = [
    "CreateExecutorAction",
    "ExecutorFilter",
    "GridExecutor",
    "GridExecutorConfig",
    "PaperClient",
    "StopExecutorAction",
    "StoreExecutorAction",
    "TradeManager",
    "Trader",
    "execute_action",
    "filter_executors",
    "generate_performance_report",
    "get_executors_report",
    "get_positions_report",
]
