"""The requests of one operation over all of a case, and which of them failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from shadowlab.triage.facts import Facts
from shadowlab.triage.noted import Note
from shadowlab.triage.spans import Spans, distinct

_MOST_KEPT = 16
"""Operations whose requests are kept."""
_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")

Version = tuple[str | None, str | None]
"""A version and its revision; a flag's variant and None."""
Operation = tuple[str | None, str | None]
"""A service and the name of its requests."""


@dataclass(frozen=True, slots=True)
class Requests:
    """The requests of one operation in the order in which they began, as arrays."""

    start_ns: Any
    failing: Any
    tid: Any
    """Hashes of their traces."""
    versions: tuple[Version, ...]
    version: Any
    """Which of `versions` answered."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The same in one part, whatever fails."""

    spans: Spans
    """In the order in which they began."""
    sid: Any
    """Their ids, ascending."""
    row: Any
    """Where each of these stands among the spans."""

    def failing(self, sid: Any) -> Any:
        """Which have one of some ids (ascending, each once): few are looked up among many."""
        import numpy as np

        first, last = (np.bincount(self.sid.searchsorted(sid, side), minlength=len(self.sid) + 1) for side in _SIDES)
        told = np.zeros(len(self.sid), dtype=bool)
        told[self.row] = np.cumsum(first - last)[:-1] > 0
        return told


_ANSWERED: Note[dict[Operation, Answered]] = Note()


def requests_of(seen: Facts, operation: Operation, failing: Any, *, last_ns: int) -> Requests:
    """The requests of one operation up to a stamp; `failing` holds hashes of trace and span ids."""
    import numpy as np

    parts = answered(seen, operation)
    ids = distinct(failing)
    failed = np.concatenate([part.failing(ids) for part in parts])
    start_ns, at_ns, tid, op = (np.concatenate([getattr(part.spans, name) for part in parts])
                                for name in ("start_ns", "at_ns", "tid", "op"))  # fmt: skip
    rows = np.argsort(start_ns, kind="stable")
    rows = rows[at_ns[rows] <= last_ns]
    place: dict[Version, int] = {}
    of = np.array([place.setdefault((op.version, op.revision), len(place)) for op in seen.operations])
    return Requests(
        start_ns=start_ns[rows],
        failing=failed[rows],
        tid=tid[rows],
        versions=tuple(place),
        version=of[op[rows]],
    )


def answered(seen: Facts, operation: Operation) -> list[Answered]:
    """What each part tells of them; kept for operations that were asked for of late."""
    own = seen.among(lambda op: op[:2] == operation)
    told = []
    for number, part in enumerate(seen.parts):
        kept = _ANSWERED.once(part, lambda _: {})
        found = kept.get(operation)
        if found is None:
            if len(kept) >= _MOST_KEPT:
                kept.clear()  # another thread may be about to read what it has put there
            found = kept[operation] = _of(seen.of_part(number, own))
        told.append(found)
    return told


def _of(spans: Spans) -> Answered:
    import numpy as np

    row = np.argsort(spans.sid)
    return Answered(spans, spans.sid[row], row)
