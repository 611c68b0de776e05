"""How calls went in traces of the window and of as long before it: who answered, and where the time was spent."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shadowlab.triage.burn import LONGEST
from shadowlab.triage.facts import Facts
from shadowlab.triage.spans import BELOW, Operation, among

_SAMPLE = 1_500
"""Traces of each period."""
_LEAST = 10
"""Calls that must have found an answer before the window, and half of all."""
_NOBODY = -1

Times = Mapping[bool, Any]
"""Of requests of the window (`True`) and of those before it: nanoseconds (arrays of floats), in the order of traces."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """A row each span, in the order of `sid`, as arrays."""

    sid: Any
    tid: Any
    start_ns: Any
    end_ns: Any
    late: Any
    """Whether its trace began in the window."""
    op: Any
    """Place of its operation."""
    parent: Any
    """The place of the row above it, `_NOBODY` where it is not among these."""
    above: Any
    """The parent's `sid`, where the span is `below` one."""
    below: Any
    operations: Sequence[Operation]


@dataclass(frozen=True, slots=True)
class Call:
    """Spans of one operation that another service answered before the window."""

    callee: str
    service: str
    name: str
    kind: str
    late: int
    late_silent: int
    early: int
    early_silent: int
    """Spans of the window and of before it, and those without an answer."""


def sample(seen: Facts, *, low_ns: int, high_ns: int) -> Sampled:
    """Spans of traces of the window and of as long before it; which traces, no order and no outcome can sway."""
    import numpy as np

    first_ns, traces = 2 * low_ns - high_ns, seen.traces
    late, early = (
        _least(traces.tid[(traces.start_ns > low) & (traces.start_ns <= high)])
        for low, high in ((low_ns, high_ns), (first_ns, low_ns))
    )
    spans = seen.begun(first_ns - LONGEST, high_ns)
    spans = spans.take(np.flatnonzero(spans.tid <= max([*late[-1:], *early[-1:]], default=0)))
    is_late = among(spans.tid, late)
    rows = np.flatnonzero(is_late | among(spans.tid, early))
    rows = rows[np.lexsort((spans.at_ns[rows], spans.start_ns[rows]))]  # of spans of one id the first, wherever it lies
    rows = rows[np.unique(spans.sid[rows], return_index=True)[1]]
    spans, is_late = spans.take(rows), is_late[rows]
    below = spans.marked(BELOW)
    place = np.minimum(spans.sid.searchsorted(spans.above), max(0, len(rows) - 1))
    parent = np.where(below & (spans.sid[place] == spans.above), place, _NOBODY) if len(rows) else place
    return Sampled(
        spans.sid, spans.tid, spans.start_ns, spans.at_ns, is_late, spans.op, parent, spans.above, below,
        tuple(seen.operations),
    )  # fmt: skip


def _least(tid: Any) -> Any:
    """The traces that are looked at, in order."""
    import numpy as np

    return np.sort(np.partition(tid, _SAMPLE)[:_SAMPLE] if len(tid) > _SAMPLE else tid)


