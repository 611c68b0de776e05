"""Read what a killed receiver acknowledged, without writing into its case."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from shadowlab import errors
from shadowlab.case import Case, open_case
from shadowlab.scratch import Scratch
from shadowlab.telemetry import segments
from shadowlab.telemetry.receiver import drain, log, place


@contextlib.contextmanager
def complete(case: Case) -> Iterator[Case]:
    """The case itself; or, where a log lies that no receiver is at, a copy that has taken it in, gone after the block.

    A living receiver stores its log itself, a moment later. The copy lies in the folder for temporary files and shares
    the case's segments by links. Raises `TelemetryError` when there is no room for it.
    """
    if not log.files(place.folder(case)) or place.is_held(case):
        yield case
        return
    with Scratch("shadowlab-reading-") as scratch:
        try:
            copy = _copy(case, scratch.path / "case")
        except OSError as exc:
            raise errors.TelemetryError(
                f"what was received into {case.path} cannot be read beside it: {exc.strerror}",
                hint="`shadowlab triage` or `ingest` takes it in; or free the folder for temporary files (TMPDIR)",
            ) from exc
        yield copy


def _copy(case: Case, folder: Path) -> Case:
    copy = open_case(folder, lock_timeout=case.lock_timeout)
    shutil.copyfile(case.path / "case.json", folder / "case.json")
    if (case.keys / "redaction").exists():  # or equal values would not be equal any more
        shutil.copyfile(case.keys / "redaction", copy.keys / "redaction")
    incoming = place.folder(copy)
    incoming.mkdir(mode=0o700)
    for path in log.files(place.folder(case)):
        with contextlib.suppress(FileNotFoundError):  # somebody took it in meanwhile: it is in the manifest below
            shutil.copyfile(path, incoming / path.name)
    listed = segments.manifest(case).segments
    for one in listed:
        os.symlink((case.telemetry / one.file).resolve(), copy.telemetry / one.file)
    segments.publish(copy, listed)
    drain.drain(copy, log.files(incoming))
    return copy
