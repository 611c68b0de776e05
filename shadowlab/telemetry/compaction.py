"""Merge small segments, eight of a size into one, while others read and write: a receiver's own, or those of files.

The merged segment is built without the case's lock, from files that never change. Those that it replaces stay in the
manifest for a while, as `retired`: who read the manifest before can still open them.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

import msgspec

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.telemetry import connection, segment, segments
from shadowlab.telemetry.copying import copy_rows
from shadowlab.telemetry.segments import RECEIVED, Segment
from shadowlab.telemetry.store import attach_all, name_of

Retire = Callable[[Case, Sequence[str]], None]
"""Told which files of the telemetry folder go, under the case's lock, before they do."""
WIDTH: Final = 8
_SMALLEST: Final = 20_000
_LARGEST: Final = 2_000_000
_MEMORY: Final = "400MB"


def due(listed: Sequence[Segment], *, files: bool = False) -> tuple[Segment, ...]:
    """The segments to merge next: eight or more of one size, the smallest first; none when there are not so many.

    Those that a receiver made, or those of `files`: never both, what was received may leave with its window.
    """
    wanted = (s for s in listed if s.kind == "telemetry" and received(s) is not files)
    ours = sorted((s for s in wanted if _rows(s) < _LARGEST), key=lambda s: (_tier(s), s.file))
    for _, group in groupby(ours, key=_tier):
        told = tuple(group)
        if len(told) >= WIDTH:
            return told
    return ()


def compact(case: Case, chosen: Sequence[Segment], place: Path, retire: Retire | None = None) -> bool:
    """Put one segment in the place of `chosen`; `False` when another writer has replaced one of them meanwhile.

    `place` is a folder on the case's disk. Raises `OSError` and `ShadowlabError`; the case is as it was then.
    """
    import duckdb

    with tempfile.TemporaryDirectory(prefix=segments.MERGED, dir=place) as folder:
        beside = Path(folder) / "segment.duckdb"
        try:
            _build(case, chosen, beside, Path(folder))
        except duckdb.Error as exc:
            raise errors.TelemetryError(f"cannot merge segments: {str(exc).splitlines()[0]}") from exc
        with case.writing("merging segments"):
            return _swap(case, chosen, beside, retire)


def forget(case: Case, names: Sequence[str]) -> None:
    """Remove retired segments."""
    with case.writing("removing merged segments"):
        kept = tuple(s for s in segments.manifest(case).segments if s.kind != "retired" or s.file not in names)
        segments.publish(case, kept)
        segments.sweep(case)


def retired(case: Case, *, files: bool = False) -> list[str]:
    """Names of segments that were merged into others and are still there: a receiver's, or those of `files`."""
    return [s.file for s in segments.manifest(case).segments if s.kind == "retired" and _came_in(s) is not files]


def received(one: Segment) -> bool:
    """Whether a receiver made this segment."""
    return one.kind == "telemetry" and _came_in(one)


def _came_in(one: Segment) -> bool:
    told = bool(one.origins) and all(origin.file.startswith(RECEIVED) for origin in one.origins)
    return told or one.file.endswith("-received.duckdb")


def _rows(one: Segment) -> int:
    return one.spans + one.logs + one.metric_points


def _tier(one: Segment) -> int:
    return 0 if _rows(one) < _SMALLEST else 1 + int(math.log(_rows(one) / _SMALLEST, WIDTH))


def _swap(case: Case, chosen: Sequence[Segment], beside: Path, retire: Retire | None) -> bool:
    listed = segments.manifest(case).segments
    names = {one.file for one in chosen}
    if not names <= {one.file for one in listed if one.kind == "telemetry"}:
        return False
    if retire:
        retire(case, sorted(names))
    _, place = segments.new_path(case, "received" if all(map(received, chosen)) else "telemetry")
    segments.put_in_place(beside, place)
    merged = Segment(
        file=place.name,
        origins=tuple(o for one in chosen for o in one.origins if not o.file.startswith(RECEIVED)),
        spans=sum(one.spans for one in chosen),
        logs=sum(one.logs for one in chosen),
        metric_points=sum(one.metric_points for one in chosen),
    )
    kept = (msgspec.structs.replace(one, kind="retired") if one.file in names else one for one in listed)
    segments.publish(case, (*kept, merged))
    return True


def _build(case: Case, chosen: Sequence[Segment], beside: Path, spill: Path) -> None:
    with connection.closing(connection.connect(memory=_MEMORY, spill=spill)) as con:
        con.execute("SET threads = 1")  # the receiver needs the other one
        attach_all(con, case.telemetry, chosen)
        segment.create(con, beside)
        names = [name_of(one) for one in chosen]
        copy_rows(con, names)
        segment.finish_merged(con, names)
