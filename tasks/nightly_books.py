"""The books at night: every check of `sql/checks` on the published copy, those against the exchange's balances included."""

from pathlib import Path

from tasks.nightly_steps import DONE, FAILED, SKIPPED, Did
from tasks.sql_query import QueryRefused, ask, open_published

CHECKS = Path(__file__).parents[1] / "sql" / "checks"
SHOWN = 3


def check_books(data_dir: Path, folder: Path = CHECKS) -> Did:
    """Run the checks; a row of any is a violation, and the first ones are named. Skipped where nothing was published."""
    try:
        con = open_published(data_dir)
    except QueryRefused as refused:
        return Did(SKIPPED, str(refused))
    found: dict[str, list[str]] = {}
    paths = sorted(folder.glob("assert_*.sql"))
    try:
        for path in paths:
            columns, rows = ask(con, path.read_text(encoding="utf-8"), timeout_s=120)
            if rows:
                named = [", ".join(f"{name} {value}" for name, value in zip(columns, row, strict=True)) for row in rows]
                found[path.stem.removeprefix("assert_")] = named
    finally:
        con.close()
    if not found:
        return Did(DONE, f"{len(paths)} checks found nothing", {"checks": len(paths)})
    said = [f"{name}: {len(rows)} rows, first {'; '.join(rows[:SHOWN])}" for name, rows in found.items()]
    return Did(FAILED, ". ".join(said), {"checks": len(paths), "found": {k: v[:SHOWN] for k, v in found.items()}})
