"""A receiver that runs for weeks keeps a window: whole old segments go, the newest stay.

Time is the telemetry's own: `keep` counts back from the newest record, so that old data sent again is not dropped on
arrival and a clock that is wrong drops nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Self

import msgspec

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.telemetry import connection, segments
from shadowlab.telemetry.compaction import received
from shadowlab.telemetry.segments import Segment
from shadowlab.telemetry.store import attach_all, name_of

Drop = Callable[[Case, Sequence[str]], None]
"""Told which files of the telemetry folder go, under the case's lock, before they do."""
_UNITS: Final = {
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "TB": 1000**4,
    "KIB": 1 << 10,
    "MIB": 1 << 20,
    "GIB": 1 << 30,
    "TIB": 1 << 40,
}
_NEWEST: Final = """
SELECT max(told) FROM (SELECT max(start_ns) AS told FROM {name}.spans UNION ALL SELECT max(at_ns) FROM {name}.logs
                       UNION ALL SELECT max(at_ns) FROM {name}.metric_points)
"""


@dataclass(frozen=True, slots=True)
class Window:
    """What a receiver keeps: how far back, and how many bytes of segments; None for no limit."""

    keep: timedelta | None = None
    max_bytes: int | None = None

    @classmethod
    def read(cls, keep: timedelta | None, max_size: str | None) -> Self:
        """`max_size` is written `2GB` or `500MiB`. Raises `UsageError`."""
        if max_size is None:
            return cls(keep)
        found = re.fullmatch(r"([1-9][0-9]{0,6}(?:\.[0-9]+)?) ?([KMGT]i?B)", max_size, re.IGNORECASE)
        if not found or found[2].upper() not in _UNITS:
            raise errors.UsageError(f"{max_size!r} is no size", hint="write it as 500MB or 2GB")
        return cls(keep, int(float(found[1]) * _UNITS[found[2].upper()]))

    def __bool__(self) -> bool:
        return self.keep is not None or self.max_bytes is not None


class Dropping:
    """Looks which received segments have left the window, and lets them go."""

    def __init__(self, case: Case, window: Window, drop: Drop | None) -> None:
        self._case, self._window, self._drop = case, window, drop
        self._newest: dict[str, int] = {}

    def drop(self) -> tuple[str, ...]:
        """Take the segments that are too old, or too many, out of the manifest; gives their names.

        Their files stay until `compaction.forget`: who read the manifest before can still open them.
        """
        gone = self._due(segments.manifest(self._case).segments)
        if gone:
            with self._case.writing("dropping old segments"):
                listed = segments.manifest(self._case).segments
                gone = self._due(listed)
                if self._drop and gone:
                    self._drop(self._case, gone)
                retired = (msgspec.structs.replace(s, kind="retired") if s.file in gone else s for s in listed)
                segments.publish(self._case, tuple(retired))
        return gone

    def _due(self, listed: Sequence[Segment]) -> tuple[str, ...]:
        ours = [one for one in listed if received(one)]
        for one in ours:
            if one.file not in self._newest:
                self._newest[one.file] = _newest_ns(self._case, one)
        ordered = sorted((one.file for one in ours), key=lambda name: (self._newest[name], name))
        if not self._window or len(ordered) < 2:
            return ()
        sizes = {name: _size(self._case.telemetry / name) for name in ordered}
        since, held, gone = self._since(ordered), sum(sizes.values()), []
        for name in ordered[:-1]:  # the newest stays, whatever its size
            too_large = self._window.max_bytes is not None and held > self._window.max_bytes
            if not (too_large or self._newest[name] < since):
                break
            gone.append(name)
            held -= sizes[name]
        return tuple(gone)

    def _since(self, ordered: Sequence[str]) -> int:
        if self._window.keep is None:
            return 0
        return self._newest[ordered[-1]] - self._window.keep // timedelta(microseconds=1) * 1000


def _newest_ns(case: Case, one: Segment) -> int:
    with connection.closing(connection.connect()) as con:
        attach_all(con, case.telemetry, [one])
        found = con.execute(_NEWEST.format(name=name_of(one))).fetchone()
        return int(found[0]) if found and found[0] is not None else 0


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
