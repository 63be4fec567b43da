"""Reads a state that was put aside back into a world, to replay from it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import yaml

from core.engine import BotSpec, World
from core.portfolio import Portfolio
from tasks.assemble import instruments_of, limits_of, specs_of
from tasks.opening import stored_rules
from tasks.publish import published_folder
from tasks.session import fresh_world
from tasks.store_load import load_world


@dataclass(frozen=True, slots=True)
class Start:
    """A state to replay from: after tick `tick_id`, with the portfolio as it was then (without secrets).

    `fresh` where nothing had ever ticked.
    """

    tick_id: int
    portfolio: Portfolio
    specs: Mapping[str, BotSpec]
    world: World
    fresh: bool


def read_start(path: Path, data_dir: Path) -> Start:
    """Read a state that was put aside; raises `duckdb.Error`, `ValueError` or `Refused` where it is none of this program."""
    with _opened(path, data_dir) as con:
        words = dict(con.execute("SELECT key, value FROM meta").fetchall())
        stamp = con.execute("SELECT token FROM store_stamp").fetchone()
        if stamp is None or "config" not in words:
            message = f"{path.name} does not say whose state it is"
            raise ValueError(message)
        portfolio = Portfolio.model_validate(yaml.safe_load(words["config"]))
        rules = instruments_of(portfolio, {}, stored_rules(data_dir))
        specs = specs_of(portfolio, rules, stamp[0])
        limits = limits_of(portfolio)
        loaded = load_world(con, specs, limits)
    world = loaded or fresh_world(specs, limits)
    return Start(int(path.stem), portfolio, specs, world, loaded is None)


@contextmanager
def _opened(path: Path, data_dir: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute(f"ATTACH '{str(path).replace(chr(39), chr(39) * 2)}' AS start (READ_ONLY)")
        con.execute("USE start")
        con.execute("SET VARIABLE published = ?", [str(published_folder(data_dir))])
        yield con
