"""Segments: DuckDB files that never change once they are there, and the manifest that names them.

A writer builds a segment beside, checkpoints it, renames it in and then replaces the manifest. A reader attaches what
the manifest names. A kill in between leaves a file that no manifest names; the next writer sweeps it away.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path
from typing import Annotated, Final

import msgspec

from shadowlab import errors, scratch
from shadowlab.case import Case
from shadowlab.telemetry import sealed
from shadowlab.writing import write

FORMAT: Final = 1
_MANIFEST: Final = "manifest.json"
SPOOL: Final = ".spool-"
"""How the names of folders begin in which a writer keeps what it is reading."""
MERGED: Final = ".merged-"
"""How the names of folders begin in which segments are merged."""
CUT: Final = ".cut-"
"""How the names of folders begin in which an incident's part of another case is sorted."""
SLICE: Final = ".slice-"
"""How the names of folders begin that hold what was pulled from a larger store, before it is redacted."""
RECEIVED: Final = ".received-"
"""How the names of origins begin that a receiver took in."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was loaded: what it was, and under which redaction."""

    file: str
    sha256: str
    redaction: str
    size: int = 0


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """One immutable file of the store."""

    file: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{6,12}-[a-z]{1,20}\.duckdb\Z")]
    """A case may come from anywhere: no path leads out of it, and no name is SQL."""
    kind: str = "telemetry"
    """`telemetry` or `fingerprints`."""
    origins: tuple[Origin, ...] = ()
    spans: int = 0
    logs: int = 0
    metric_points: int = 0


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Every segment that readers see."""

    format: int = FORMAT
    segments: tuple[Segment, ...] = ()


def manifest(case: Case) -> Manifest:
    """The case's manifest; an empty one when nothing was loaded. Raises `CaseError` when it cannot be read."""
    place = case.telemetry / _MANIFEST
    try:
        found = msgspec.json.decode(place.read_bytes(), type=Manifest)
    except FileNotFoundError:
        return Manifest()
    except (OSError, msgspec.MsgspecError) as exc:
        raise errors.CaseError(f"{place} is damaged: {exc}", hint="ingest the telemetry into a new case") from exc
    if found.format > FORMAT:
        raise errors.CaseError(
            f"{place} is of format {found.format}, this shadowlab reads up to {FORMAT}",
            hint="open the case with a newer shadowlab",
        )
    return found


def publish(case: Case, segments: tuple[Segment, ...]) -> None:
    """Make `segments` what readers see from now on. Hold the case's writer's place."""
    document = msgspec.to_builtins(Manifest(segments=segments))
    write(case.telemetry / _MANIFEST, json.dumps(document, indent=1, sort_keys=True).encode() + b"\n")


def new_path(case: Case, kind: str) -> tuple[Path, Path]:
    """Where a new segment is built, and where it is renamed to."""
    numbers = [int(p.stem.split("-")[0]) for p in case.telemetry.glob("*.duckdb") if p.stem.split("-")[0].isdigit()]
    name = f"{max(numbers, default=0) + 1:06d}-{kind}.duckdb"
    return case.telemetry / f".{name}.{os.getpid()}", case.telemetry / name


def put_in_place(beside: Path, place: Path) -> None:
    """Flush a built segment to the disk and rename it in."""
    fd = os.open(beside, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    beside.chmod(0o444)
    os.replace(beside, place)


def sweep(case: Case) -> None:
    """Remove what a killed writer left behind. Hold the case's writer's place."""
    named = {segment.file for segment in manifest(case).segments}
    for path in case.telemetry.iterdir():
        left_over = path.name.startswith(".") or (path.suffix == ".duckdb" and path.name not in named)
        if left_over and path.is_file():
            with contextlib.suppress(OSError):
                path.unlink()
        elif path.name.startswith((SPOOL, MERGED, CUT)):
            shutil.rmtree(path, ignore_errors=True)
    scratch.sweep(case.telemetry, SLICE)
    sealed.sweep(case.telemetry, frozenset(name.removesuffix(".duckdb") for name in named))
