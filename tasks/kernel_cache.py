"""Where compiled kernels are kept between runs, and the one line that is said when there are none yet.

numba keeps its files beside the sources or in the user's cache; here it is always a folder of the user, named after the
sources' content, so that a checkout may be read-only and code of one version never runs in another.
"""

import hashlib
import os
import tempfile
from pathlib import Path

from tasks.outcome import say

SOURCES = ("grid_kernel.py", "equity_kernel.py")


def prepare() -> Path:
    """Choose the cache folder and tell numba; call it before a kernel is imported. Says so where one must be compiled."""
    folder = _folder()
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    if not any(folder.rglob("*.nbi")):
        say("compiling the grid kernel, this once: about 5 s")
    return folder


def _folder() -> Path:
    core = Path(__file__).parents[1] / "core"
    content = b"".join((core / name).read_bytes() for name in SOURCES)
    mark = hashlib.sha256(content).hexdigest()[:12]
    root = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    folder = Path(root) / "gridkeeper" / f"kernel-{mark}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        # No home that can be written: compiled for this process alone.
        return Path(tempfile.mkdtemp(prefix="gridkeeper-kernel-"))
    return folder
