"""Take recordings into the case, list them, load them again: hostile files in, checked fixtures out."""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import os
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.privacy import Redactor, is_secret
from shadowlab.records import IngestedFile, Recording, Rejected
from shadowlab.replay.fixture import Fixture, Headers, NewerFormat, is_fixture, parse
from shadowlab.replay.inside.tape import bare

LARGEST_RECORDING = 16 << 20
"""Bytes of one recording's JSON."""
LARGEST_SNAPSHOT = 512 << 20
"""Bytes of one database snapshot, unpacked."""
MOST_RECORDINGS = 200_000
_BLOB = re.compile(r"blobs/([0-9a-f]{64})\.sqlite\.xz")
_ID = re.compile(r"[0-9a-f]{1,32}")
_SQLITE = b"SQLite format 3\0"

Progress = Callable[[str, int, int], None]


class _Damaged(errors.RecordingError):
    """A file that ends too early; what came before may be whole."""


class _Refused(errors.RecordingError):
    """A file that is not taken at all."""


def is_recording(path: str | os.PathLike[str]) -> bool:
    """Whether a file or folder holds recordings, judged by its first document."""
    place = Path(path)
    if place.is_dir():
        return any(is_recording(file) for file in sorted(place.iterdir()) if file.is_file() and _named(file))
    try:
        return is_fixture(next(_documents(place), (0, None))[1])
    except (errors.RecordingError, OSError):
        return False


