"""A case as one portable file: the same bytes when packed twice, nothing trusted when unpacked.

Keys and locks stay behind. The file is a gzipped tar (POSIX pax) whose entries are sorted and carry no time, owner or
mode of this machine.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import itertools
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from shadowlab import errors
from shadowlab.case import FOLDERS, FORMAT, Case, open_case
from shadowlab.scratch import Scratch

LIMIT = 20 * 2**30
"""Bytes that an archive may unpack to."""
_ENTRIES = 1_000_000
_DESCRIPTION = 2**16
"""Bytes that come before an entry's content, its name among them; tarfile reads them whole, and keeps them."""
_BUFFER = 20 * 512
"""Bytes that tarfile reads at once."""
_DAMAGED = (OSError, EOFError, tarfile.TarError, zlib.error, ValueError, IndexError)
"""What tarfile raises over bytes that are no archive."""
_FILES = ("case.json", "objectives.yaml", "ledger.jsonl", "ledger.head.json", "manifests")
_TOP = frozenset((*_FILES, *FOLDERS)) - {"keys"}


def pack(case: Case, out: Path) -> Path:
    """Write the whole case, keys left out, to `out`, which is new or holds this case as it was before.

    Raises `CaseError` when `out` holds anything else, lies in the case or cannot be written. The writer's place is
    held meanwhile, so that what is packed is one state; on a medium that cannot be written nobody else writes either.
    """
    if out.resolve().is_relative_to(case.path.resolve()):
        raise errors.CaseError(f"{out} lies in the case that it would hold", hint="name a file elsewhere")
    if os.path.lexists(out) and not _is_older(out, case):
        raise errors.CaseError(f"{out} is there already and is no older pack of {case.path}", hint="name a new file")
    beside = out.with_name(f".{out.name}.part")
    alone = case.writing("pack") if os.access(case.path, os.W_OK) else contextlib.nullcontext()
    try:
        with alone:
            try:
                _pack_into(beside, case)
                os.replace(beside, out)
            finally:
                with contextlib.suppress(OSError):
                    beside.unlink()
    except OSError as exc:
        raise errors.CaseError(
            f"cannot write {out}: {exc.strerror}", hint="name a file in a folder that exists and has room"
        ) from exc
    return out


