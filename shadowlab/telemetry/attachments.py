"""Recordings of other tools that are kept as they are, named by their digest: Flight Recorder, perf, rr."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

from shadowlab.case import Case

_KINDS: Final = {b"FLR\0": "jfr", b"PERFILE2": "perf"}
_OF_RR: Final = re.compile(r"(version|events|data|mmaps|tasks|generic)|(mmap|cloned_data)_.+")
_RECORD: Final = 512
"""Of a tar file (POSIX.1-1988, ustar): a header, and what contents are filled up to."""
FOLDER: Final = "attachments"


class Readable(Protocol):
    """What can be read a part at a time."""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end."""


def kind_of(head: bytes) -> str | None:
    """`jfr`, `perf` or `rr`, when a file that starts so is one; rr's is the folder of a trace, as a tar file."""
    found = next((kind for mark, kind in _KINDS.items() if head.startswith(mark)), None)
    return found or ("rr" if _is_rr(head) else None)


def _is_rr(head: bytes) -> bool:
    """Whether every file that can be seen at the start of a tar file is one that rr writes."""
    names, at = [], 0
    while head[at + 257 : at + 262] == b"ustar":
        size = head[at + 124 : at + 135].strip(b" \0")
        if not size or size.strip(b"01234567"):
            return False
        if head[at + 156 : at + 157] in b"0\0":
            names.append(Path(head[at : at + 100].rstrip(b"\0").decode(errors="replace")).name)
        at += _RECORD + -(-int(size, 8) // _RECORD) * _RECORD
    return bool(names) and all(_OF_RR.fullmatch(name) for name in names)


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
