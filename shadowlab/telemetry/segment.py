"""A segment from its empty tables to the flushed file; `appending.py` fills it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shadowlab.telemetry import shapes
from shadowlab.telemetry.connection import quoted, statements

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SIGNALS: Final = ("span", "log", "metric_point")
PARTS: Final = (
    "spans", "events", "links", "logs", "metric_points", "resources", "trace_parts", "deploy_parts", "edge_parts",
    "moments",
)  # fmt: skip
_STEP: Final = """CASE WHEN duration_ns > 1 THEN round(ln(duration_ns) / ln(1.02))::SMALLINT
    WHEN duration_ns IS NOT NULL THEN 0::SMALLINT END"""
"""The step of a duration on the service map; the view `edges` takes it back."""


def create(con: DuckDBPyConnection, path: str | Path, name: str = "segment") -> None:
    """Attach a new database at `path` (`:memory:` too) with a segment's tables, empty."""
    unlogged = "" if str(path) == ":memory:" else " (RECOVERY_MODE no_wal_writes)"  # nobody recovers half a segment
    con.execute(f"ATTACH {quoted(str(path))} AS {name}{unlogged}")
    script = statements("segment").replace("{span_columns}", shapes.columns(shapes.SPAN_COLUMNS))
    script = script.replace("{log_columns}", shapes.columns(shapes.LOG_COLUMNS))
    con.execute(script.replace("segment.", f"{name}."))


def _one(con: DuckDBPyConnection, query: str) -> int:
    return int(con.execute(query).fetchall()[0][0] or 0)


def finish(con: DuckDBPyConnection, name: str = "segment", *, known: Sequence[str] = ()) -> None:
    """Write what is derived once, flush, and let go of the file; `known` are the segments that were there before."""
    con.execute(statements("finish").replace("segment.", f"{name}."))
    if name == "segment":
        _find_edges(con)
        _join_edges(con, known)
        close(con)


def finish_merged(con: DuckDBPyConnection, merged: Sequence[str]) -> None:
    """As `finish`, for a segment that holds the rows of others: the service map is the sum of theirs."""
    con.execute(statements("finish"))
    strays, parts = (
        " UNION ALL ".join(f"SELECT * FROM {name}.{table}" for name in merged) for table in ("strays", "edge_parts")
    )
    con.execute(f"INSERT INTO segment.strays SELECT * FROM ({strays}) ORDER BY ALL")
    con.execute(
        "INSERT INTO segment.edge_parts SELECT caller, callee, step, sum(calls), sum(errors) "
        f"FROM ({parts}) GROUP BY ALL ORDER BY ALL"
    )
    close(con)


def close(con: DuckDBPyConnection) -> None:
    """Flush the attached `segment` and let go of its file."""
    con.execute("CHECKPOINT segment")
    con.execute("DETACH segment")


def _find_edges(con: DuckDBPyConnection) -> None:
    con.execute(statements("edges").replace("{step}", _STEP))
    if _one(con, "SELECT count(*) FROM edges_here WHERE astray"):
        con.execute(statements("strays").replace("{step}", _STEP))
    con.execute("DROP TABLE edges_here")


def _join_edges(con: DuckDBPyConnection, known: Sequence[str]) -> None:
    """Calls between this segment and those before it: each pair is counted in the later one."""
    script = statements("edges_between")
    for other in known:
        for stray, home in (("segment", other), (other, "segment")):
            if _one(con, f"SELECT count(*) FROM {stray}.strays"):
                con.execute(script.replace("{stray}", stray).replace("{home}", home))
