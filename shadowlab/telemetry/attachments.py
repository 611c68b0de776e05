"""Recordings of other tools that are kept as they are, named by their digest: Flight Recorder, perf, rr."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

from shadowlab.case import Case

_KINDS: Final = {b"FLR\0": "jfr", b"PERFILE2": "perf", b"rr trace": "rr"}
FOLDER: Final = "attachments"


class Readable(Protocol):
    """What can be read a part at a time."""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end."""


def kind_of(head: bytes) -> str | None:
    """`jfr`, `perf` or `rr`, when a file that starts so is one."""
    return next((kind for mark, kind in _KINDS.items() if head.startswith(mark)), None)


def keep(case: Case, stream: Readable, name: str) -> str:
    """Copy a stream to `telemetry/attachments/<sha256>-<name>`, whole or not at all; gives its SHA-256."""
    folder = case.telemetry / FOLDER
    folder.mkdir(exist_ok=True)
    digest = hashlib.sha256()
    fd, beside = tempfile.mkstemp(prefix=".", dir=folder)
    try:
        with os.fdopen(fd, "wb") as out:
            _copy(stream, out, digest)
            os.fsync(out.fileno())
        os.replace(beside, folder / f"{digest.hexdigest()}-{Path(name).name}")
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    return digest.hexdigest()


def _copy(stream: Readable, out: BinaryIO, digest: Any) -> None:
    while block := stream.read(1 << 20):
        digest.update(block)
        out.write(block)
