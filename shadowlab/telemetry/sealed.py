"""What was learned of a segment, in a file beside it that spares work and is never evidence.

The file ends in a seal, HMAC-SHA-256 (RFC 2104) over which segment it is about, by which rules it was made and all that
it says. The secret lies outside every case: whoever can write a case cannot write such a file, and one that comes with
a case from elsewhere counts as none. Nothing packs it, and no ledger names it.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import io
import json
import mmap
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from shadowlab.writing import written

_FOLDER: Final = ".facts"
_ASKED: Final = ".asked"
_SEAL: Final = 32
"""Bytes of it."""
_MOST: Final = 1 << 30
"""Bytes of a file; of a larger segment nothing is kept."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """Such a file, there or not."""

    path: Path
    key: bytes = field(repr=False)
    """The seal's, for this segment alone."""

    @property
    def asked(self) -> Sealed:
        """The file of what was asked of the same segment."""
        return Sealed(self.path.with_suffix(_ASKED), hmac.digest(self.key, _ASKED.encode(), "sha256"))

    def read(self, rules: bytes) -> memoryview | None:
        """What was written by these rules, mapped; None where that is not there, or not ours to the last byte."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            found = os.fstat(fd)
            # what others may shorten must not be mapped: to read beyond its end would kill the process
            ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077
            if not ours or not _SEAL <= found.st_size <= _MOST:
                return None
            whole = memoryview(mmap.mmap(fd, 0, access=mmap.ACCESS_READ))
        except OSError:  # there is no room for it, or its file system maps nothing
            return None
        finally:
            os.close(fd)
        told = whole[:-_SEAL]
        seal = self._seal(rules)
        seal.update(told)
        return told if hmac.compare_digest(seal.digest(), whole[-_SEAL:]) else None

    def write(self, rules: bytes, size: int, fill: Callable[[io.RawIOBase], None]) -> None:
        """Write what `fill` puts into a file, about `size` bytes; nothing where that is too much or cannot be."""
        if size > _MOST or self.path.parent.is_symlink():
            return
        with contextlib.suppress(OSError):  # the case cannot be written, the disk is full: it is done without
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
            with written(self.path, mode=0o600, flushed=False) as file:
                sealing = _Sealing(file, self._seal(rules))
                fill(sealing)
                file.write(sealing.seal.digest())

    def _seal(self, rules: bytes) -> hmac.HMAC:
        return hmac.new(self.key, hashlib.sha256(rules).digest(), "sha256")


class _Sealing(io.RawIOBase):
    """Bytes on their way to a file and into its seal."""

    def __init__(self, file: BinaryIO, seal: hmac.HMAC) -> None:
        self._file, self.seal = file, seal

    def writable(self) -> bool:
        return True

    def write(self, told: Any) -> int:
        self.seal.update(told)
        return self._file.write(told)


def beside(segment: Path, secret: bytes) -> Sealed:
    """The file of a segment, which is known by its name, place on the disk, size and times.

    Nobody can set the time of a file's last change to what it was.
    """
    told = segment.stat()
    which = [segment.name, told.st_dev, told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns]
    return Sealed(segment.parent / _FOLDER / segment.stem, hmac.digest(secret, json.dumps(which).encode(), "sha256"))


def sweep(folder: Path, stems: frozenset[str]) -> None:
    """Remove what is there of segments in `folder` other than those of these names, and what a killed writer left."""
    place = folder / _FOLDER
    if place.is_symlink():
        place.unlink()
    with contextlib.suppress(OSError):  # it is not there, or another person's
        for path in place.iterdir():
            if path.name.removesuffix(_ASKED) not in stems:
                with contextlib.suppress(OSError):
                    path.unlink()
