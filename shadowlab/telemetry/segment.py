"""Build one segment from staging tables, a portion at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
_TEXTS: Final = {"span": ("name", "status_message"), "log": ("body",), "metric_point": ("description",)}
_NESTED: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "span": {
        "events": ("at_ns", "name", "attributes", "dropped"),
        "links": ("trace_id", "span_id", "trace_state", "flags", "attributes", "dropped"),
    },
    "log": {},
    "metric_point": {"exemplars": ("at_ns", "value", "trace_id", "span_id", "attributes")},
}
"""Fields in the order of `stage.sql`: a row's identity must not depend on whether it was redacted."""
_STEP: Final = """CASE WHEN duration_ns > 1 THEN round(ln(duration_ns) / ln(1.02))::SMALLINT
    WHEN duration_ns IS NOT NULL THEN 0::SMALLINT END"""
"""The step of a duration on the service map; the view `edges` takes it back."""
_PROMOTED: Final = {"span": shapes.SPAN_COLUMNS, "log": shapes.LOG_COLUMNS, "metric_point": {}}


@dataclass(frozen=True, slots=True)
class Added:
    """What one portion added to a segment."""

    redacted: int
    rows: dict[str, int]


def create(con: DuckDBPyConnection, path: str | Path, name: str = "segment") -> None:
    """Attach a new database at `path` (`:memory:` too) with a segment's tables, empty."""
    con.execute(f"ATTACH {quoted(str(path))} AS {name}")
    script = statements("segment").replace("{span_columns}", shapes.columns(shapes.SPAN_COLUMNS))
    script = script.replace("{log_columns}", shapes.columns(shapes.LOG_COLUMNS))
    con.execute(script.replace("segment.", f"{name}."))


def append(con: DuckDBPyConnection, *, correlation: Sequence[str], known: Sequence[str]) -> Added:
    """Move what is staged into the attached `segment`, leaving out rows that it or the databases `known` hold.

    The temporary tables `span_new`, `log_new` and `metric_point_new` tell which rows were new.
    """
    con.execute(statements("append_resources"))
    redacted = _one(con, "SELECT sum(redacted_in(redacted_pairs(attributes))) FROM stage_resources")
    added = dict.fromkeys(SIGNALS, 0)
    for signal in SIGNALS:
        if not _one(con, f"SELECT count(*) FROM stage_{signal}s"):
            con.execute(f"CREATE OR REPLACE TEMP TABLE {signal}_new(pos BIGINT, row_id UBIGINT)")
            continue
        con.execute(_script(con, signal, correlation, ("segment", *known)))
        redacted += _one(con, statements(f"count_{signal}s"))
        added[signal] = _one(con, f"SELECT count(*) FROM {signal}_new")
    return Added(redacted=redacted, rows=added)


def _script(con: DuckDBPyConnection, signal: str, correlation: Sequence[str], known: Sequence[str]) -> str:
    union = " UNION ALL ".join(f"SELECT row_id FROM {name}.{signal}s" for name in known)
    parts = shapes.find(con, signal, _PROMOTED[signal], correlation).expressions()
    script = statements(f"append_{signal}s")
    for name, text in {**parts, **_texts(con, signal), "known": f"({union})"}.items():
        script = script.replace(f"{{{name}}}", text)
    return script


def _texts(con: DuckDBPyConnection, signal: str) -> dict[str, str]:
    """How what lies beside the attributes is read: as it is, unless it holds a secret."""
    table = f"stage_{signal}s"
    texts = {}
    for column in _TEXTS[signal]:
        asked = f"SELECT count(*) FROM (SELECT DISTINCT {column} AS v FROM {table}) WHERE has_secret(v)"
        texts[column] = f"redacted_text({column})" if _one(con, asked) else column
    for column, fields in _NESTED[signal].items():
        pairs = f"SELECT unnest(flatten(list_transform({column}, lambda e: e.attributes))) AS a FROM {table}"
        hot = _one(
            con, f"SELECT count(*) FROM ({pairs} WHERE {column} IS NOT NULL) WHERE secret_key(a.k) OR has_secret(a.v)"
        )
        told = {field: f"e.{field}" for field in fields} | {"attributes": "redacted_pairs(e.attributes)"}
        again = ", ".join(f"'{field}': {value}" for field, value in told.items())
        texts[column] = f"list_transform({column}, lambda e: {{{again}}})" if hot else column
    return texts


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
