"""Read what people name without filling the memory: the size of a device, a pipe or a growing file says nothing."""

from __future__ import annotations

import errno
import os
from typing import IO, AnyStr


def content(place: str | os.PathLike[str], most: int) -> bytes:
    """The bytes of a file; raises `OSError` (EFBIG) when they are more than `most`."""
    with open(place, "rb") as file:
        return whole(file, most)


def text(place: str | os.PathLike[str], most: int, *, encoding: str = "utf-8") -> str:
    """The text of a file; raises `OSError` (EFBIG) when it has more than `most` characters, `UnicodeDecodeError`."""
    with open(place, encoding=encoding) as file:
        return whole(file, most)


def whole(stream: IO[AnyStr], most: int) -> AnyStr:
    """All that a stream holds, at most `most` bytes or characters: it may be endless. Raises `OSError` (EFBIG)."""
    found = stream.read(most + 1)
    if len(found) > most:
        units = "bytes" if isinstance(found, bytes) else "characters"
        raise OSError(errno.EFBIG, f"it is longer than {most:,} {units}")
    return found
