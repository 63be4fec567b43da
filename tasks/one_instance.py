"""A lock on a file for the life of a process: the system drops it when the process dies, however it dies."""

import fcntl
import os
from pathlib import Path


def lock_or_none(path: Path) -> int | None:
    """Take an exclusive lock on a file; None where another process holds it.

    The handle returned must stay open for as long as the lock is wanted. Children don't inherit it.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle
