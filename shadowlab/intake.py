"""Take what was named into a case: files, folders and globs, sorted into telemetry and recordings by content."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace as changed
from pathlib import Path

from shadowlab import errors, privacy
from shadowlab.case import Case
from shadowlab.progress import Progress
from shadowlab.records import Ingest, Recording, Rejected, Unreplayable

_READ = "OTLP, Jaeger and Zipkin files and recordings are read"
_RECORDED = "docs/recordings.md says what a recording holds; one of a newer format takes a newer shadowlab"


def ingest(
    case: Case, names: Sequence[str], *, redact: str | None, tape: Path | None, progress: Progress | None
) -> Ingest:
    """Load telemetry and recordings; see `Investigation.ingest`. Raises `TelemetryError` when no file could be used."""
    from shadowlab import telemetry
    from shadowlab.replay import recording, tapes

    answers = tapes.read(tape) if tape else None
    privacy.macros(redact)  # an unknown policy is refused before anything is read
    given = inputs(names)
    telemetry_files, recorded = given.telemetry, given.recordings
    done = telemetry.ingest(case, telemetry_files, redact=redact, progress=progress) if telemetry_files else Ingest()
    taken = recording.TakenIn()
    if recorded:
        taken = recording.take_in(case, recorded, redact=redact, tape=answers, progress=progress)
    refused = tuple(_explained(one) for one in done.refused + taken.refused)
    if len(refused) == len(telemetry_files) + len(recorded):
        first = refused[0] if refused else Rejected(file=names[0], position="", reason="an empty folder")
        reason = first.reason.removeprefix(f"{first.file}: ")
        hint = _RECORDED if first.file in recorded else _READ
        if reason.startswith("cannot be"):
            hint = "check its name, and that it may be read"
        raise errors.TelemetryError(f"{first.file}: {reason}", hint=hint)
    return changed(
        done,
        recordings=len(taken.recordings),
        redacted=done.redacted + taken.redacted,
        files=tuple(changed(f, file=Path(f.file).name) for f in done.files + taken.files),  # no path travels
        rejected=done.rejected + taken.rejected + tuple(r for r in refused if r.file in given.swept),
        refused=tuple(r for r in refused if r.file not in given.swept),
        redaction=redact or "off",
        linked=_linked(case, taken.recordings),
        unreplayable=_unreplayable(taken.recordings),
        notes=answers.notes if answers else (),
    )


def _linked(case: Case, recordings: Sequence[Recording]) -> int:
    from shadowlab import telemetry
    from shadowlab.replay import links

    if not recordings:
        return 0
    with telemetry.store(case) as store:
        return len(links.traces(store, recordings))


def _unreplayable(recordings: Sequence[Recording]) -> tuple[Unreplayable, ...]:
    """The commonest reason first; calls are not told apart by their number."""
    counts = Counter(
        reason
        for tape in recordings
        for reason in {re.sub(r"^outbound\[\d+\]", "outbound[…]", missing) for missing in tape.missing}
    )
    return tuple(Unreplayable(reason=reason, recordings=n) for reason, n in sorted(counts.items(), key=_commonest))


def _commonest(counted: tuple[str, int]) -> tuple[int, str]:
    return -counted[1], counted[0]


def _explained(refused: Rejected) -> Rejected:
    """What a file of recorded answers is good for: alone it is neither telemetry nor a recording."""
    from shadowlab.replay import tapes

    found = tapes.recognised(Path(refused.file))
    if found is None:
        return refused
    reason = (
        f"recorded answers ({found}), which belong to a request: give them with --tape, beside its event or recording"
    )
    return changed(refused, reason=reason)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What was named to be ingested, sorted by what it is."""

    telemetry: tuple[str, ...]
    recordings: tuple[str, ...]
    swept: frozenset[str]
    """Files that nobody named: they lay in a folder that somebody did."""


def inputs(names: Sequence[str]) -> Inputs:
    """Files, folders, globs, addresses and `-`, sorted into telemetry and recordings by content.

    A folder stands for its files and those below it, hidden ones and recordings' blobs left out.
    """
    from shadowlab.replay import recording
    from shadowlab.telemetry.attachments import below

    swept: list[str] = []
    plain: list[str] = []
    for name in names:
        if os.path.isdir(name):
            swept += [str(file) for file in below(Path(name)) if not _aside(file, name)]
        elif glob.has_magic(name) and "://" not in name and not os.path.exists(name):
            plain += sorted(glob.glob(name, recursive=True)) or [name]
        else:
            plain.append(name)
    found = list(dict.fromkeys(plain + swept))
    tapes = tuple(name for name in found if recording.is_recording(Path(name)))
    telemetry_files = tuple(name for name in found if name not in set(tapes))
    return Inputs(telemetry_files, tapes, frozenset(swept) - frozenset(plain))


def _aside(file: Path, folder: str) -> bool:
    parts = file.relative_to(folder).parts
    return any(part.startswith(".") or part == "blobs" for part in parts)
