"""Files that hold recordings, read as a stranger's: one document, lines of them, gzip, a zip, a folder of these."""

from __future__ import annotations

import gzip
import json
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from shadowlab import errors
from shadowlab.replay import blobs

LARGEST_RECORDING = 16 << 20
"""Bytes of one recording's JSON."""
RECORDING = "recording.json"
"""A recording's name in a zip, or in a folder of its own."""
_MEMBER = re.compile(r"recording\.json|[0-9a-f]{32}\.json|blobs/[0-9a-f]{64}\.[a-z0-9.]{1,24}")
_MOST_MEMBERS = 1000
_ENDINGS = (".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".zip")


class Damaged(errors.RecordingError):
    """A file that ends too early; what came before may be whole."""


class Holder(Protocol):
    """Something that holds recordings and what lies beside them."""

    def documents(self) -> Iterator[tuple[int, Any]]:
        """The JSON documents with their lines, a text where a line is none; raises `RecordingError`."""

    def read(self, named: str) -> bytes:
        """A file beside the recordings; see `blobs.Read`."""


def opened(file: Path) -> Holder:
    """What holds the recordings of a file; raises `Damaged` when it cannot be read."""
    try:
        with file.open("rb") as probe:
            head = probe.read(4)
    except OSError as exc:
        raise Damaged(f"{file}: cannot be read: {exc.strerror}", hint="name a file that can be read") from exc
    return Zip(file) if head == b"PK\x03\x04" else Lines(file, packed=head[:2] == b"\x1f\x8b")


def listed(path: Path) -> list[Path]:
    """The files that a path stands for: itself, or those of a folder that may hold recordings."""
    if path.is_dir():
        found = [file for file in sorted(path.iterdir()) if file.is_file() and named_so(file)]
        if not found:
            raise errors.RecordingError(f"{path}: no recording in this folder", hint="name a folder of <id>.json files")
        return found
    if not path.is_file():
        raise errors.RecordingError(f"{path}: there is no such file", hint="name a recording, or a folder of them")
    return [path]


def named_so(file: Path) -> bool:
    """Whether a file is called as recordings are."""
    return file.name.endswith(_ENDINGS)


@dataclass(frozen=True, slots=True)
class Lines:
    """A JSON document, or lines of them."""

    file: Path
    packed: bool

    def documents(self) -> Iterator[tuple[int, Any]]:
        """One document may span lines; a line that is none is told as text."""
        try:
            with gzip.open(self.file, "rb") if self.packed else self.file.open("rb") as stream:
                first = stream.readline(LARGEST_RECORDING + 1)
                yield 1, self._first(first, stream)
                for number, line in enumerate(iter(lambda: stream.readline(LARGEST_RECORDING + 1), b""), 2):
                    if line.strip():
                        document = _json(line) if len(line) <= LARGEST_RECORDING else None
                        yield number, document if document is not None else f"line {number} is not JSON"
        except (OSError, EOFError, zlib.error) as exc:
            raise Damaged(f"{self.file}: cannot be read: {exc}", hint="the file is cut off or damaged") from exc

    def read(self, named: str) -> bytes:
        """A file under the recording's folder."""
        return blobs.in_folder(self.file.parent)(named)

    def _first(self, line: bytes, stream: Any) -> Any:
        if not line.strip():
            raise Damaged(f"{self.file}: empty", hint="name a file that holds a recording")
        document = _json(line)
        if document is not None:
            return document
        whole = line + stream.read(LARGEST_RECORDING - len(line) + 1)
        if len(whole) > LARGEST_RECORDING:
            raise Damaged(f"{self.file}: a recording of more than {LARGEST_RECORDING >> 20} MiB")
        document = _json(whole)
        if document is None:
            raise Damaged(f"{self.file}: not JSON, or cut off")
        return document


@dataclass(frozen=True, slots=True)
class Zip:
    """One recording with its blobs in a zip; a member of any other name, a link or a secret one refuses all of it."""

    file: Path

    def documents(self) -> Iterator[tuple[int, Any]]:
        """The one document."""
        names = [name for name in self._members() if not name.startswith("blobs/")]
        if len(names) != 1:
            raise errors.RecordingError(f"{self.file}: a zip of {len(names)} recordings", hint="one recording a zip")
        document = _json(self._content(names[0], LARGEST_RECORDING))
        if document is None:
            raise Damaged(f"{self.file}: {names[0]} is not JSON, or cut off")
        yield 1, document

    def means_to_be_one(self) -> bool:
        """Whether it has a member that is called as recordings are, wherever it lies."""
        return any(info.filename.rpartition("/")[2] == RECORDING for info in self._infos())

    def read(self, named: str) -> bytes:
        """A member of the zip."""
        if named not in self._members():
            raise blobs.NotThere(f"db_snapshot {named[:80]!r} is not in the zip")
        return self._content(named, blobs.LARGEST)

    def _infos(self) -> list[zipfile.ZipInfo]:
        try:
            with zipfile.ZipFile(self.file) as archive:
                return [info for info in archive.infolist() if info.filename != "blobs/"]
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as exc:
            raise Damaged(f"{self.file}: cannot be read: {exc}", hint="the zip is cut off or damaged") from exc

    def _members(self) -> dict[str, zipfile.ZipInfo]:
        members = self._infos()
        if len(members) > _MOST_MEMBERS:
            raise errors.RecordingError(f"{self.file}: more than {_MOST_MEMBERS:,} members", hint="one recording a zip")
        for info in members:
            if why := _refused(info):
                raise errors.RecordingError(f"{self.file}: member {info.filename[:80]!r} {why}", hint=_ALLOWED)
        found = {info.filename: info for info in members}
        if len(found) != len(members):
            raise errors.RecordingError(f"{self.file}: a member comes twice", hint=_ALLOWED)
        return found

    def _content(self, name: str, limit: int) -> bytes:
        """A member's bytes; what its header says of its size is not believed."""
        try:
            with zipfile.ZipFile(self.file) as archive, archive.open(name) as member:
                content = member.read(limit + 1)
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError) as exc:
            raise Damaged(f"{self.file}: {name} cannot be read: {exc}", hint="the zip is damaged") from exc
        if len(content) > limit:
            raise errors.RecordingError(f"{self.file}: {name} unpacks to more than {limit >> 20} MiB")
        return content


_ALLOWED = f"a recording's zip holds {RECORDING} and blobs/<sha256>.… and nothing else"


def _refused(info: zipfile.ZipInfo) -> str | None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if _MEMBER.fullmatch(info.filename) is None:
        return "has no place in a recording"
    if kind not in (0, stat.S_IFREG):
        return "is no plain file"
    if info.flag_bits & 1:
        return "is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is packed in a way that is not read here"
    return None


def zipped(place: Path, recording: bytes, images: dict[str, bytes]) -> None:
    """Write one recording with its blobs as a zip: the same bytes for the same recording, whole or not at all."""
    beside = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in {RECORDING: recording, **dict(sorted(images.items()))}.items():
                info = zipfile.ZipInfo(name)  # 1980: no time of this machine
                info.external_attr = (stat.S_IFREG | 0o644) << 16
                info.compress_type = zipfile.ZIP_STORED if name.endswith(".xz") else zipfile.ZIP_DEFLATED
                archive.writestr(info, content)
        os.replace(beside, place)
    except OSError as exc:
        raise errors.RecordingError(f"cannot write {place}: {exc.strerror}", hint="name a file in a folder") from exc
    finally:
        beside.unlink(missing_ok=True)


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
