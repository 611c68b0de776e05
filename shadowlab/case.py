"""A case is a folder: where things lie, written whole or not at all, one writer at a time.

::

    case.json            format version, source, redaction policy, service manifest
    telemetry/           segments that never change once they are there (see `shadowlab.telemetry`)
    recordings/          <id>.json, blobs/<sha256>…
    records/             <digest>.json, one a kept record; latest.json names the newest of each type
    ledger.jsonl         what was done, hash-chained, with ledger.head.json (see `shadowlab.audit`)
    manifests/           <sha256>.json, the files that a ledger entry wrote when they are many
    objectives.yaml      the objectives that it was last triaged against
    keys/                made on first use, readable by the owner only; never packed
    reports/  patches/   what was written for people
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shadowlab import errors
from shadowlab.records import Record, from_json
from shadowlab.writing import write

FORMAT = 1
FOLDERS = ("telemetry", "recordings", "records", "reports", "patches", "keys")


_CHANGED: ContextVar[dict[str, Any]] = ContextVar("changed settings")
"""What settings were before the block of `as_it_was` changed them, None where they were not there."""


@dataclass(frozen=True, slots=True)
class Case:
    """An open case folder. Make one with `open_case`."""

    path: Path
    lock_timeout: float = 10.0
    """Seconds to wait for another writer."""
    _held: set[int] = field(default_factory=set, compare=False, repr=False)
    """Threads that have the writer's place; the lock itself is per open file, so two threads exclude each other too."""

    @property
    def telemetry(self) -> Path:
        """Where the telemetry's segments lie."""
        return self.path / "telemetry"

    @property
    def recordings(self) -> Path:
        """Where recordings and their blobs lie."""
        return self.path / "recordings"

    @property
    def records(self) -> Path:
        """Where kept records lie."""
        return self.path / "records"

    @property
    def reports(self) -> Path:
        """Where executed notebooks and pages lie."""
        return self.path / "reports"

    @property
    def patches(self) -> Path:
        """Where diffs, tests and rollout files lie."""
        return self.path / "patches"

    @property
    def keys(self) -> Path:
        """Where this case's secret keys lie; never packed."""
        return self.path / "keys"

    @property
    def objectives(self) -> Path:
        """The objectives that the case was last triaged against; not there before some were named."""
        return self.path / "objectives.yaml"

    def settings(self) -> dict[str, Any]:
        """What `case.json` says; raises `CaseError` when it is damaged or of a newer format."""
        return _settings(self.path)

    def remember(self, **settings: Any) -> None:
        """Change what `case.json` says."""
        with self.writing("settings"):
            before = self.settings()
            self._settle({**before, **settings})
        changed = _CHANGED.get({})
        for name in settings:
            changed.setdefault(name, before.get(name))

    def _settle(self, document: dict[str, Any]) -> None:
        write(self.path / "case.json", json.dumps(document, indent=2, sort_keys=True).encode() + b"\n")

    def key(self, name: str, size: int = 32) -> bytes:
        """The secret key called `name`, made on first use; `size` bytes."""
        place = self.keys / name
        if not place.exists():
            with self.writing("key"):
                if not place.exists():
                    write(place, secrets.token_bytes(size), mode=0o600)
        return place.read_bytes()

    def put(self, name: str, content: bytes) -> Path:
        """Write a file of the case, whole or not at all; returns its path."""
        with self.writing(name):
            write(self.path / name, content)
        return self.path / name

    def keep(self, record: Record) -> None:
        """Keep a record under its digest and make it the latest of its type."""
        with self.writing("record"):
            place = self.records / f"{record.digest}.json"
            write(place, spelled(record))
            latest = {**self._latest(), record.type: record.digest}
            write(self.records / "latest.json", json.dumps(latest, indent=1, sort_keys=True).encode() + b"\n")

    def latest(self, type_name: str) -> Record | None:
        """The newest kept record of a type."""
        digest = self._latest().get(type_name)
        return self.record(digest) if digest else None

    def record(self, digest: str) -> Record:
        """The kept record whose digest starts with `digest`; raises `CaseError` when there is none or several."""
        found = [p for p in self.records.glob("*.json") if p.stem.startswith(digest) and p.stem != "latest"]
        if len(found) != 1 or not digest:
            raise errors.CaseError(
                f"{len(found)} records in {self.path} start with {digest!r}", hint="`shadowlab show CASE` lists them"
            )
        record = from_json(read_json(found[0]))
        if record.digest != found[0].stem:
            raise errors.CaseError(
                f"{found[0]} holds another record, with digest {record.digest[:12]}",
                hint="`shadowlab verify CASE` says what else was changed",
            )
        return record

    def _latest(self) -> dict[str, str]:
        place = self.records / "latest.json"
        if not place.exists():
            return {}
        document = read_json(place)
        if not isinstance(document, dict):
            raise errors.CaseError(f"{place} is damaged", hint="`shadowlab verify CASE` says what else was changed")
        return document

    @contextlib.contextmanager
    def writing(self, what: str) -> Iterator[None]:
        """Hold the case's one writer's place; a second writer waits `lock_timeout`, then gets a `CaseError`.

        Reentrant within one thread. The lock is the kernel's (`flock`): a killed process leaves none behind.
        """
        thread = threading.get_ident()
        if thread in self._held:
            yield
            return
        fd = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._acquire(fd)
            if not os.fstat(fd).st_nlink:  # waited for, it went with the case
                raise errors.CaseError(f"{self.path} was removed meanwhile", hint="run the same again")
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"process {os.getpid()} ({what})".encode(), 0)
            self._held.add(thread)
            try:
                yield
            finally:
                self._held.discard(thread)
                os.ftruncate(fd, 0)
        finally:
            os.close(fd)

    def _acquire(self, fd: int) -> None:
        deadline = time.monotonic() + self.lock_timeout
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    holder = os.pread(fd, 200, 0).decode(errors="replace") or "another process"
                    raise errors.CaseError(
                        f"{self.path} is being written by {holder}; waited {self.lock_timeout:g} s",
                        hint="wait for it to end, or raise --lock-timeout",
                    ) from None
                time.sleep(0.05)


