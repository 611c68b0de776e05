"""What spans say by themselves, as arrays: a row each span, a row each trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, TypeVar

Rows = TypeVar("Rows", "Spans", "Traces")
NEVER = -(2**63)
"""Stands for a stamp that a span lacks."""
ERROR, BAD, REQUEST, BELOW = 1, 2, 4, 8
"""Marks of a span: its status is an error; it failed as a request does; it is a request; it names a parent."""


class Operation(NamedTuple):
    """What many spans share."""

    service: str | None
    name: str | None
    kind: str | None
    version: str | None
    revision: str | None
    called: str | None
    """The name, and the host that is asked; see `requests.CALLED`."""


@dataclass(frozen=True, slots=True)
class Spans:
    """A row each span, as arrays."""

    tid: Any
    sid: Any
    """Hashes of a span's trace, and of its trace and id."""
    above: Any
    """The parent's `sid`, where the span is marked as `BELOW` one."""
    start_ns: Any
    end_ns: Any
    """`NEVER` where there is none."""
    op: Any
    """Place of its `Operation`."""
    marks: Any
    weight: Any
    """Requests that a span stands for."""

    def take(self, rows: Any) -> Spans:
        """Some of the rows: a slice, a mask, or places."""
        return Spans(*(getattr(self, each.name)[rows] for each in fields(self)))

    def begun(self, low_ns: int, high_ns: int) -> Spans:
        """Those that began after `low_ns`, and not after `high_ns`, of spans in the order in which they began."""
        low, high = self.start_ns.searchsorted([max(low_ns, NEVER), high_ns], side="right")
        return self.take(slice(low, high))

    def marked(self, mark: int) -> Any:
        """Which rows have a mark (booleans)."""
        return (self.marks & mark) != 0

    @property
    def at_ns(self) -> Any:
        """When each ended; where nobody knows, when it began."""
        import numpy as np

        return np.where(self.end_ns == NEVER, self.start_ns, self.end_ns)


@dataclass(frozen=True, slots=True)
class Traces:
    """A row each trace, in the order of `tid`, as arrays."""

    tid: Any
    start_ns: Any
    end_ns: Any
    """When the last of its spans ended, or began that has no end."""
    spans: Any
    errors: Any


@dataclass(frozen=True, slots=True)
class Beside:
    """What a segment holds beside spans, of one kind."""

    first_ns: int | None
    last_ns: int | None
    """None where there is nothing."""
    loud: bool
    """Whether any tells of an error by its severity."""
    flags: bool
    """Whether any tells of a feature flag."""


@dataclass(frozen=True, slots=True)
class Part:
    """The facts of one segment; spans in the order in which they began."""

    spans: Spans
    traces: Traces
    sampled: bool
    """Whether any span stands for more than itself."""
    beside: Mapping[str, Beside]
    """What there is of each `log`, metric `point` and `event`."""
    notes: dict[object, Any] = field(default_factory=dict)
    """What else was made of this segment alone; see `noted.Note`, by which alone it is asked for."""

    @property
    def first_ns(self) -> int | None:
        """The oldest start of spans, or stamp of logs and points."""
        begun = self.spans.start_ns[self.spans.start_ns.searchsorted(NEVER, side="right") :][:1].tolist()
        told = [*begun, *(each.first_ns for each in self.beside.values())]
        return min((at for at in told if at is not None), default=None)

    @property
    def last_ns(self) -> int | None:
        """The newest stamp of spans, logs and points."""
        ends = [int(each.max()) for each in (self.spans.start_ns, self.spans.end_ns) if len(each)]
        told = [*(at for at in ends if at != NEVER), *(each.last_ns for each in self.beside.values())]
        return max((at for at in told if at is not None), default=None)


def joined(kind: type[Rows], told: Sequence[Rows]) -> Rows:
    """Arrays of several parts, one after the other, as one of `kind`."""
    import numpy as np

    if len(told) == 1:
        return told[0]
    return kind(*(np.concatenate([getattr(one, each.name) for one in told]) for each in fields(kind)))


def distinct(*arrays: Any) -> Any:
    """The different values of arrays, ascending: sorted, as NumPy's own hashing takes ten times as long for many."""
    import numpy as np

    values = np.concatenate(arrays)
    values.sort()
    return values[np.append(True, values[1:] != values[:-1])] if len(values) else values


def among(tid: Any, traces: Any) -> Any:
    """Which are among these traces, which are in order (booleans)."""
    import numpy as np

    if not len(traces):
        return np.zeros(len(tid), dtype=bool)
    return traces[np.minimum(traces.searchsorted(tid), len(traces) - 1)] == tid
