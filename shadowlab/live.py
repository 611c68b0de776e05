"""A receiver at a case: what it gained is kept as any verb's record, what a killed one left is taken in first."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from shadowlab import errors, keeping, times
from shadowlab.audit import ledger
from shadowlab.case import Case
from shadowlab.evidence import Evidence, named
from shadowlab.records import Ingest

if TYPE_CHECKING:
    from shadowlab.telemetry.receiver import Told


def receive(
    case: Case,
    *,
    http: str | None,
    grpc: str | None,
    redact: str | None,
    token_file: str | os.PathLike[str] | None,
    tls: tuple[str | os.PathLike[str], str | os.PathLike[str]] | None,
    stop: threading.Event | None,
    tell: Callable[[Told], None] | None,
    keep: str | timedelta | None = None,
    max_size: str | None = None,
) -> Ingest:
    """Receive until `stop` is set or a signal comes, and keep what the case gained; see `Investigation.receive`."""
    from shadowlab.telemetry import receiver

    listen = receiver.Listen.read(
        http=http,
        grpc=grpc,
        token_file=Path(token_file) if token_file else None,
        tls=(Path(tls[0]), Path(tls[1])) if tls else None,
    )
    window = receiver.Window.read(times.window(keep) if keep else None, max_size)
    take_in_log(case)
    evidence = Evidence(case, known=_known(case))
    care = receiver.Care(window, _merged, _dropped)
    done = receiver.receive(case, listen, redact=redact, stop=stop, tell=tell, care=care)
    doors = {"http": http or "off", "grpc": grpc or "off"}
    return keeping.keep(case, "receive", done, evidence, **doors, redaction=done.redaction)


def take_in_log(case: Case) -> None:
    """Take in what a killed receiver left in its log: it was acknowledged, so it is evidence too."""
    if not (case.telemetry / "incoming").exists():  # nothing was ever received: spare the import
        return
    from shadowlab.telemetry import receiver

    if receiver.left_over(case):
        evidence = Evidence(case, known=_known(case))
        done = receiver.recover(case)
        if done is not None:
            keeping.keep(case, "recover", done, evidence, redaction=done.redaction)


def _merged(case: Case, segments: Sequence[str]) -> None:
    """Merged segments go: where the ledger named them, it says so before they do."""
    _note_gone(case, "merge", segments)


def _dropped(case: Case, segments: Sequence[str]) -> None:
    """Segments leave the window that is kept, and the ledger says so."""
    _note_gone(case, "drop", segments)


def _note_gone(case: Case, verb: str, segments: Sequence[str]) -> None:
    paths = {f"telemetry/{name}" for name in segments}
    keeping.note(case, verb, dict.fromkeys(paths & _known(case)), segments=len(paths))


def _known(case: Case) -> frozenset[str]:
    return named(case, ledger.entries(case))


def merge_files(case: Case) -> None:
    """Merge the small segments that ingests left, so that a case of many opens as fast as a case of few.

    What cannot be merged now stays as it is, and the next ingest tries again.
    """
    from shadowlab.telemetry import compaction, segments

    left = compaction.retired(case, files=True)  # by one who was killed
    if not left and not compaction.due(segments.manifest(case).segments, files=True):
        return
    with contextlib.suppress(OSError, errors.ShadowlabError), case.writing("merging segments"):
        evidence = Evidence(case)
        compaction.forget(case, left)
        while chosen := compaction.due(segments.manifest(case).segments, files=True):
            if not compaction.compact(case, chosen, case.telemetry, _merged):
                break
            compaction.forget(case, [one.file for one in chosen])
        keeping.note(case, "merge", evidence.written())