def open_case(path: str | os.PathLike[str], *, create: bool = True, lock_timeout: float = 10.0) -> Case:
    """The case in folder `path`, made when there is none and `create` is set.

    Raises `CaseError` when there is none, when the folder holds something else, or a newer format.
    """
    folder = Path(path)
    try:
        os.fspath(folder).encode()
    except UnicodeEncodeError as exc:
        raise errors.CaseError(
            f"{os.fspath(folder)!a} is no path in UTF-8, which DuckDB asks for",
            hint="name a folder whose name is UTF-8",
        ) from exc
    if misread := [letter for letter in "?\\" if letter in os.path.abspath(folder)]:
        raise errors.CaseError(
            f"{folder} has {misread[0]} in its path, which DuckDB reads as something else",
            hint="name a folder without it, and without it above it",
        )
    if (folder / "case.json").exists():
        _settings(folder)
        return Case(folder, lock_timeout)
    if not create:
        raise errors.CaseError(
            f"{folder} is no case: it has no case.json", hint="make one with `shadowlab ingest CASE PATH...`"
        )
    if folder.exists() and not _may_become_one(folder) and not (folder / "case.json").exists():
        raise errors.CaseError(f"{folder} is there already and is no case", hint="name a new or an empty folder")
    case = Case(folder, lock_timeout)
    try:
        for name in FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "keys").chmod(0o700)
        with case.writing("case"):
            if not (folder / "case.json").exists():  # somebody else may have made it since, and remember things in it
                write(folder / "case.json", json.dumps({"format": FORMAT}, indent=2).encode() + b"\n")
    except OSError as exc:
        raise errors.CaseError(f"cannot make a case in {folder}: {exc.strerror}", hint="name another folder") from exc
    return case


def _may_become_one(folder: Path) -> bool:
    """Whether it is an empty folder, or one of which somebody else is making a case at this moment."""
    if not folder.is_dir():
        return False
    return all(entry.name.startswith((".case.json.", ".lock")) or _bare(entry) for entry in folder.iterdir())


def _bare(entry: Path) -> bool:
    return entry.name in FOLDERS and entry.is_dir() and not entry.is_symlink() and not any(entry.iterdir())


def spelled(record: Record) -> bytes:
    """A kept record's file, byte for byte."""
    return json.dumps(record.to_json(), indent=1, ensure_ascii=False).encode() + b"\n"


@contextlib.contextmanager
def as_it_was(path: Path) -> Iterator[None]:
    """When the block is refused, `case.json` says what it said before, and a case that it made is gone again.

    A case that holds anything stays, and one that somebody else is at.
    """
    place, there = path / "case.json", path.exists()
    made, changed = not place.exists(), _CHANGED.set({})
    try:
        yield
    except (errors.ShadowlabError, OSError):
        with contextlib.suppress(errors.CaseError, OSError):  # it was taken away, or somebody else is at it
            if not made:
                _restore(Case(path), _CHANGED.get())
            elif place.exists():
                _unmake(path, whole=not there)
        raise
    finally:
        _CHANGED.reset(changed)


def _restore(case: Case, before: dict[str, Any]) -> None:
    """Undo these settings, and none that others changed meanwhile."""
    if before:
        with case.writing("settings"):
            document = {**case.settings(), **before}
            case._settle({name: told for name, told in document.items() if told is not None})


def _unmake(folder: Path, *, whole: bool) -> None:
    locks = (folder / ".lock", *folder.glob("telemetry/incoming/.receiver"))
    with contextlib.ExitStack() as stack, contextlib.suppress(OSError):  # somebody is at it
        for place in locks:
            fd = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            stack.callback(os.close, fd)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if (folder / "ledger.jsonl").exists() or any(place not in locks for place in _kept(folder)):
            return
        for name in (*FOLDERS, "manifests"):
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in ("case.json", ".lock"):
            (folder / name).unlink(missing_ok=True)
        if whole:
            folder.rmdir()


def _kept(folder: Path) -> Iterator[Path]:
    """Files that were put into a case: no key, and nothing of what is half done, which has a hidden name."""
    for room in (folder / name for name in FOLDERS if name != "keys"):
        for place in room.rglob("*"):
            if not place.relative_to(room).parts[0].startswith(".") and place.is_file() and place.stat().st_size:
                yield place


def _settings(folder: Path) -> dict[str, Any]:
    document = read_json(folder / "case.json")
    if not isinstance(document, dict) or not isinstance(document.get("format"), int):
        raise errors.CaseError(
            f"{folder / 'case.json'} is damaged: it names no format",
            hint="restore it from a copy of the case",
        )
    if document["format"] > FORMAT:
        raise errors.CaseError(
            f"{folder} is of format {document['format']}, this shadowlab reads up to {FORMAT}",
            hint="open it with a newer shadowlab",
        )
    return document


def read_json(path: Path) -> Any:
    """The JSON document in a file of the case; raises `CaseError` when it cannot be read."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as exc:
        # Verifying takes case.json itself.
        more = "" if path.name == "case.json" else "; `shadowlab verify CASE` says what else was changed"
        raise errors.CaseError(
            f"{path} cannot be read: {exc}", hint=f"restore it from a copy of the case{more}"
        ) from exc
