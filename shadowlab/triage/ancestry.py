"""Who called whom: the spans of some traces, each with those above it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from shadowlab.triage.facts import Facts
from shadowlab.triage.spans import BELOW, NEVER, Part, Spans, among, distinct, joined

_HIGHEST = 64
"""Steps up after which a line of parents is taken for a ring."""
NOWHERE = -1


@dataclass(frozen=True, slots=True)
class Ancestry:
    """Spans by their ids; an id is known by its place among all that are a span's or its parent's."""

    sid: Any
    """Those ids, ascending."""
    spans: Spans
    row: Any
    """Which of `spans` has the id; of several the one that ended first; `NOWHERE` where the span is missing."""
    above: Any
    first: Any
    """The places of all parents, one id's after the other's; those of the id at place n begin at `first[n]`."""
    forked: bool
    """Whether a span may be reached in two ways."""

    def find(self, sid: Any) -> Any:
        """The places of ids; `NOWHERE` for one that nothing tells of."""
        import numpy as np

        if not len(self.sid):
            return np.full(len(sid), NOWHERE)
        place = np.minimum(self.sid.searchsorted(sid), len(self.sid) - 1)
        return np.where(self.sid[place] == sid, place, NOWHERE)

    def row_of(self, place: Any) -> Any:
        """Which of `spans` has the id at each place; `NOWHERE` where none has."""
        import numpy as np

        found = np.full(len(place), NOWHERE)
        known = place != NOWHERE
        found[known] = self.row[place[known]]
        return found

    def up(self, place: Any) -> Iterator[tuple[Any, Any]]:
        """The ways up from some places, a step at a time: which of them each is of, and the place that it is at.

        It begins with the places themselves.
        """
        import numpy as np

        of, at = np.arange(len(place)), place
        yield of, at
        of, at = of[at != NOWHERE], at[at != NOWHERE]
        for _ in range(_HIGHEST):
            low, counts = self.first[at], self.first[at + 1] - self.first[at]
            of, low = np.repeat(of, counts), np.repeat(low - np.cumsum(counts) + counts, counts)
            at = self.above[low + np.arange(len(low))]
            if self.forked and len(of):
                once = distinct(of * len(self.sid) + at)
                of, at = once // len(self.sid), once % len(self.sid)
            if not len(of):
                return
            yield of, at


def ancestry(seen: Facts, traces: Any) -> Ancestry:
    """The spans of some traces (hashes, ascending)."""
    return _made(seen, joined(Spans, [_spans(part, traces) for part in seen.parts]))


def ancestry_within(seen: Facts, part: Part, traces: Any) -> Ancestry:
    """The spans of some traces (hashes, ascending) that are in one part."""
    return _made(seen, _spans(part, traces))


def _spans(part: Part, traces: Any) -> Spans:
    import numpy as np

    of = part.traces.tid.searchsorted(traces[among(traces, part.traces.tid)])
    if not len(of):
        return part.spans.take(slice(0, 0))
    start_ns = part.spans.start_ns
    first, last = int(part.traces.start_ns[of].min()), int(part.traces.end_ns[of].max())
    low, high = start_ns.searchsorted(first), start_ns.searchsorted(max(last, first), side="right")
    near = part.spans.take(slice(low, high))
    found = near.take(np.flatnonzero(among(near.tid, traces)))
    timeless = part.spans.take(slice(0, min(low, start_ns.searchsorted(NEVER, side="right"))))
    return joined(Spans, [found, timeless.take(np.flatnonzero(among(timeless.tid, traces)))])


def _made(seen: Facts, spans: Spans) -> Ancestry:
    import numpy as np

    named = spans.marked(BELOW)
    sid, place = np.unique(np.concatenate([spans.sid, spans.above[named]]), return_inverse=True)
    own, above = place[: len(spans.sid)], place[len(spans.sid) :]
    many = max(1, len(sid))
    pairs = distinct(own[named] * many + above)
    first = np.append(0, np.cumsum(np.bincount(pairs // many, minlength=len(sid))))
    row = np.full(len(sid), NOWHERE)
    once = np.bincount(own, minlength=1).max() <= 1
    order = np.arange(len(own)) if once else _first_ended_last(seen, spans)
    row[own[order]] = order
    return Ancestry(sid, spans, row, pairs % many, first, bool((np.diff(first) > 1).any()))


def _first_ended_last(seen: Facts, spans: Spans) -> Any:
    """The order in which, of spans with one id, the one that ended first is the last; by name where two did."""
    import numpy as np

    names = sorted({op.called for op in seen.operations if op.called is not None})
    rank = {name: n for n, name in enumerate(names)}
    named = np.array([len(rank) if op.called is None else rank[op.called] for op in seen.operations])
    ended = np.where(spans.end_ns == NEVER, 2**63 - 1, spans.end_ns)
    return np.lexsort((named[spans.op], ended))[::-1]
