"""The quality gate: candles of a series are held against the rules with Great Expectations before anything uses them.

A series whose rule of severity error is broken stops what depends on it; the message names the rows. Results go to
`quality_results` in the market store, and to pages for people (`data_dir/quality/docs`).
"""

import logging
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from tasks.errors import GridkeeperError
from tasks.quality_rules import Limits, Rule, prepare, rules_for

# Rows of a broken rule that are looked up by their time; beyond them only the number is known.
NAMED_MAX = 1_000
SHOWN = 5


@dataclass(frozen=True, slots=True, order=True)
class SeriesKey:
    """Which candles: venue, symbol and timeframe as in the table `ohlcv`."""

    venue: str
    symbol: str
    timeframe: str

    def __str__(self) -> str:
        """Name them in a sentence."""
        return f"{self.venue} {self.symbol} {self.timeframe}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule found in one series. `times` are those of up to 1,000 rows that broke it (UTC, as they stand)."""

    rule: str
    severity: str
    says: str
    passed: bool
    checked: int
    failed: int
    times: tuple[datetime, ...]
    detail: str

    @property
    def stops(self) -> bool:
        """Whether what depends on the series has to stop."""
        return not self.passed and self.severity == "error"

    def sentence(self) -> str:
        """Say it in one line, with the first rows by name."""
        if self.passed:
            return f"{self.rule}: {self.says}"
        rows = ", ".join(f"{at:%Y-%m-%d %H:%M:%S}" for at in self.times[:SHOWN])
        more = f" and {self.failed - min(SHOWN, len(self.times)):,} more" if self.failed > SHOWN else ""
        where = f": {rows}{more}" if rows else f": {self.detail}" if self.detail else ""
        return f"{self.rule} ({self.severity}) is broken in {self.failed:,} of {self.checked:,}, {self.says}{where}"


class QualityFailed(GridkeeperError):
    """A series may not be used: the message names the rules that it breaks and the rows."""

    exit_code = 3
    kind = "quality"

    def __init__(self, key: SeriesKey, findings: Sequence[Finding]) -> None:
        """Keep the findings that stop."""
        self.findings = tuple(one for one in findings if one.stops)
        super().__init__("; ".join(one.sentence() for one in self.findings), key=str(key))


def require(key: SeriesKey, findings: Sequence[Finding]) -> None:
    """Raise `QualityFailed` where a finding stops what depends on the series."""
    if any(one.stops for one in findings):
        raise QualityFailed(key, findings)


class Gate:
    """Holds frames against the rules; one context for a whole run, since making one costs seconds the first time."""

    def __init__(self, docs: Path | None = None) -> None:
        """Start Great Expectations, with its pages below `docs` where that is given. It sends nothing anywhere."""
        # Read at import.
        os.environ["GX_ANALYTICS_ENABLED"] = "false"
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        logging.getLogger("great_expectations").setLevel(logging.WARNING)
        self._context = gx.get_context(mode="ephemeral")
        self._context.variables.progress_bars = ProgressBarsConfig(globally=False)
        self._source = self._context.data_sources.add_pandas("candles")
        self._docs = docs
        self._used: dict[str, int] = {}
        if docs is not None:
            self._context.add_data_docs_site("local", _site(docs))

    def check(
        self,
        key: SeriesKey,
        frame: pd.DataFrame,
        *,
        now: datetime,
        limits: Limits | None = None,
        other: pd.DataFrame | None = None,
    ) -> list[Finding]:
        """Hold one series against the rules and return a finding for each, in their order. `now` is UTC.

        `other` are candles of another venue that should show the same prices in the same unit.
        """
        made = prepare(frame, key.timeframe, other)
        rules = rules_for(key.timeframe, made, limits or Limits(), now)
        validated = self._validate(self._name(key), made, rules)
        return [_finding(rule, one, len(made)) for rule, one in zip(rules, validated, strict=True)]

    def write_docs(self) -> Path | None:
        """Write the pages of everything checked so far; returns the first page, None where none were asked for."""
        if self._docs is None:
            return None
        shutil.rmtree(self._docs, ignore_errors=True)
        self._docs.mkdir(parents=True)
        self._context.build_data_docs(site_names=["local"])
        for page in self._docs.rglob("*.html"):
            _close(page)
        return self._docs / "index.html"

    def _name(self, key: SeriesKey) -> str:
        # Names become parts of its pages' paths.
        name = re.sub(r"[^A-Za-z0-9._ -]+", "-", str(key))
        self._used[name] = self._used.get(name, 0) + 1
        return name if self._used[name] == 1 else f"{name} ({self._used[name]})"

    def _validate(self, name: str, frame: pd.DataFrame, rules: Sequence[Rule]) -> list[Any]:
        import great_expectations as gx
        import great_expectations.expectations as known

        suite = gx.ExpectationSuite(name)
        for rule in rules:
            expectation = getattr(known, rule.expectation)
            # The order of the answers is not promised; the rule's name travels with each.
            suite.add_expectation(expectation(**rule.arguments, meta={"rule": rule.name}, notes=rule.says))
        batch = self._source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all")
        added = self._context.suites.add(suite)
        definition = gx.ValidationDefinition(name=name, data=batch, suite=added)
        format_: dict[str, Any] = {
            "result_format": "SUMMARY",
            "partial_unexpected_count": NAMED_MAX,
            "unexpected_index_column_names": ["ts"],
        }
        checkpoint = gx.Checkpoint(
            name=name,
            validation_definitions=[self._context.validation_definitions.add(definition)],
            result_format=format_,  # type: ignore[arg-type]  a dictionary is what its own documentation shows
        )
        ran = self._context.checkpoints.add(checkpoint).run(batch_parameters={"dataframe": frame})
        (answer,) = ran.run_results.values()
        by_rule = {one.expectation_config.meta["rule"]: one for one in answer.results}
        return [by_rule[rule.name] for rule in rules]


def _finding(rule: Rule, validated: Any, rows: int) -> Finding:
    result: Mapping[str, Any] = validated.result or {}
    passed = bool(validated.success)
    named = result.get("partial_unexpected_index_list") or ()
    times = tuple(_time(row["ts"]) for row in named if not pd.isna(row["ts"]))
    observed = result.get("observed_value")
    # Rules on a whole table or column have no rows of their own: they are one statement, right or wrong.
    whole = "unexpected_count" not in result
    failed = (0 if passed else 1) if whole else int(result["unexpected_count"])
    wrong = validated.exception_info if not passed and whole and observed is None else None
    detail = f"observed {observed}" if observed is not None else "it could not be checked" if wrong else ""
    return Finding(rule.name, rule.severity, rule.says, passed, 1 if whole else rows, failed, times, detail)


def _time(value: Any) -> datetime:
    return pd.Timestamp(value).to_pydatetime()


def _close(page: Path) -> None:
    # Its pages ask several foreign hosts for scripts and pictures; what a portfolio trades is nobody's business.
    text = page.read_text(encoding="utf-8")
    policy = "default-src 'self' 'unsafe-inline' data:"
    tag = f'<head><meta http-equiv="Content-Security-Policy" content="{policy}">'
    page.write_text(text.replace("<head>", tag, 1), encoding="utf-8")


def _site(folder: Path) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    return {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }
