"""Write files so that nobody ever sees half of one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


def write(place: Path, content: bytes, *, mode: int = 0o644, flushed: bool = True) -> None:
    """Write a file beside itself under a name of its own, then rename it; folders on the way are made.

    `flushed` to the disk before it is renamed, it outlives a power cut, too; for thousands of files that takes long.
    """
    with written(place, mode=mode, flushed=flushed) as file:
        file.write(content)


@contextlib.contextmanager
def written(place: Path, *, mode: int = 0o644, flushed: bool = True) -> Iterator[BinaryIO]:
    """The same for who writes it bit by bit; the file is in its place when the block ends, unless it fails."""
    place.parent.mkdir(parents=True, exist_ok=True)
    fd, beside = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
    try:
        with os.fdopen(fd, "wb") as file:
            yield file
            os.fchmod(file.fileno(), mode)
            if flushed:
                file.flush()
                os.fsync(file.fileno())
        os.replace(beside, place)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
