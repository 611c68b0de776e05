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
PARTS: Final = ("spans", "events", "links", "logs", "metric_points", "resources", "trace_parts", "deploy_parts")
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


def finish(con: DuckDBPyConnection, name: str = "segment") -> None:
    """Write what is derived once, flush, and let go of the file."""
    con.execute(statements("finish").replace("segment.", f"{name}."))
    if name == "segment":
        con.execute("CHECKPOINT segment")
        con.execute("DETACH segment")
