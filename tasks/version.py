"""Which code made a figure: the package's version, and the commit where the checkout is one."""

import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parents[1]


def code_version() -> str:
    """Return for example `0.1.0 (1a2b3c4d)`; a plus after the commit says that files were changed since."""
    try:
        number = version("gridkeeper")
    except PackageNotFoundError:
        number = "uninstalled"
    if not (ROOT / ".git").exists():
        return number
    try:
        found = subprocess.run(
            ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--abbrev=8", "--exclude=*"],  # noqa: S607  git is where PATH says
            capture_output=True, text=True, check=True, timeout=5,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return number
    return f"{number} ({found.stdout.strip()})"
