"""Write one recording of a case for others: a zip with its blobs, or its calls as a cassette that vcrpy plays."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.replay import files, recording, tapes
from shadowlab.writing import write


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """What was written."""

    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    """What of the recording the files cannot hold, in words."""


def export(case: Case, id: str, *, zip: Path | None = None, vcr: Path | None = None) -> Exported:
    """Write recording `id` to the new files that are named, whole or not at all.

    Raises `RecordingError` when there is no such recording, or a file is there already or cannot be written.
    """
    fixture = recording.load(case, id)
    for place in (zip, vcr):
        if place is not None and os.path.lexists(place):
            raise errors.RecordingError(f"{place} is there already", hint="name a new file")
    notes: tuple[str, ...] = ()
    if zip is not None:
        content = (case.recordings / f"{fixture.id}.json").read_bytes()
        images = [fixture.db_snapshot] if fixture.db_snapshot else []
        files.zipped(zip, content, {name: (case.recordings / name).read_bytes() for name in images})
    if vcr is not None:
        content, notes = tapes.cassette(fixture)
        try:
            write(vcr, content)
        except OSError as exc:
            raise errors.RecordingError(f"cannot write {vcr}: {exc.strerror}", hint="name a file in a folder") from exc
    return Exported(files=tuple(place for place in (zip, vcr) if place is not None), notes=notes)
