"""Folders that replays work in: private, in memory where there is room, and swept when their owner was killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = "shadowlab-run-"
_ROOM = 2 << 30


class Folder:
    """A new private folder for one fork server."""

    def __init__(self) -> None:
        parent = _parent()
        _sweep(parent)
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        # The kernel lets go of the lock when this process ends, however it ends.
        self._lock = os.open(self.path / ".owned", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def remove(self) -> None:
        """Take it away with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def memory() -> str | None:
    """A folder in memory, where there is one with room."""
    place = "/dev/shm"
    return place if os.access(place, os.W_OK) and shutil.disk_usage(place).free > _ROOM else None


def _parent() -> Path:
    return Path(memory() or tempfile.gettempdir())


def _sweep(parent: Path) -> None:
    """Remove what a killed supervisor of the same user left behind."""
    for left in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            lock = os.open(left / ".owned", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(lock)
