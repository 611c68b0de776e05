"""Where each error lies: the request that it happened in, and the failing span right above it.

Both depend on the spans of its trace alone. So what an earlier triage found holds while its trace has not changed, and
only traces that have changed, or that lie near the window, are read. A segment never changes: a trace that has as many
spans as before, as many that fail, the same first start and last end is the same one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shadowlab.triage.scene import Store, keep

VERSION = 1
"""Of what is kept of a place."""
COLUMNS = ("error_id", "placed_by", "request", "request_name", "holder", "ended", "trace_spans", "trace_failed",
           "trace_first", "trace_last")  # fmt: skip

_TRACES = """
SELECT trace_id, spans AS trace_spans, errors AS trace_failed, start_ns AS trace_first, end_ns AS trace_last
FROM traces SEMI JOIN errors USING (trace_id)"""

# (1) errors whose traces must be read: such as changed, or are near the window
_NEAR = """
CREATE TABLE near AS
WITH settled AS (
    SELECT err.trace_id FROM err LEFT JOIN placed p USING (error_id) LEFT JOIN shapes s USING (trace_id)
    GROUP BY err.trace_id
    HAVING bool_and(p.placed_by IS NOT NULL AND p.trace_spans = s.trace_spans AND p.trace_failed = s.trace_failed
                    AND p.trace_first IS NOT DISTINCT FROM s.trace_first
                    AND p.trace_last IS NOT DISTINCT FROM s.trace_last) IS TRUE)
SELECT eid FROM err
WHERE trace_id IS NULL OR trace_id NOT IN (SELECT trace_id FROM settled WHERE trace_id IS NOT NULL)
   OR trace_id IN (SELECT trace_id FROM err WHERE at_ns > $low AND at_ns <= $high)
   OR trace_id IN (SELECT unnest($traces))"""

# (2) the request that an error happened in: the nearest entry span of its service, else its own span
_REQUESTS = """
CREATE TABLE requests AS
WITH entries AS (
    SELECT a.sid, arg_min({'span': t.span_id, 'name': t.name}, a.depth) AS request
    FROM above a JOIN tree t ON t.sid = a.ancestor JOIN tree o ON o.sid = a.sid
    WHERE t.service IS NOT DISTINCT FROM o.service AND (t.kind IN ('server', 'consumer') OR t.parent IS NULL)
    GROUP BY a.sid)
SELECT s.eid, coalesce(e.request.span, s.span_id) AS request, coalesce(e.request.name, s.operation) AS name
FROM err s SEMI JOIN near USING (eid) LEFT JOIN entries e USING (sid)
UNION ALL
SELECT s.eid, p.request, p.request_name FROM err s ANTI JOIN near USING (eid) JOIN placed p USING (error_id)"""

# (3) failing spans that have one above them, each with the nearest such; and when failing spans ended
_NEAREST = """
CREATE TABLE nearest AS
SELECT a.sid, arg_min(a.ancestor, a.depth) AS holder FROM above a SEMI JOIN err ON err.sid = a.ancestor
WHERE a.depth > 0 AND a.ancestor <> a.sid GROUP BY a.sid
UNION ALL
SELECT DISTINCT s.sid, p.holder FROM err s ANTI JOIN near USING (eid) JOIN placed p USING (error_id)
WHERE p.holder IS NOT NULL"""
_ENDS = """
CREATE TABLE ends AS
SELECT sid, end_ns FROM tree SEMI JOIN (SELECT sid FROM err SEMI JOIN near USING (eid)) USING (sid)
UNION ALL
SELECT DISTINCT s.sid, p.ended FROM err s ANTI JOIN near USING (eid) JOIN placed p USING (error_id)"""


def look_near(con: Any, store: Store, known: Any, traces: Sequence[str], *, low_ns: int, high_ns: int) -> list[str]:
    """Make table `near` in a scene, of the errors (`eid`) whose traces must be read; gives these traces.

    `known` is what `fingerprint.kept` gave before (an Arrow table, None for nothing); `traces` are read too.
    """
    keep(con, "shapes", store.sql(_TRACES).arrow())
    if known is None or not set(COLUMNS) <= set(known.column_names):
        con.execute(f"CREATE TABLE placed AS {_nothing()}")
    else:
        keep(con, "placed", known.select(COLUMNS))
        con.execute("DELETE FROM placed WHERE placed_by IS DISTINCT FROM ?", [VERSION])
    con.execute(_NEAR, {"low": low_ns, "high": high_ns, "traces": list(traces)})
    found = con.execute("SELECT DISTINCT trace_id FROM err SEMI JOIN near USING (eid) WHERE trace_id IS NOT NULL")
    return [trace for (trace,) in found.fetchall()]


def place(con: Any) -> None:
    """Make tables `requests`, `nearest` and `ends` in a scene, of all errors."""
    for query in (_REQUESTS, _NEAREST, _ENDS):
        con.execute(query)


def _nothing() -> str:
    types = ("UBIGINT", "INTEGER", "VARCHAR", "VARCHAR", "UBIGINT", "BIGINT", "BIGINT", "BIGINT", "BIGINT", "BIGINT")
    columns = ", ".join(f"NULL::{kind} AS {name}" for name, kind in zip(COLUMNS, types, strict=True))
    return f"SELECT {columns} WHERE false"