def calls(sampled: Sampled) -> list[Call]:
    """Calls that usually found an answer before the window, by who gave it."""
    import numpy as np

    kinds: dict[tuple[str, str, str], int] = {}
    group = np.array([
        _NOBODY if None in (key := (op.service, op.called, op.kind)) else kinds.setdefault(key, len(kinds))  # type: ignore[arg-type]  # none of them is None
        for op in sampled.operations
    ], dtype=np.int64)[sampled.op]  # fmt: skip
    callee, names = _answered(sampled)
    known = np.flatnonzero(group != _NOBODY)
    key = (group[known] * 2 + sampled.late[known]) * 2 + (callee[known] != _NOBODY)
    counts = np.bincount(key, minlength=4 * len(kinds)).reshape(-1, 2, 2).tolist()
    usual: dict[int, Counter[str]] = defaultdict(Counter)
    early = known[~sampled.late[known] & (callee[known] != _NOBODY)]
    pairs, many = np.unique(group[early] * len(names) + callee[early], return_counts=True)
    for pair, count in zip(pairs.tolist(), many.tolist(), strict=True):
        usual[pair // len(names)][names[pair % len(names)]] = count
    told = []
    for (service, name, kind), n in kinds.items():
        (early_silent, answered), (late_silent, late_answered) = counts[n]
        if answered >= _LEAST and answered >= early_silent:
            by = min(usual[n], key=lambda name: (-usual[n][name], name))
            late, both = late_silent + late_answered, early_silent + answered
            told.append(Call(by, service, name, kind, late, late_silent, both, early_silent))
    return sorted(told, key=lambda call: (call.callee, call.service, call.name, call.kind))


def _answered(sampled: Sampled) -> tuple[Any, list[str]]:
    """Which service answers each span, the first by name of several, by place; and the services."""
    import numpy as np

    names = sorted({op.service for op in sampled.operations if op.service is not None})
    rank = {name: n for n, name in enumerate(names)}
    service = np.array([rank.get(op.service or "", _NOBODY) for op in sampled.operations], dtype=np.int64)[sampled.op]
    child = np.flatnonzero(sampled.parent != _NOBODY)
    above = sampled.parent[child]
    other = (service[child] != service[above]) & (service[child] != _NOBODY) & (service[above] != _NOBODY)
    callee = np.full(len(sampled.sid), len(names))
    np.minimum.at(callee, above[other], service[child[other]])
    return np.where(callee == len(names), _NOBODY, callee), names


def lengths(sampled: Sampled) -> Times:
    """How long the first span of each trace took."""
    first = _first(sampled)
    ns = (sampled.end_ns[first] - sampled.start_ns[first]).astype(float)
    late = sampled.late[first]
    return {period: ns[late == period] for period in (False, True) if (late == period).any()}


def _first(sampled: Sampled) -> Any:
    """The row that began first in each trace, in the order of traces."""
    import numpy as np

    order = np.lexsort((sampled.start_ns, sampled.tid))
    return order[np.flatnonzero(np.diff(sampled.tid[order], prepend=sampled.tid[order[:1]] + 1))]


def own_times(sampled: Sampled, calls: Sequence[Call]) -> dict[str | None, Times]:
    """Each service's own time in each trace.

    That is a span's time without the union of its children's, and only inside the trace's first span. A call without an
    answer is the time of the service that used to answer it.
    """
    import numpy as np

    first = _first(sampled)
    root = first[sampled.tid[first].searchsorted(sampled.tid)]
    begin = np.maximum(sampled.start_ns, sampled.start_ns[root])
    end = np.minimum(sampled.end_ns, sampled.end_ns[root])
    own = np.maximum(0, end - begin - _covered(sampled, begin, end))
    usual = {(call.service, call.name, call.kind): call.callee for call in calls}
    ops = sampled.operations
    named = [(op.service, usual.get((op.service, op.called, op.kind), op.service)) for op in ops]  # type: ignore[arg-type]  # a key with None is not there
    services = sorted({name for pair in named for name in pair}, key=lambda name: (name is None, name or ""))
    place = {name: n for n, name in enumerate(services)}
    of = np.array([[place[name] for name in pair] for pair in named], dtype=np.int64).reshape(-1, 2)
    lone = np.ones(len(sampled.sid), dtype=np.int64)
    lone[sampled.parent[sampled.parent != _NOBODY]] = 0
    service, trace = of[sampled.op, lone], sampled.tid[first].searchsorted(sampled.tid)
    keys, inverse = np.unique(service * len(first) + trace, return_inverse=True)
    ns, late = np.bincount(inverse, own, len(keys)), sampled.late[first][keys % max(1, len(first))]
    told: dict[str | None, Times] = {}
    for n, name in enumerate(services):
        here = keys // max(1, len(first)) == n
        told[name] = {
            period: ns[here & (late == period)] for period in (False, True) if (here & (late == period)).any()
        }
    return {name: times for name, times in told.items() if times}


def _covered(sampled: Sampled, begin: Any, end: Any) -> Any:
    """The time of each span in which a span below it runs; of two at once, once."""
    import numpy as np

    child = np.flatnonzero(sampled.parent != _NOBODY)
    above = sampled.parent[child]
    inside = (end[child] > begin[above]) & (begin[child] < end[above]) & (end[child] > begin[child])
    child, above = child[inside], above[inside]
    a, b = np.maximum(begin[child], begin[above]), np.minimum(end[child], end[above])
    order = np.lexsort((b, a, above))
    a, b, above = a[order], b[order], above[order]
    ends, rank = np.unique(b, return_inverse=True)
    reached = np.maximum.accumulate(above * max(1, len(ends)) + rank)  # the latest end so far, of each span its own
    same = np.append(False, above[1:] == above[:-1])[: len(above)]
    until = np.where(same, ends[np.roll(reached, 1) % max(1, len(ends))], a) if len(ends) else a
    return np.bincount(above, np.maximum(0, b - np.maximum(a, until)), len(sampled.sid)).astype(np.int64)
