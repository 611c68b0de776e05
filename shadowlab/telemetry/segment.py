"""A segment from its empty tables to the flushed file; `appending.py` fills it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shadowlab.telemetry import shapes
from shadowlab.telemetry.connection import quoted, statements

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SIGNALS: Final = ("span", "log", "metric_point")
ROW_GROUP: Final = 73_728
"""Rows that are compressed at a time: fewer than DuckDB's own, so that a first and a last turn can be small."""
PARTS: Final = (
    "spans", "events", "links", "logs", "metric_points", "resources", "trace_parts", "deploy_parts", "edge_parts",
    "moments",
)  # fmt: skip
_LATER: Final = {
    "resources": {"attribute_types": "VARCHAR"},
    "metric_points": {
        "exemplars": 'STRUCT(at_ns BIGINT, "value" DOUBLE, trace_id VARCHAR, span_id VARCHAR, '
        "attributes MAP(VARCHAR, VARCHAR), value_int BIGINT, attribute_types VARCHAR)[]",
        "metadata": "MAP(VARCHAR, VARCHAR)",
        "metadata_types": "VARCHAR",
    },
}
"""Columns that segments of earlier versions lack."""
_STEP: Final = """CASE WHEN duration_ns > 1 THEN round(ln(duration_ns) / ln(1.02))::SMALLINT
    WHEN duration_ns IS NOT NULL THEN 0::SMALLINT END"""
"""The step of a duration on the service map; the view `edges` takes it back."""
_COLUMNS: Final = "trace_id, span_id, parent_span_id, row_id, service, kind, status, start_ns, duration_ns"
_MAY_BE_CALLED: Final = "(parent_span_id IS NOT NULL OR kind IN ('server', 'consumer'))"
_KEYED: Final = f"""hash(trace_id, span_id) AS key, row_id, service, kind IN ('server', 'consumer') AS called,
    kind IN ('client', 'producer') AS calls, parent_span_id IS NULL AS shared,
    CASE WHEN {_MAY_BE_CALLED} THEN hash(trace_id, coalesce(parent_span_id, span_id)) END AS parent_key,
    status = 'error' AS failed, {_STEP} AS step"""
"""What a call is counted from."""


def create(con: DuckDBPyConnection, path: str | Path, name: str = "segment") -> None:
    """Attach a new database at `path` (`:memory:` too) with a segment's tables, empty."""
    _attach(con, path, name)
    script = statements("segment").replace("{span_columns}", shapes.columns(shapes.SPAN_COLUMNS))
    script = script.replace("{log_columns}", shapes.columns(shapes.LOG_COLUMNS))
    con.execute(script.replace("segment.", f"{name}."))


def _attach(con: DuckDBPyConnection, path: str | Path, name: str) -> None:
    how = f"ROW_GROUP_SIZE {ROW_GROUP}"
    if str(path) != ":memory:":
        how += ", RECOVERY_MODE no_wal_writes"  # nobody recovers half a segment
    con.execute(f"ATTACH {quoted(str(path))} AS {name} ({how})")


def flush(con: DuckDBPyConnection, path: Path) -> None:
    """Write the attached `segment` to its file, and let go of what was written: else it fills DuckDB's memory."""
    close(con)
    _attach(con, path, "segment")


def rows_of(part: str, name: str) -> str:
    """The rows of one part of an attached segment, as a query that has today's columns whatever version wrote it."""
    later = ", ".join(f"NULL::{kind} AS {column}" for column, kind in _LATER.get(part, {}).items())
    rows = f"SELECT * FROM {name}.{part}"
    return f"{rows} UNION ALL BY NAME SELECT {later} WHERE false" if later else rows


def _one(con: DuckDBPyConnection, query: str) -> int:
    return int(con.execute(query).fetchall()[0][0] or 0)


def finish(con: DuckDBPyConnection, name: str = "segment", *, known: Sequence[str] = ()) -> None:
    """Write what is derived once, flush, and let go of the file; `known` are the segments that were there before.

    The service map is counted meanwhile, by another thread.
    """
    derived = statements("finish").replace("segment.", f"{name}.")
    if name != "segment":
        con.execute(derived)
        return
    with con.cursor() as beside, ThreadPoolExecutor(1, "finishing") as pool:
        deriving = pool.submit(beside.execute, derived)
        _count_edges(con)
        deriving.result()
    _keep_edges(con)
    _join_edges(con, known)
    close(con)


def finish_merged(con: DuckDBPyConnection, merged: Sequence[str]) -> None:
    """As `finish`, for a segment that holds the rows of others: the service map is the sum of theirs."""
    con.execute(statements("finish"))
    con.execute(
        "INSERT INTO segment.edge_parts SELECT caller, callee, step, sum(calls), sum(errors) "
        f"FROM ({_union(f'SELECT * FROM {name}.edge_parts' for name in merged)}) GROUP BY ALL ORDER BY ALL"
    )
    close(con)


def close(con: DuckDBPyConnection) -> None:
    """Flush the attached `segment` and let go of its file."""
    con.execute("CHECKPOINT segment")
    con.execute("DETACH segment")


def _count_edges(con: DuckDBPyConnection) -> None:
    """The map of this segment's own spans, where no id comes again."""
    con.execute(statements("edges").replace("{step}", _STEP).replace("{may_be_called}", _MAY_BE_CALLED))


def _keep_edges(con: DuckDBPyConnection) -> None:
    """Write the map of this segment's own spans."""
    children = _one(con, f"SELECT count(*) FROM segment.spans WHERE {_MAY_BE_CALLED}")
    if _one(con, "SELECT sum(calls) FROM edges_here") == children:
        counted = "SELECT * FROM edges_here WHERE caller <> callee"
    else:
        con.execute(f"CREATE TEMP TABLE every_span AS SELECT {_KEYED} FROM segment.spans")
        counted = _once("every_span")
    con.execute(f"INSERT INTO segment.edge_parts SELECT * FROM ({counted}) ORDER BY ALL")
    con.execute("DROP TABLE edges_here; DROP TABLE IF EXISTS every_span")


def _join_edges(con: DuckDBPyConnection, known: Sequence[str]) -> None:
    """What the map gains, or loses, by spans that are in traces of this segment and of those before it."""
    if not known:
        return
    parts = _union(f"SELECT trace_id, start_ns, end_ns FROM {name}.trace_parts" for name in known)
    con.execute(
        "CREATE OR REPLACE TEMP TABLE shared_traces AS "
        f"SELECT trace_id FROM segment.trace_parts SEMI JOIN ({parts}) USING (trace_id)"
    )
    if _one(con, "SELECT count(*) FROM shared_traces"):
        told = {
            "{known_parts}": parts, "{known_spans}": _union(f"SELECT {_COLUMNS} FROM {name}.spans" for name in known),
            "{columns}": _COLUMNS, "{keyed}": _KEYED, "{all}": _once("shared_spans"),
            "{fresh}": _once("(SELECT * FROM shared_spans WHERE fresh)"),
            "{known}": _once("(SELECT * FROM shared_spans WHERE NOT fresh)"),
        }  # fmt: skip
        script = statements("edges_shared")
        for name, text in told.items():
            script = script.replace(name, text)
        con.execute(script)
    con.execute("DROP TABLE shared_traces")


def _once(spans: str) -> str:
    return statements("edges_once").replace("{spans}", spans)


def _union(selects: Iterable[str]) -> str:
    return " UNION ALL ".join(selects)
