"""Folders that replays work in: private, in memory where there is room, and swept when their owner was killed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from shadowlab.scratch import Scratch

_ROOM = 2 << 30


class Folder(Scratch):
    """A new private folder for one fork server."""

    def __init__(self) -> None:
        place = memory()
        super().__init__("shadowlab-run-", Path(place) if place else None)


def memory() -> str | None:
    """A folder in memory, where there is one with room."""
    place = "/dev/shm"
    return place if os.access(place, os.W_OK) and shutil.disk_usage(place).free > _ROOM else None
