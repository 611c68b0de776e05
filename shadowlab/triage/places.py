"""Where each error lies: the request that it happened in, and the failing span right above it.

Both depend on the spans of its trace alone. So what an earlier triage found holds while its trace has not changed, and
only traces that have changed, or that lie near the window, are read. A segment never changes: a trace that has as many
spans as before, as many that fail, the same first start and last end is the same one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shadowlab.triage.facts import Facts
from shadowlab.triage.scene import keep
from shadowlab.triage.spans import NEVER

VERSION = 1
"""Of what is kept of a place."""
COLUMNS = ("error_id", "placed_by", "request", "request_name", "holder", "ended", "trace_spans", "trace_failed",
           "trace_first", "trace_last")  # fmt: skip

# (1) errors whose traces must be read: such as changed, or are near the window
_NEAR = """
CREATE TABLE near AS
WITH settled AS (
    SELECT err.tid FROM err LEFT JOIN placed p USING (error_id) LEFT JOIN shapes s USING (tid)
    GROUP BY err.tid
    HAVING bool_and(p.placed_by IS NOT NULL AND p.trace_spans = s.trace_spans AND p.trace_failed = s.trace_failed
                    AND p.trace_first IS NOT DISTINCT FROM s.trace_first
                    AND p.trace_last IS NOT DISTINCT FROM s.trace_last) IS TRUE)
SELECT eid FROM err
WHERE tid IS NULL OR tid NOT IN (SELECT tid FROM settled WHERE tid IS NOT NULL)
   OR tid IN (SELECT tid FROM err WHERE at_ns > $low AND at_ns <= $high) OR tid IN (SELECT tid FROM told)"""

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


def look_near(con: Any, seen: Facts, known: Any, traces: Sequence[int], *, low_ns: int, high_ns: int) -> list[int]:
    """Make table `near` in a scene, of the errors (`eid`) whose traces must be read; gives these traces' hashes.

    `known` is what `fingerprint.kept` gave before (an Arrow table, None for nothing); `traces` are read too.
    """
    import pyarrow as pa

    keep(con, "shapes", _shapes(con, seen))
    if known is None or not set(COLUMNS) <= set(known.column_names):
        con.execute(f"CREATE TABLE placed AS {_nothing()}")
    else:
        keep(con, "placed", known.select(COLUMNS))
        con.execute("DELETE FROM placed WHERE placed_by IS DISTINCT FROM ?", [VERSION])
    keep(con, "told", pa.table({"tid": pa.array(traces, pa.uint64())}))
    con.execute(_NEAR, {"low": low_ns, "high": high_ns})
    found = con.execute("SELECT DISTINCT tid FROM err SEMI JOIN near USING (eid) WHERE tid IS NOT NULL")
    return [trace for (trace,) in found.fetchall()]


def _shapes(con: Any, seen: Facts) -> Any:
    """What is kept of the shape of each trace with an error, as an Arrow table."""
    import pyarrow as pa

    traces = con.execute("SELECT DISTINCT tid FROM err WHERE tid IS NOT NULL ORDER BY tid").fetchnumpy()["tid"]
    of = seen.traces.tid.searchsorted(traces)
    whole = seen.traces
    ends = {"trace_first": whole.start_ns, "trace_last": whole.end_ns}
    told = {"trace_spans": whole.spans, "trace_failed": whole.errors, **ends}
    columns = {name: pa.array(each[of], mask=each[of] == NEVER) for name, each in told.items()}
    return pa.table({"tid": traces, **columns})


def place(con: Any) -> None:
    """Make tables `requests`, `nearest` and `ends` in a scene, of all errors."""
    for query in (_REQUESTS, _NEAREST, _ENDS):
        con.execute(query)


def _nothing() -> str:
    types = ("UBIGINT", "INTEGER", "VARCHAR", "VARCHAR", "UBIGINT", "BIGINT", "BIGINT", "BIGINT", "BIGINT", "BIGINT")
    columns = ", ".join(f"NULL::{kind} AS {name}" for name, kind in zip(COLUMNS, types, strict=True))
    return f"SELECT {columns} WHERE false"
