"""Who calls whom in the window, and the way from the users to the service that is blamed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shadowlab.records import Blamed, Edge
from shadowlab.telemetry import questions
from shadowlab.telemetry.questions import requests
from shadowlab.triage.scene import Store

MOST = 200
_BY_HASH: Final = """SELECT * REPLACE (0 AS trace_id, hash(trace_id, span_id) AS span_id,
    CASE WHEN parent_span_id IS NOT NULL THEN hash(trace_id, parent_span_id) END AS parent_span_id) FROM ({hops})"""
"""Ids are compared by their hash: several times as fast as by their text."""


def edges(store: Store, *, low_ns: int, high_ns: int, weight: str) -> tuple[Edge, ...]:
    """Calls between services in the window, most calls first, at most `MOST` pairs."""
    # The question bounds ends; that nothing is read which began long before is the case's own business.
    hops = requests.hops(f"start_ns > {low_ns - questions.LONGEST_NS} AND start_ns <= {high_ns}", weight)
    text = questions.statement("edges", {"hops": _BY_HASH.format(hops=hops)}, since_ns=low_ns, until_ns=high_ns)
    rows = store.sql(f"SELECT caller, callee, calls, errors FROM ({text})").rows()
    told = sorted((Edge(**row) for row in rows), key=lambda e: (-e.calls, e.caller, e.callee))
    return tuple(told[:MOST])


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
