"""Where each error lies: the request that it happened in, and the failing span right above it.

Both depend on the spans of its trace alone. A segment never changes: what its own spans say of its errors holds for as
long as it is there, for all traces that lie in it and in no other. Only traces that lie in several are looked at anew.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from shadowlab.triage import coded
from shadowlab.triage.ancestry import NOWHERE, Ancestry, ancestry, ancestry_within
from shadowlab.triage.coded import Coded
from shadowlab.triage.facts import Facts
from shadowlab.triage.noted import Note
from shadowlab.triage.raised import RAISED, Raised
from shadowlab.triage.spans import BELOW, NEVER, Part, among, distinct


@dataclass(frozen=True, slots=True)
class Places:
    """A row each error, as arrays."""

    request: Any
    """A hash of the trace's and span's ids: the nearest entry span of its service, else its own span."""
    name: Coded
    """The request's."""
    held: Any
    """Whether a failing span lies above the error's own."""
    holder: Any
    """The nearest such."""
    ended_ns: Any
    """When its own span ended; the error's own time where nobody knows."""
    weight: Any
    """Requests that its own span stands for."""


PLACES: Note[Places] = Note()
"""Where the errors of a part lie by its own spans."""


def placed(seen: Facts, errors: Raised) -> Places:
    """Where the errors of a case lie."""
    import numpy as np

    def own(part: Part) -> Places:
        own_errors = RAISED.of(part)
        return _placed(seen, own_errors, ancestry_within(seen, part, distinct(own_errors.tid)))

    parts = seen.each(PLACES, own)
    at = errors.from_parts
    told = {each.name: [getattr(part, each.name) for part in parts] for each in fields(Places)}
    name = coded.joined(told.pop("name")).of(at)
    plain = {name: np.concatenate(columns)[at] for name, columns in told.items()}
    torn = np.flatnonzero(among(errors.tid, seen.shared))
    if not len(torn):
        return Places(name=name, **plain)
    some = errors.take(torn)
    anew = _placed(seen, some, ancestry(seen, distinct(some.tid)))
    for column, values in plain.items():
        values[torn] = getattr(anew, column)
    return Places(name=name.put(torn, anew.name), **plain)


def _placed(seen: Facts, errors: Raised, above: Ancestry) -> Places:
    """Where some errors lie, by all spans of their traces."""
    import numpy as np

    spans, ops = above.spans, seen.operations
    service, entered = (seen.ranked(lambda op: op.service), seen.among(lambda op: op.kind in ("server", "consumer")))
    place = above.find(errors.sid)
    fails = np.zeros(len(above.sid), dtype=bool)
    fails[place[place != NOWHERE]] = True
    own = above.row_of(place)
    known = np.flatnonzero(own != NOWHERE)
    request, held = np.full(len(place), NOWHERE), np.full(len(place), NOWHERE)
    for of, at in above.up(place):
        holds = fails[at] & (at != place[of]) & (held[of] == NOWHERE)
        held[of[holds]] = at[holds]
        row = above.row_of(at)
        there = row != NOWHERE
        of, at, row = of[there], at[there], row[there]
        here = spans.op[row]
        entry = entered[here] | ~spans.marked(BELOW)[row]
        mine = entry & (own[of] != NOWHERE) & (service[here] == service[spans.op[own[of]]]) & (request[of] == NOWHERE)
        request[of[mine]] = row[mine]
    found = np.flatnonzero(request != NOWHERE)
    ended, weight = errors.at_ns.copy(), np.ones(len(place))
    ends = spans.end_ns[own[known]]
    ended[known] = np.where(ends == NEVER, ended[known], ends)
    weight[known] = spans.weight[own[known]]
    sid = errors.sid.copy()
    sid[found] = spans.sid[request[found]]
    called = coded.coded_texts([op.called for op in ops])
    holder = np.zeros(len(place), dtype=np.uint64)
    has = held != NOWHERE
    holder[has] = above.sid[held[has]]
    name = errors.operation.put(found, called.of(spans.op[request[found]]))
    return Places(request=sid, name=name, held=has, holder=holder, ended_ns=ended, weight=weight)
