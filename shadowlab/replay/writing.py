"""Write files of recordings so that a reader, or another writer of the same, never sees half of one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def write(place: Path, content: bytes) -> None:
    """Whole or not at all: written beside under a name of its own, renamed.

    Not flushed to the disk one by one: there may be thousands.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    fd, beside = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), 0o644)
        os.replace(beside, place)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
