"""The write-ahead log: what was received lies here, flushed to the disk, until a segment holds it.

A file starts with the magic and one record that says how it was written; then a record a request::

    length  uint32   of the body
    crc32   uint32   of the kind byte and the body
    kind    uint8    signal and encoding, see `Kind`
    body    bytes    as it was sent, unpacked

all little-endian. What follows the last whole record was never acknowledged: the writer answers after `fdatasync`.
File names start with a dot, and only the owner may read them: what they hold is no evidence yet and was not redacted.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

import msgspec

MAGIC: Final = b"SHADOWL1"
_HEAD: Final = struct.Struct("<IIB")
_SUFFIX: Final = ".log"


class Kind(IntEnum):
    """What a record's body is."""

    HEADER = 1
    TRACES_JSON = 2
    LOGS_JSON = 3
    METRICS_JSON = 4
    TRACES_PROTOBUF = 5
    LOGS_PROTOBUF = 6
    METRICS_PROTOBUF = 7


_KINDS: Final = frozenset(int(kind) for kind in Kind)


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """How a log was written."""

    redaction: str
    """The policy under which its content is to be kept; `off` for none."""


@dataclass(frozen=True, slots=True)
class Content:
    """What could be read of one file."""

    header: Header | None
    records: tuple[tuple[Kind, bytes], ...]
    damaged: int
    """Bytes that are no whole record: the end of a write that was cut short, or what a disk lost."""


def packed(kind: Kind, body: bytes) -> bytes:
    """One record as it lies in the file."""
    crc = zlib.crc32(body, zlib.crc32(bytes((kind,))))
    return _HEAD.pack(len(body), crc, kind) + body


def files(folder: Path) -> list[Path]:
    """Every log file in a folder, oldest first."""
    return sorted(folder.glob(f".[0-9]*{_SUFFIX}"))


def number(path: Path) -> int:
    """A log file's number: later files have larger ones."""
    return int(path.name.strip(".").split(".")[0])


class Log:
    """The file that is being written. One thread appends; `seal` may be called by that thread only."""

    def __init__(self, folder: Path, header: Header) -> None:
        self.folder, self.header = folder, header
        self._fd: int | None = None
        self._next = max(map(number, files(folder)), default=0) + 1
        self.path: Path | None = None
        self.size = 0
        """Bytes in the file that are on the disk."""
        self._start = 0

    def append(self, records: Sequence[bytes]) -> None:
        """Write packed records and wait for the disk. Raises `OSError`; then none of them counts."""
        fd = self._fd if self._fd is not None else self._open()
        content = b"".join(records)
        try:
            _write_all(fd, content)
            os.fdatasync(fd)
        except OSError:
            self._take_back()
            raise
        self.size += len(content)

    def seal(self) -> int:
        """Close the file; the next `append` begins another. Every file with a lower number than it gives is closed."""
        if self._fd is not None:
            os.close(self._fd)
        self._fd, self.path, self.size = None, None, 0
        return self._next

    def _open(self) -> int:
        path = self.folder / f".{self._next:012d}{_SUFFIX}"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            start = MAGIC + packed(Kind.HEADER, msgspec.json.encode(self.header))
            _write_all(fd, start)
            os.fsync(fd)
            sync_folder(self.folder)
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        self._fd, self.path, self.size, self._start = fd, path, len(start), len(start)
        self._next += 1
        return fd

    def _take_back(self) -> None:
        """Cut off what a failed write left. After a failed flush the file's state is unknown: go on in another."""
        assert self._fd is not None
        try:
            os.ftruncate(self._fd, self.size)
            os.fsync(self._fd)
            if self.size == self._start and self.path is not None:
                self.path.unlink(missing_ok=True)
        finally:
            self.seal()


def read(path: Path) -> Content:
    """All whole records of a file. A record whose checksum fails is stepped over; raises `OSError`."""
    content = memoryview(path.read_bytes())
    if bytes(content[: len(MAGIC)]) != MAGIC:
        return Content(None, (), len(content))
    header: Header | None = None
    records: list[tuple[Kind, bytes]] = []
    whole = len(MAGIC)
    for kind, body in _records(content):
        whole += _HEAD.size + len(body)
        if kind is Kind.HEADER:
            header = msgspec.json.decode(body, type=Header)
        else:
            records.append((kind, bytes(body)))
    return Content(header, tuple(records), len(content) - whole)


def _records(content: memoryview) -> Iterator[tuple[Kind, memoryview]]:
    at = len(MAGIC)
    while at + _HEAD.size <= len(content):
        length, crc, kind = _HEAD.unpack_from(content, at)
        end = at + _HEAD.size + length
        if end > len(content) or not length:
            return
        body = content[at + _HEAD.size : end]
        if zlib.crc32(body, zlib.crc32(bytes((kind,)))) == crc and kind in _KINDS:
            yield Kind(kind), body
        at = end


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _write_all(fd: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(fd, rest) :]
