"""Who calls whom in the window, and the way from the users to the service that is blamed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shadowlab.records import Blamed, Edge
from shadowlab.telemetry import questions
from shadowlab.triage.facts import Facts
from shadowlab.triage.spans import BELOW, ERROR

MOST = 200
_CALLED, _CALLING = ("server", "consumer"), ("client", "producer")


def edges(seen: Facts, *, low_ns: int, high_ns: int) -> tuple[Edge, ...]:
    """Calls between services in the window, most calls first, at most `MOST` pairs.

    What the question `edges` of a larger store says, too: a span has one caller.
    """
    import numpy as np

    names, of, kinds = _ranks(seen)
    spans = seen.begun(low_ns - questions.LONGEST_NS, high_ns)
    spans = spans.take((spans.at_ns > low_ns) & (of[spans.op] >= 0))
    service, named = of[spans.op], spans.marked(BELOW)
    callers = _callers(spans.sid, service, kinds[spans.op])
    below = np.flatnonzero(named | (kinds[spans.op] == 1))
    place, there = callers.find(np.where(named, spans.above, spans.sid)[below])
    below, place = below[there], place[there]
    first, last, called, calling = callers.at(place)
    caller = np.where(named[below], np.where(called < len(names), called, first), calling)
    own = named[below] & ((service[below] == first) | (service[below] == last))
    calls = ~own & (caller != service[below]) & (caller < len(names))
    pairs, which = np.unique((caller * len(names) + service[below])[calls], return_inverse=True)
    weight = spans.weight[below][calls]
    failed = weight * spans.marked(ERROR)[below][calls]
    sums = (np.bincount(which, each, len(pairs)).tolist() for each in (weight, failed))
    told = []
    for pair, every, failing in zip(pairs.tolist(), *sums, strict=True):
        caller_of, callee = divmod(pair, len(names))
        counts = {"calls": _whole(every), "errors": _whole(failing)}
        told.append(Edge(caller=names[caller_of], callee=names[callee], **counts))
    return tuple(sorted(told, key=lambda e: (-e.calls, e.caller, e.callee))[:MOST])


@dataclass(frozen=True, slots=True)
class _Callers:
    """What is called by one id: the ranks of its services, by name; beyond all ranks where there is none."""

    sid: Any
    called: Any
    calling: Any
    first: Any
    last: Any

    def at(self, place: Any) -> tuple[Any, Any, Any, Any]:
        """The first and the last service of the ids at some places, and which is called there and which calls."""
        return self.first[place], self.last[place], self.called[place], self.calling[place]

    def find(self, sid: Any) -> tuple[Any, Any]:
        """The place of each id, and whether it is there."""
        import numpy as np

        place = np.minimum(self.sid.searchsorted(sid), max(0, len(self.sid) - 1))
        return place, self.sid[place] == sid if len(self.sid) else np.zeros(len(sid), dtype=bool)


def _callers(sid: Any, service: Any, kind: Any) -> _Callers:
    import numpy as np

    order = np.argsort(sid)
    sid, service, kind = sid[order], service[order], kind[order]
    start = np.flatnonzero(np.append(True, sid[1:] != sid[:-1])) if len(sid) else np.zeros(0, dtype=int)
    most = np.iinfo(service.dtype).max
    told = [np.where((kind == each) & (service > 0), service, most) for each in (1, 2)]
    least = (np.minimum.reduceat(each, start) if len(sid) else each for each in (*told, service))
    called, calling, first = least
    return _Callers(sid[start], called, calling, first, np.maximum.reduceat(service, start) if len(sid) else service)


def _ranks(seen: Facts) -> tuple[list[str], Any, Any]:
    """Services by name, "" first; of each operation its service, or -1; and whether it is called (1) or calls (2)."""
    import numpy as np

    names = sorted({"", *(op.service for op in seen.operations if op.service is not None)})
    rank = {name: n for n, name in enumerate(names)}
    of = [-1 if op.service is None else rank[op.service] for op in seen.operations]
    kinds = [1 if op.kind in _CALLED else 2 if op.kind in _CALLING else 0 for op in seen.operations]
    return names, np.array(of, dtype=np.int64), np.array(kinds, dtype=np.int8)


def _whole(weight: float) -> int:
    return int(weight + 0.5)


def path(found: Sequence[Edge], blamed: Sequence[Blamed]) -> tuple[str, ...]:
    """From the outermost caller down to the service blamed first, each step up where most calls fail; () for nobody."""
    if not blamed or blamed[0].score <= 0:
        return ()
    way = [blamed[0].service]
    while True:
        callers = [e for e in found if e.callee == way[-1] and e.caller not in way]
        if not callers:
            return tuple(reversed(way))
        way.append(min(callers, key=lambda e: (-e.errors, -e.calls, e.caller)).caller)