def _pack_into(out: Path, case: Case) -> None:
    with (
        out.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for place in _contents(case):
            _add(tar, place, place.relative_to(case.path).as_posix())


def unpack(file: Path, folder: Path, *, limit: int = LIMIT) -> Case:
    """Make the case that `file` holds in `folder`, which must be new or empty; all of it or nothing.

    Raises `CaseError` for a file that is no packed case, names a place outside of it, or grows beyond `limit` bytes,
    and when the folder cannot be written.
    """
    if not file.is_file():
        what = "no file" if file.exists() else "not there"
        raise errors.CaseError(f"{file} is no packed case: it is {what}", hint="make one with `shadowlab pack`")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise errors.CaseError(f"{folder} is there already", hint="name a new or an empty folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Scratch(f".{folder.name}.", folder.parent)
    except OSError as exc:
        raise _unwritable(folder, exc) from exc
    beside = scratch.path / "case"
    try:
        beside.mkdir()
        _extract(file, beside, limit)
        if not (beside / "case.json").is_file():
            raise errors.CaseError(
                f"{file} is no packed case: it holds no case.json", hint="make one with `shadowlab pack`"
            )
        open_case(beside, create=False)
        for name in FOLDERS:
            (beside / name).mkdir(exist_ok=True)
        (beside / "keys").chmod(0o700)
        beside.chmod(0o755)
        os.replace(beside, folder)
    except _DAMAGED as exc:
        if isinstance(exc, OSError) and exc.errno and exc.filename != os.fspath(file):
            raise _unwritable(folder, exc) from exc
        raise errors.CaseError(
            f"{file} is no packed case, or a damaged one: {exc}",
            hint="copy it again, or make one with `shadowlab pack`",
        ) from exc
    finally:
        scratch.remove()
    return open_case(folder, create=False)


def _unwritable(folder: Path, exc: OSError) -> errors.CaseError:
    return errors.CaseError(f"cannot make a case in {folder}: {exc.strerror}", hint="name another folder")


def _is_older(file: Path, case: Case) -> bool:
    """Whether a file holds this case as it was before: what its ledger says is how the case's own begins."""
    place = case.path / "ledger.jsonl"
    own, packed = place.read_bytes() if place.exists() else b"", {}
    try:
        with gzip.open(file, "rb") as content:
            for entry, data in itertools.islice(
                _entries(content), 3
            ):  # sorted: case.json, the ledger's head, the ledger
                packed[entry.name] = data.read(len(own) + 1)
    except (*_DAMAGED, errors.CaseError):
        return False
    return "case.json" in packed and own.startswith(packed.get("ledger.jsonl", b""))


def _contents(case: Case) -> Iterator[Path]:
    for place in sorted(case.path.rglob("*")):
        inside = place.relative_to(case.path)
        hidden = any(part.startswith(".") for part in inside.parts)
        if place.is_file() and not place.is_symlink() and not hidden and inside.parts[0] in _TOP:
            yield place


def _add(tar: tarfile.TarFile, place: Path, name: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = place.stat().st_size, 0o644, 0
    with place.open("rb") as content:
        tar.addfile(entry, content)


class _Metered:
    """A stream that is read no further than what is expected next in it."""

    def __init__(self, content: gzip.GzipFile) -> None:
        self._content = content
        self.expect(_DESCRIPTION)

    def expect(self, size: int) -> None:
        self._left = size + _BUFFER

    def read(self, size: int) -> bytes:
        told = self._content.read(size)
        self._left -= len(told)
        if self._left < 0:
            raise errors.CaseError(
                f"the archive tells more than {_DESCRIPTION:,} bytes of one entry",
                hint="no case has such a name: do not trust this file",
            )
        return told


def _entries(content: gzip.GzipFile) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    """Each entry of a tar with its content, to be read before the next; of those before, nothing is kept."""
    metered: Any = _Metered(content)
    tar: Any  # its list of members is in no type
    with tarfile.open(fileobj=metered, mode="r|") as tar:
        while entry := tar.next():
            tar.members.clear()
            tar.pax_headers = {}
            metered.expect(entry.size)
            yield entry, (tar.extractfile(entry) if entry.isreg() else None) or io.BytesIO()
            metered.expect(_DESCRIPTION)


def _extract(file: Path, into: Path, limit: int) -> None:
    total = 0
    with gzip.open(file, "rb") as content:
        for count, (entry, data) in enumerate(_entries(content)):
            total += entry.size
            if not entry.isreg() or entry.size < 0 or not _inside(entry.name):
                raise errors.CaseError(
                    f"{file} holds {entry.name!r}, which has no place in a case (format {FORMAT})",
                    hint="do not trust this file, or unpack it with a newer shadowlab",
                )
            if total > limit or count >= _ENTRIES:
                raise _too_large(file, limit)
            try:
                _write(data, into / entry.name)
            except (FileExistsError, NotADirectoryError) as exc:
                raise errors.CaseError(
                    f"{file} holds {entry.name!r} twice, or as a file and as a folder", hint="do not trust this file"
                ) from exc
        # The tar ends before the gzip does: its checksum is only looked at when all of it has been read.
        while content.read(2**20):
            total += 2**20
            if total > limit:
                raise _too_large(file, limit)


def _too_large(file: Path, limit: int) -> errors.CaseError:
    return errors.CaseError(
        f"{file} unpacks to more than {limit:,} bytes or {_ENTRIES:,} files",
        hint="no case is as large: do not trust this file",
    )


def _write(data: IO[bytes], place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("xb") as out:
        shutil.copyfileobj(data, out)


def _inside(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return bool(parts) and parts[0] in _TOP and not any(part.startswith(".") or "\\" in part for part in parts)
