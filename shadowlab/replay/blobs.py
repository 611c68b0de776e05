"""Database images beside recordings: named by their content, checked before they are believed."""

from __future__ import annotations

import hashlib
import lzma
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.replay.inside.urls import split
from shadowlab.writing import write

LARGEST = 512 << 20
"""Bytes of one database snapshot, unpacked."""
_BLOB = re.compile(r"blobs/([0-9a-f]{64})\.sqlite\.xz")
_SQLITE = b"SQLite format 3\0"

Read = Callable[[str], bytes]
"""The bytes of a file beside the recording, by its path there; raises `NotThere`, `RecordingError`."""


class NotThere(errors.RecordingError):
    """A snapshot that a recording names and that is not beside it."""


def with_snapshot(case: Case, document: Any, read: Read, new: list[Path]) -> Any:
    """The document, its snapshot kept in the case and named by its content; its file goes among `new`.

    An address is not fetched: a file of its name beside the recording is taken. A snapshot that is nowhere leaves a
    recording that says so.
    """
    if not isinstance(document, dict) or not document.get("db_snapshot"):
        return document
    named = document["db_snapshot"]
    if not isinstance(named, str):
        raise errors.RecordingError("db_snapshot is no path")
    found = _BLOB.fullmatch(named)
    if found and (case.recordings / named).exists():
        return document
    try:
        packed = read(_beside(named))
    except NotThere:
        return {**document, "db_snapshot": None, "snapshot_at": _address(named)}
    if not found:
        if not packed.startswith(_SQLITE):
            raise errors.RecordingError(f"db_snapshot {named[:80]!r} is no SQLite database")
        packed = lzma.compress(packed, preset=1)
        named = f"blobs/{hashlib.sha256(packed).hexdigest()}.sqlite.xz"
    else:
        _check(packed, found[1], named)
    if not (case.recordings / named).exists():
        new.append(case.recordings / named)
        write(case.recordings / named, packed, flushed=False)
    return {**document, "db_snapshot": named}


def unpacked(case: Case, named: str) -> bytes:
    """A snapshot of the case as the database's bytes; raises `RecordingError` when it is missing or was changed."""
    found = _BLOB.fullmatch(named)
    if found is None:
        raise errors.RecordingError(f"db_snapshot {named[:80]!r} is no blob of this case")
    return _check(in_folder(case.recordings)(named), found[1], named)


def in_folder(folder: Path) -> Read:
    """Reads files that lie under `folder`, and no others."""

    def read(named: str) -> bytes:
        place = (folder / named).resolve()
        if not place.is_relative_to(folder.resolve()):
            raise errors.RecordingError(f"db_snapshot {named[:80]!r} leads out of the recording's folder")
        if not place.is_file():
            raise NotThere(f"db_snapshot {named[:80]!r} is not there", hint="put it beside the recording")
        try:
            if place.stat().st_size > LARGEST:
                raise errors.RecordingError(f"db_snapshot {named[:80]!r} is larger than {LARGEST >> 20} MiB")
            return place.read_bytes()
        except OSError as exc:
            raise errors.RecordingError(f"db_snapshot {named[:80]!r} cannot be read: {exc.strerror}") from exc

    return read


def _beside(named: str) -> str:
    """Where a snapshot is looked for: its path, or the last part of its address."""
    return PurePosixPath(split(named).path).name or "snapshot" if "://" in named else named


def _address(named: str) -> str:
    """An address without what may be secret in it."""
    if "://" not in named:
        return named[:300]
    parts = split(named)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:300]


def _check(packed: bytes, digest: str, named: str) -> bytes:
    """The unpacked snapshot, when its name tells its content (as it is packed, or unpacked)."""
    unpacker = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=256 << 20)
    try:
        content = unpacker.decompress(packed, max_length=LARGEST + 1)
    except lzma.LZMAError as exc:
        raise errors.RecordingError(f"snapshot {named} cannot be unpacked: {exc}") from exc
    if len(content) > LARGEST or not unpacker.eof:
        raise errors.RecordingError(f"snapshot {named} is cut off, or larger than {LARGEST >> 20} MiB")
    if digest not in (hashlib.sha256(packed).hexdigest(), hashlib.sha256(content).hexdigest()):
        raise errors.RecordingError(f"snapshot {named} does not hold what its name says")
    if content and not content.startswith(_SQLITE):
        raise errors.RecordingError(f"snapshot {named} is no SQLite database")
    return content
