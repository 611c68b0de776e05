"""Recordings of other tools that are kept as they are, named by their digest: Flight Recorder, perf, rr."""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

from shadowlab.case import Case

_KINDS: Final = {b"FLR\0": "jfr", b"PERFILE2": "perf"}
_OF_RR: Final = re.compile(r"(version|events|data|mmaps|tasks|generic)|(mmap|cloned_data)_.+")
_RECORD: Final = 512
"""Of a tar file (POSIX.1-1988, ustar): a header, and what contents are filled up to."""
_ALWAYS_OF_RR: Final = frozenset(("version", "events", "mmaps", "tasks"))
FOLDER: Final = "attachments"


class Readable(Protocol):
    """What can be read a part at a time."""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end."""


def kind_of(head: bytes) -> str | None:
    """`jfr`, `perf` or `rr`, when a file that starts so is one; rr's is the folder of a trace as a tar file."""
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


def is_folder_of_rr(folder: Path) -> bool:
    """Whether a folder is a trace as rr writes it."""
    return all((folder / name).is_file() for name in _ALWAYS_OF_RR)


def below(folder: Path) -> Iterator[Path]:
    """Files of a folder and of those below it, by name, hidden ones left out.

    A trace of rr is one thing, and so is a folder that cannot be looked into.
    """
    if is_folder_of_rr(folder) or not os.access(folder, os.R_OK | os.X_OK):
        yield folder
        return
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from below(path)
        elif path.is_file():
            yield path


def keep_folder(case: Case, folder: Path, spool: Path) -> str:
    """Keep the files of a folder as `<sha256>-<name>.tar`, the same bytes each time; gives their SHA-256."""
    packed = spool / "folder.tar"
    with tarfile.open(packed, "w", format=tarfile.GNU_FORMAT) as tar:
        for path in sorted(folder.iterdir()):
            if path.is_symlink() or not path.is_file():
                continue  # a link may lead anywhere
            told = tarfile.TarInfo(f"{folder.name}/{path.name}")
            with path.open("rb") as file:
                told.size = os.fstat(file.fileno()).st_size
                tar.addfile(told, file)
    with packed.open("rb") as stream:
        kept = keep(case, stream, f"{folder.name}.tar")
    packed.unlink()
    return kept


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
