"""Take recordings into the case, list them, load them again: hostile files in, checked fixtures out."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.privacy import Redactor
from shadowlab.records import IngestedFile, Recording, Rejected
from shadowlab.replay import blobs, files
from shadowlab.replay.fixture import Fixture, parse
from shadowlab.replay.rebuilding import rebuilt
from shadowlab.replay.redacting import redacted
from shadowlab.replay.spelling import normal, spelling
from shadowlab.replay.tapes import Tape
from shadowlab.replay.versions import NewerFormat
from shadowlab.replay.versions import is_recording as means_to_be_one
from shadowlab.writing import write

MOST_RECORDINGS = 200_000
_ID = re.compile(r"[0-9a-f]{1,32}")

Progress = Callable[[str, int, int], None]


class _Refused(errors.RecordingError):
    """A file that is not taken at all."""


def is_recording(path: str | os.PathLike[str]) -> bool:
    """Whether a file or folder holds recordings, judged by its first document."""
    place = Path(path)
    if place.is_dir():
        return any(is_recording(file) for file in sorted(place.iterdir()) if file.is_file() and files.named_so(file))
    try:
        holder = files.opened(place)
        if isinstance(holder, files.Zip):
            return holder.means_to_be_one()
        return means_to_be_one(next(holder.documents(), (0, None))[1])
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
    tape: Tape | None = None,
    progress: Progress | None = None,
) -> TakenIn:
    """Keep the recordings of `paths` in the case, headers that are secrets replaced unless `redact` is None.

    Bodies stay as they are: without them nothing can be replayed.

    `tape` holds answers for the recordings that bring none of their own, such as bare events.

    A path is a file (one JSON document, JSON lines, plain or gzip, or a zip of one recording) or a folder of such
    files; snapshots lie in `blobs/` beside. A file of which nothing can be read, or of a newer format, is refused
    whole.
    """
    taken = TakenIn()
    redactor = Redactor(case.key("redaction"), redact) if redact else None
    with case.writing("recordings"):
        for path in paths:
            try:
                found = files.listed(Path(path))
            except errors.RecordingError as exc:
                taken = _added(taken, refused=_refusal(Path(path), exc))
                continue
            for n, file in enumerate(found):
                if progress is not None:
                    progress(f"reading {file.name}", n, len(found))
                taken = _take_file(case, file, taken, redactor, tape)
    return replace(taken, redacted=redactor.replaced.total() if redactor else 0)


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


def load_whole(case: Case, id: str) -> Fixture:
    """The same, where it can be replayed; raises `RecordingError` when it lacks anything."""
    fixture = load(case, id)
    if fixture.missing:
        raise errors.RecordingError(
            f"{fixture.id[:8]} cannot be replayed alone: {'; '.join(fixture.missing)}",
            hint="name one that lacks nothing",
        )
    return fixture


def listed(case: Case) -> list[Recording]:
    """Every recording in the case, by time, then id."""
    return sorted(
        (_noun(_load(file), file.read_bytes()) for file in case.recordings.glob("*.json")), key=lambda r: (r.at, r.id)
    )


def snapshot(case: Case, fixture: Fixture) -> bytes | None:
    """The SQLite database as the request found it: unpacked, or made of the recorded rows; None without either.

    Raises `RecordingError` when the blob is missing, was changed, or is too large, or the rows cannot be put back.
    """
    return rebuilt(fixture) if fixture.db_snapshot is None else blobs.unpacked(case, fixture.db_snapshot)


def _take_file(case: Case, file: Path, taken: TakenIn, redactor: Redactor | None, tape: Tape | None) -> TakenIn:
    kept: list[Recording | None] = []
    rejected: list[Rejected] = []
    new: list[Path] = []
    number = 1
    try:
        holder = files.opened(file)
        for number, document in holder.documents():
            if len(kept) >= MOST_RECORDINGS:
                raise _Refused(f"{file}: more than {MOST_RECORDINGS:,} recordings", hint="take fewer at once")
            try:
                if tape and isinstance(document, dict) and not document.get("outbound"):
                    document = {**document, "outbound": list(tape.calls)}
                document = blobs.with_snapshot(case, document, holder.read, new)
                fixture = parse(document, where=f"{file}: line {number}")
                kept.append(_keep(case, redacted(fixture, redactor) if redactor else fixture, new))
            except NewerFormat:
                raise
            except errors.RecordingError as exc:
                rejected.append(Rejected(file=str(file), position=f"line {number}", reason=str(exc.args[0])))
    except files.Damaged as exc:
        rejected.append(Rejected(file=str(file), position=f"after line {number}", reason=str(exc.args[0])))
    except errors.RecordingError as exc:
        _take_back(new)
        return _added(taken, refused=_refusal(file, exc))
    if not kept:
        _take_back(new)
        return _added(taken, refused=Rejected(file=str(file), position="line 1", reason=rejected[-1].reason))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    added = [recording for recording in kept if recording is not None]
    entry = IngestedFile(file=str(file), format="recording", sha256=digest, rows=len(added))
    return TakenIn(
        recordings=(*taken.recordings, *added),
        files=(*taken.files, entry),
        rejected=(*taken.rejected, *rejected),
        refused=taken.refused,
    )


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
    fixture = normal(fixture)
    content = spelling(fixture)
    place = case.recordings / f"{fixture.id}.json"
    if place.exists():
        if normal(_load(place)) == fixture:
            return None
        raise errors.RecordingError(f"recording {fixture.id} is in the case already, with other content")
    new.append(place)
    write(place, content, flushed=False)  # there may be thousands
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
        made_from=fixture.made_from,
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
