"""The errors of a case as arrays: a row each, those of a trace in an order that no arrival changes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from shadowlab.triage import coded
from shadowlab.triage.arrays import array, arrow
from shadowlab.triage.coded import Coded
from shadowlab.triage.facts import Facts
from shadowlab.triage.noted import Note
from shadowlab.triage.spans import NEVER, Part, among, distinct

QUERY = """
SELECT trace_id, span_id, service, operation, at_ns, exception_type, coalesce(stack <> '', false) AS stacked, error_id,
       hash(trace_id, span_id) AS sid, CASE WHEN trace_id IS NOT NULL THEN hash(trace_id) ELSE 0 END AS tid
FROM errors ORDER BY trace_id, span_id, at_ns, error_id"""


@dataclass(frozen=True, slots=True)
class Raised:
    """A row each error, as arrays. Of one trace they stand in the order of their span's id, time and own id."""

    part: Any
    row: Any
    """The place of the facts that each is from, and its place in what these facts say of errors."""
    error_id: Any
    tid: Any
    """A hash of its trace; 0 where it has none."""
    sid: Any
    """A hash of its trace's and its span's id."""
    at_ns: Any
    stacked: Any
    """Whether it has a stack."""
    service: Coded
    operation: Coded
    type: Coded

    def take(self, rows: Any) -> Raised:
        """Some of the rows: a slice, a mask, or places."""
        return Raised(*(_taken(getattr(self, each.name), rows) for each in fields(self)))

    def within(self, low_ns: int, high_ns: int) -> Any:
        """Which happened after `low_ns` and not after `high_ns` (booleans)."""
        return (self.at_ns > low_ns) & (self.at_ns <= high_ns)

    @property
    def from_parts(self) -> Any:
        """Where each stands among all rows of the first part, then all of the second, and so on."""
        import numpy as np

        counts = np.bincount(self.part)
        return (np.cumsum(counts) - counts)[self.part] + self.row


ERRORS: Note[Any] = Note()
"""What the store says of a part's errors, as an Arrow table; whoever asks `raised` has made it, and `RAISED`."""
RAISED: Note[Raised] = Note()
"""A part's own errors, in the order of that table."""


def _taken(column: Any, rows: Any) -> Any:
    return column.of(rows) if isinstance(column, Coded) else column[rows]


def raised(seen: Facts) -> Raised:
    """The errors of a case."""
    import numpy as np

    seen.asked(ERRORS, QUERY)
    parts = seen.each(RAISED, _of_part)
    told: dict[str, list[Any]] = {each.name: [getattr(part, each.name) for part in parts] for each in fields(Raised)}
    whole = Raised(**{name: _joined(columns) for name, columns in told.items() if name != "part"},
                   part=np.repeat(np.arange(len(parts)), [len(part.sid) for part in parts]))  # fmt: skip
    shared = np.flatnonzero(among(whole.tid, seen.shared) | (whole.tid == 0))
    return whole.take(_in_order(seen, whole, shared)) if len(shared) and len(parts) > 1 else whole


def _joined(columns: list[Any]) -> Any:
    import numpy as np

    return coded.joined(columns) if isinstance(columns[0], Coded) else np.concatenate(columns)


def _of_part(part: Part) -> Raised:
    import numpy as np

    table = ERRORS.of(part)
    plain = {name: array(table.column(name)) for name in ("error_id", "tid", "sid", "stacked")}
    words = {"service": "service", "operation": "operation", "type": "exception_type"}
    return Raised(
        part=np.zeros(len(table), dtype=np.int64),
        row=np.arange(len(table)),
        at_ns=array(table.column("at_ns"), NEVER),
        **plain,
        **{name: coded.coded(table.column(of)) for name, of in words.items()},
    )


def _in_order(seen: Facts, whole: Raised, shared: Any) -> Any:
    """The places of all rows, with the `shared` ones, whose traces lie in several parts, in order among themselves."""
    import numpy as np

    spans = text_of(seen, whole, shared, "span_id")
    told = (each[shared].tolist() for each in (whole.tid, whole.at_ns, whole.error_id))
    keys = [(tid, span is None, span or "", at_ns == NEVER, at_ns, error)
            for span, tid, at_ns, error in zip(spans, *told, strict=True)]  # fmt: skip
    wanted = shared[sorted(range(len(shared)), key=keys.__getitem__)]
    order = np.arange(len(whole.sid))
    order[shared[np.argsort(whole.tid[shared], kind="stable")]] = wanted
    return order


def text_of(seen: Facts, errors: Raised, rows: Any, column: str) -> list[str | None]:
    """The `trace_id` or `span_id` of some errors."""
    import numpy as np

    told: list[str | None] = [None] * len(rows)
    for part in distinct(errors.part[rows]).tolist():
        here = np.flatnonzero(errors.part[rows] == part)
        found = ERRORS.of(seen.parts[part]).column(column).take(arrow(errors.row[rows[here]]))
        for place, text in zip(here.tolist(), found.to_pylist(), strict=True):
            told[place] = text
    return told
