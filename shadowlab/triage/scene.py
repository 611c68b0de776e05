"""What triage looks at: a private, in-memory copy of the errors, of the traces they lie in, and of nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from shadowlab.telemetry.questions import requests

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shadowlab.triage.facts import Facts

MEMORY = "1GB"

_ERRORS = """
SELECT trace_id, span_id, service, operation, at_ns, exception_type, coalesce(stack <> '', false) AS stacked, error_id,
       hash(trace_id, span_id) AS sid, CASE WHEN trace_id IS NOT NULL THEN hash(trace_id) END AS tid
FROM errors"""

_TEXTS = "SELECT error_id, exception_message, stack FROM errors"

_FAMILY = f"""
SELECT hash(trace_id) AS tid, hash(trace_id, span_id) AS sid,
       CASE WHEN parent_span_id <> '' THEN hash(trace_id, parent_span_id) END AS parent, service,
       {requests.CALLED} AS name, kind, span_id, end_ns
FROM spans WHERE coalesce(start_ns, $first) BETWEEN $first AND $last AND hash(trace_id) IN (SELECT unnest($traces))"""

_CODES = """
SELECT hash(trace_id, span_id) AS sid, attributes['error.type'] AS error_type,
       coalesce(attributes['rpc.grpc.status_code'], attributes['rpc.response.status_code']) AS grpc_status,
       coalesce(attributes['db.response.status_code'], attributes['process.exit.code']) AS other_code,
       try_cast(http_response_status_code AS INTEGER) AS http_status
FROM spans
WHERE status = 'error' AND (trace_id, span_id) IN (SELECT (trace_id, span_id) FROM errors WHERE stack IS NULL)"""

# (1) every ancestor of a failing span that is looked at, itself included; UNION drops repeats: cycles of parents end
_ABOVE = """
CREATE TABLE above AS
WITH RECURSIVE up(sid, ancestor, depth) AS (
    SELECT DISTINCT sid, sid, 0 FROM err SEMI JOIN near USING (eid)
    UNION
    SELECT up.sid, family.parent, depth + 1 FROM up JOIN family ON family.sid = up.ancestor
    WHERE family.parent IS NOT NULL AND depth < 64)
SELECT sid, ancestor, min(depth) AS depth FROM up GROUP BY ALL"""


# (2) those ancestors once each; only what was told twice is sorted
_ANCESTORS = """
CREATE TABLE tree AS
WITH held AS (SELECT * FROM family WHERE sid IN (SELECT ancestor FROM above)),
twice AS (SELECT sid FROM held GROUP BY sid HAVING count(*) > 1)
SELECT * FROM held ANTI JOIN twice USING (sid)
UNION ALL
(SELECT DISTINCT ON (sid) * FROM held SEMI JOIN twice USING (sid) ORDER BY sid, end_ns, name)"""


class Rows(Protocol):
    """What a query gave."""

    def arrow(self) -> Any:
        """An Arrow table."""

    def rows(self) -> list[dict[str, Any]]:
        """A mapping each."""


class Store(Protocol):
    """The telemetry's views, read-only; `telemetry.store(case)` is one."""

    def sql(self, query: str, params: Mapping[str, Any] | Sequence[Any] = ()) -> Rows:
        """Run one statement over the views."""


@contextmanager
def scene(seen: Facts) -> Iterator[Any]:
    """A DuckDB connection with the case's errors in table `err`, `eid` in a fixed order, `part` the place of the facts
    that each is from; gone when the block ends."""
    import duckdb
    import numpy as np
    import pyarrow as pa

    with duckdb.connect() as con:
        con.execute(f"SET memory_limit = '{MEMORY}'")
        con.execute("SET enable_external_access = false")
        parts = [table.append_column("part", pa.array(np.full(len(table), n, dtype=np.int32)))
                 for n, table in enumerate(seen.asked("errors", _ERRORS))]  # fmt: skip
        told = pa.concat_tables(parts)
        con.register("told", told)
        con.execute("""
            CREATE TABLE err AS
            SELECT row_number() OVER (ORDER BY trace_id, span_id, at_ns, error_id) - 1 AS eid, * FROM told""")
        con.unregister("told")
        yield con


def read_fresh(con: Any, seen: Facts, known: Any) -> None:
    """Make table `fresh` in a scene: the errors that are not `known` (an Arrow column of `error_id`), their message
    and stack; and table `coded`, the codes of such spans without a stack. Segments without any are not read."""
    import numpy as np
    import pyarrow as pa

    ids = array(known)
    listed = [array(part.column("error_id")) for part in seen.asked("errors", _ERRORS)]
    parts = [n for n, own in enumerate(listed) if not np.isin(own, ids).all()]
    for name, query in (("texts_of", _TEXTS), ("coded", _CODES)):
        asked = [seen.ask(n, query) for n in parts] or [seen.ask(0, f"{query} LIMIT 0")]
        keep(con, name, pa.concat_tables(asked))
    con.execute("""
        CREATE TABLE fresh AS
        SELECT err.*, t.* EXCLUDE (error_id) FROM err ANTI JOIN kept USING (error_id)
        JOIN (SELECT DISTINCT ON (error_id) * FROM texts_of) t USING (error_id)""")


def unfold(con: Any, seen: Facts, traces: Sequence[int]) -> None:
    """Make tables `family` (the spans of these traces, which are told by their hashes; each under `sid`, a hash of its
    trace and span ids), `above` (of each failing span of table `near` the ancestors, itself included) and `tree` (those
    ancestors, once each)."""
    import numpy as np

    keep(con, "family", seen.told("family", _FAMILY, np.array(traces, dtype=np.uint64)), "* EXCLUDE (tid)")
    con.execute(_ABOVE)
    con.execute(_ANCESTORS)


def ask_alone(store: Any, segment: str | None, query: str, params: Mapping[str, Any] | Sequence[Any] = ()) -> Any:
    """What a query says of one segment, as an Arrow table; of all where the store knows none."""
    return (store.sql(query, params) if segment is None else store.sql_alone(segment, query, params)).arrow()


def keep(con: Any, name: str, table: Any, columns: str = "*", *, temporary: bool = False) -> None:
    """Make table `name` in `con` from an Arrow table; a temporary one is seen by this cursor alone."""
    con.register("incoming", table)
    con.execute(f"CREATE OR REPLACE {'TEMP ' * temporary}TABLE {name} AS SELECT {columns} FROM incoming")
    con.unregister("incoming")


def array(column: Any) -> Any:
    """A column of an Arrow table without gaps, as a NumPy array."""
    return column.combine_chunks().to_numpy(zero_copy_only=False)  # `numpy.asarray` takes four times as long


def signature(parts: Sequence[object]) -> str:
    """Sixteen hexadecimal digits that stand for `parts`, anywhere and for ever."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode("utf-8", "replace")).hexdigest()[:16]


def dicts(con: Any, query: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """The rows of a query over a scene, as mappings."""
    found = con.execute(query, list(params))
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
