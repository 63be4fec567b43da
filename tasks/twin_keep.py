"""Puts published copies aside from which a day can be replayed: each is the whole state after one tick.

    data_dir/twin/TICK.duckdb      a hard link to the copy that was published then: no work beyond the publication

One is put aside before a session's first tick, with the first publication of each day, and after a change of the
portfolio. With the prices seen since (`tasks.quote_log`) the stretch up to the next one can be played again.
"""

import logging
import os
import shutil
import time
from pathlib import Path

KEPT_S = 4 * 86_400.0
_log = logging.getLogger("gridkeeper.twin")


def put_aside(copy: Path, data_dir: Path, tick_id: int) -> Path | None:
    """Keep a published copy as the state after a tick, and delete those of days gone by; None where the disk refuses."""
    target = data_dir / "twin" / f"{tick_id}.duckdb"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for path in starts_in(data_dir).values():
            if path.stat().st_mtime < time.time() - KEPT_S:
                path.unlink()
        target.unlink(missing_ok=True)
        try:
            os.link(copy, target)
        except OSError:  # a file system without links
            shutil.copyfile(copy, target)
    except OSError as fault:
        _log.warning("the twin has no state to start from: %s", fault.strerror)
        return None
    return target


def starts_in(data_dir: Path) -> dict[int, Path]:
    """List the states that were put aside, by the tick after which they were, rising."""
    found = {int(path.stem): path for path in (data_dir / "twin").glob("*.duckdb") if path.stem.isdigit()}
    return dict(sorted(found.items()))