@dataclass(frozen=True, kw_only=True, slots=True)
class TakenIn:
    """What became of the files that were named."""

    recordings: tuple[Recording, ...] = ()
    """Those that were added to the case; what lay there already is not counted again."""
    files: tuple[IngestedFile, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    """Single recordings that could not be kept."""
    refused: tuple[Rejected, ...] = ()
    """Files of which nothing could be kept."""
    redacted: int = 0
    """Values that were replaced."""


def take_in(
    case: Case,
    paths: Sequence[str | os.PathLike[str]],
    *,
    redact: str | None = "default",
    progress: Progress | None = None,
) -> TakenIn:
    """Keep the recordings of `paths` in the case, headers that are secrets replaced unless `redact` is None.

    Bodies stay as they are: without them nothing can be replayed.

    A path is a file (one JSON document, or JSON lines, plain or gzip) or a folder of such files; snapshots lie in
    `blobs/` beside. A file of which nothing can be read, or of a newer format, is refused whole.
    """
    taken = TakenIn()
    redactor = Redactor(case.key("redaction")) if redact else None
    with case.writing("recordings"):
        for path in paths:
            try:
                files = _files(Path(path))
            except errors.RecordingError as exc:
                taken = _added(taken, refused=_refusal(Path(path), exc))
                continue
            for n, file in enumerate(files):
                if progress is not None:
                    progress(f"reading {file.name}", n, len(files))
                taken = _take_file(case, file, taken, redactor)
    return replace(taken, redacted=redactor.replaced.total() if redactor else 0)


def shown(fixture: Fixture) -> dict[str, Any]:
    """What a person may see of a recording: names and sizes, never a body and never a header's value."""
    return {
        "id": fixture.id,
        "service": fixture.service,
        "kind": fixture.kind,
        "summary": fixture.summary,
        "time": fixture.time,
        "commit": fixture.commit,
        "trace_id": fixture.trace_id,
        "control": fixture.control,
        "missing": list(fixture.missing),
        "request": {"method": fixture.request.method, "path": fixture.request.path,
                    "headers": [name for name, _ in fixture.request.headers],
                    "body_bytes": len(fixture.request.content)},
        "response": fixture.response and {"status": fixture.response.status,
                                          "headers": [name for name, _ in fixture.response.headers],
                                          "body_bytes": len(fixture.response.content)},
        "error": fixture.error and msgspec.to_builtins(fixture.error),
        "outbound": [f"{call.method} {bare(call.url)} -> {call.status or (call.error and call.error.type)}"
                     for call in fixture.outbound],
        "environment": sorted({*fixture.environment.read, *fixture.environment.values}),
        "flags": fixture.flags,
        "db_snapshot": fixture.db_snapshot,
    }  # fmt: skip


def keep(case: Case, fixture: Fixture) -> Recording:
    """Keep one recording in the case."""
    with case.writing("recordings"):
        _keep(case, fixture, [])
    return _noun(fixture, (case.recordings / f"{fixture.id}.json").read_bytes())


def load(case: Case, id: str) -> Fixture:
    """The recording whose id starts with `id`; raises `RecordingError` when there is none or several."""
    found = sorted(case.recordings.glob(f"{id}*.json")) if _ID.fullmatch(id) else []
    if len(found) != 1:
        raise errors.RecordingError(
            f"{len(found)} recordings in {case.path} have an id that starts with {id[:40]!r}",
            hint="`shadowlab show CASE` lists them; `shadowlab ingest CASE PATH` takes more in",
        )
    return _load(found[0])


def listed(case: Case) -> list[Recording]:
    """Every recording in the case, by time, then id."""
    return sorted(
        (_noun(_load(file), file.read_bytes()) for file in case.recordings.glob("*.json")), key=lambda r: (r.at, r.id)
    )


def snapshot(case: Case, fixture: Fixture) -> bytes | None:
    """The database as the request found it, unpacked; None when none was recorded.

    Raises `RecordingError` when the blob is missing, was changed, or is too large.
    """
    if fixture.db_snapshot is None:
        return None
    return _unpacked(case.recordings, fixture.db_snapshot)


def _take_file(case: Case, file: Path, taken: TakenIn, redactor: Redactor | None) -> TakenIn:
    kept: list[Recording | None] = []
    rejected: list[Rejected] = []
    new: list[Path] = []
    number = 1
    try:
        for number, document in _documents(file):
            if len(kept) >= MOST_RECORDINGS:
                raise _Refused(f"{file}: more than {MOST_RECORDINGS:,} recordings", hint="take fewer at once")
            try:
                document = with_snapshot(case, document, file.parent, new)
                fixture = parse(document, where=f"{file}: line {number}")
                kept.append(_keep(case, _redacted(fixture, redactor) if redactor else fixture, new))
            except NewerFormat:
                raise
            except errors.RecordingError as exc:
                rejected.append(Rejected(file=str(file), position=f"line {number}", reason=str(exc.args[0])))
    except _Damaged as exc:
        rejected.append(Rejected(file=str(file), position=f"after line {number}", reason=str(exc.args[0])))
    except errors.RecordingError as exc:
        _take_back(new)
        return _added(taken, refused=_refusal(file, exc))
    if not kept:
        _take_back(new)
        return _added(taken, refused=Rejected(file=str(file), position="line 1", reason=rejected[-1].reason))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    added = [recording for recording in kept if recording is not None]
    told = IngestedFile(file=str(file), format="recording", sha256=digest, rows=len(added))
    return TakenIn(
        recordings=(*taken.recordings, *added),
        files=(*taken.files, told),
        rejected=(*taken.rejected, *rejected),
        refused=taken.refused,
    )


def _redacted(fixture: Fixture, redactor: Redactor) -> Fixture:
    """The recording without its secret headers and variables; one from shadowlab-recorder has none left."""

    def clean(pairs: Headers) -> Headers:
        return tuple((k, redactor.value(k, v)) if is_secret(k) and not _gone(v) else (k, v) for k, v in pairs)

    def changed(part: Any, **fields: Any) -> Any:
        return msgspec.structs.replace(part, **fields)

    told, answer = fixture.environment, fixture.response
    values = {k: redactor.value(k, v) if is_secret(k) and not _gone(v) else v for k, v in told.values.items()}
    calls = (
        changed(call, request_headers=clean(call.request_headers), headers=clean(call.headers))
        for call in fixture.outbound
    )
    error = fixture.error and changed(fixture.error, message=redactor.text(fixture.error.message))
    cleaned: Fixture = changed(
        fixture,
        request=changed(fixture.request, headers=clean(fixture.request.headers)),
        response=answer and changed(answer, headers=clean(answer.headers)),
        outbound=tuple(calls),
        environment=changed(told, values=values),
        error=error,
    )
    return cleaned


def _gone(value: str) -> bool:
    """Whether the recorder took the value out already."""
    return value.startswith("[redacted:")


def _take_back(new: list[Path]) -> None:
    """A file that is refused leaves nothing in the case."""
    for place in new:
        place.unlink(missing_ok=True)


def _added(taken: TakenIn, *, refused: Rejected) -> TakenIn:
    return replace(taken, refused=(*taken.refused, refused))


def _refusal(file: Path, exc: errors.RecordingError) -> Rejected:
    return Rejected(file=str(file), position="the whole file", reason=str(exc.args[0]))


def _keep(case: Case, fixture: Fixture, new: list[Path]) -> Recording | None:
    """The recording that was added, None when it lay there already; its file goes among `new`.

    Raises `RecordingError` when another recording of its id is there: what is in the case is evidence, and stays.
    """
    try:
        content = msgspec.json.format(msgspec.json.encode(fixture), indent=1) + b"\n"
    except UnicodeEncodeError as exc:
        raise errors.RecordingError(f"recording {fixture.id} holds text that is not Unicode") from exc
    place = case.recordings / f"{fixture.id}.json"
    if place.exists():
        if _load(place) == fixture:
            return None
        raise errors.RecordingError(f"recording {fixture.id} is in the case already, with other content")
    new.append(place)
    _write(place, content)
    return _noun(fixture, content)


def _noun(fixture: Fixture, content: bytes) -> Recording:
    return Recording(
        id=fixture.id,
        service=fixture.service,
        kind=fixture.kind,
        summary=fixture.summary,
        at=fixture.at,
        trace_id=fixture.trace_id,
        span_id=fixture.span_id,
        failed=fixture.failed,
        control=fixture.control,
        missing=fixture.missing,
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _load(file: Path) -> Fixture:
    try:
        document = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as exc:
        raise errors.RecordingError(f"{file} cannot be read: {exc}") from exc
    fixture = parse(document, where=str(file))
    if fixture.id != file.stem:
        raise errors.RecordingError(f"{file} holds recording {fixture.id}: it was renamed or changed")
    return fixture


def _named(file: Path) -> bool:
    return file.name.endswith((".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz"))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = [file for file in sorted(path.iterdir()) if file.is_file() and _named(file)]
        if not found:
            raise errors.RecordingError(f"{path}: no recording in this folder", hint="name a folder of <id>.json files")
        return found
    if not path.is_file():
        raise errors.RecordingError(f"{path}: there is no such file", hint="name a recording, or a folder of them")
    return [path]


def _documents(file: Path) -> Iterator[tuple[int, Any]]:
    """The JSON documents of a file with their lines; one document may span lines."""
    try:
        with _opened(file) as stream:
            first = stream.readline(LARGEST_RECORDING + 1)
            if not first.strip():
                raise _Damaged(f"{file}: empty", hint="name a file that holds a recording")
            head = _json(first)
            if head is None:
                whole = first + stream.read(LARGEST_RECORDING - len(first) + 1)
                if len(whole) > LARGEST_RECORDING:
                    raise _Damaged(f"{file}: a recording of more than {LARGEST_RECORDING >> 20} MiB")
                head = _json(whole)
                if head is None:
                    raise _Damaged(f"{file}: not JSON, or cut off")
            yield 1, head
            for number, line in enumerate(iter(lambda: stream.readline(LARGEST_RECORDING + 1), b""), 2):
                if line.strip():
                    document = _json(line) if len(line) <= LARGEST_RECORDING else None
                    yield number, document if document is not None else f"line {number} is not JSON"
    except (OSError, EOFError, zlib.error) as exc:
        raise _Damaged(f"{file}: cannot be read: {exc}", hint="the file is cut off or damaged") from exc


def _opened(file: Path) -> Any:
    with file.open("rb") as probe:
        packed = probe.read(2) == b"\x1f\x8b"
    return gzip.open(file, "rb") if packed else file.open("rb")


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def with_snapshot(case: Case, document: Any, folder: Path, new: list[Path]) -> Any:
    """The document, its snapshot kept in the case and named by its content; its file goes among `new`."""
    if not isinstance(document, dict) or not document.get("db_snapshot"):
        return document
    named = document["db_snapshot"]
    if not isinstance(named, str):
        raise errors.RecordingError("db_snapshot is no path")
    found = _BLOB.fullmatch(named)
    if found and (case.recordings / named).exists():
        return document
    packed = _blob(folder, named)
    if not found:
        if not packed.startswith(_SQLITE):
            raise errors.RecordingError(f"db_snapshot {named[:80]!r} is no SQLite database")
        packed = lzma.compress(packed, preset=1)
        named = f"blobs/{hashlib.sha256(packed).hexdigest()}.sqlite.xz"
    else:
        _check(packed, found[1], named)
    if not (case.recordings / named).exists():
        new.append(case.recordings / named)
        _write(case.recordings / named, packed)
    return {**document, "db_snapshot": named}


def _blob(folder: Path, named: str) -> bytes:
    """The bytes of a snapshot; it must lie under the recording's own folder."""
    place = (folder / named).resolve()
    if not place.is_relative_to(folder.resolve()):
        raise errors.RecordingError(f"db_snapshot {named[:80]!r} leads out of the recording's folder")
    try:
        if place.stat().st_size > LARGEST_SNAPSHOT:
            raise errors.RecordingError(f"db_snapshot {named[:80]!r} is larger than {LARGEST_SNAPSHOT >> 20} MiB")
        return place.read_bytes()
    except OSError as exc:
        raise errors.RecordingError(f"db_snapshot {named[:80]!r} cannot be read: {exc.strerror}") from exc


def _unpacked(folder: Path, named: str) -> bytes:
    found = _BLOB.fullmatch(named)
    if found is None:
        raise errors.RecordingError(f"db_snapshot {named[:80]!r} is no blob of this case")
    return _check(_blob(folder, named), found[1], named)


def _check(packed: bytes, digest: str, named: str) -> bytes:
    """The unpacked snapshot, when its name tells its content (as it is packed, or unpacked)."""
    unpacker = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=256 << 20)
    try:
        content = unpacker.decompress(packed, max_length=LARGEST_SNAPSHOT + 1)
    except lzma.LZMAError as exc:
        raise errors.RecordingError(f"snapshot {named} cannot be unpacked: {exc}") from exc
    if len(content) > LARGEST_SNAPSHOT or not unpacker.eof:
        raise errors.RecordingError(f"snapshot {named} is cut off, or larger than {LARGEST_SNAPSHOT >> 20} MiB")
    if digest not in (hashlib.sha256(packed).hexdigest(), hashlib.sha256(content).hexdigest()):
        raise errors.RecordingError(f"snapshot {named} does not hold what its name says")
    if content and not content.startswith(_SQLITE):
        raise errors.RecordingError(f"snapshot {named} is no SQLite database")
    return content


def _write(place: Path, content: bytes) -> None:
    """Whole or not at all for whoever reads; not flushed to the disk one by one, there may be thousands."""
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(f".{place.name}.{os.getpid()}")
    beside.write_bytes(content)
    beside.replace(place)
