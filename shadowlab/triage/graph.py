"""Who calls whom in the window, and the way from the users to the service that is blamed."""

from __future__ import annotations

from collections.abc import Sequence

from shadowlab.records import Blamed, Edge
from shadowlab.triage.burn import LONGEST
from shadowlab.triage.scene import Store

MOST = 200

_EDGES = f"""
WITH seen AS (
    SELECT trace_id, span_id, parent_span_id, service, status, end_ns, {{weight}} AS weight FROM spans
    WHERE start_ns > $low - {LONGEST} AND start_ns <= $high AND coalesce(end_ns, start_ns) > $low
      AND service IS NOT NULL)
SELECT p.service AS caller, c.service AS callee, round(sum(c.weight))::BIGINT AS calls,
       round(coalesce(sum(c.weight) FILTER (c.status = 'error'), 0))::BIGINT AS errors
FROM seen c JOIN seen p ON p.trace_id = c.trace_id AND p.span_id = c.parent_span_id
WHERE p.service <> c.service GROUP BY ALL ORDER BY calls DESC, caller, callee LIMIT {MOST}"""


def edges(store: Store, *, low_ns: int, high_ns: int, weight: str) -> tuple[Edge, ...]:
    """Calls between services in the window, most calls first, at most `MOST` pairs."""
    rows = store.sql(_EDGES.format(weight=weight), {"low": low_ns, "high": high_ns}).rows()
    return tuple(Edge(**row) for row in rows)


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
