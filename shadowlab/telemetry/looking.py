"""Look through what is staged before it is moved: where promoted keys stand, which texts hold a secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shadowlab.telemetry import shapes
from shadowlab.telemetry.segment import SIGNALS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_TEXTS: Final = {
    "span": ("name", "status_message", "trace_state", "scope_name"),
    "log": ("body", "event_name", "scope_name"),
    "metric_point": ("description", "scope_name"),
}
_NESTED: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "span": {
        "events": ("at_ns", "name", "attributes", "dropped"),
        "links": ("trace_id", "span_id", "trace_state", "flags", "attributes", "dropped"),
    },
    "log": {},
    "metric_point": {"exemplars": ("at_ns", "value", "trace_id", "span_id", "attributes", "value_int")},
}
"""Fields in the order of `stage.sql`: a row's identity must not depend on whether it was redacted."""
REDACTED_NAME: Final = "redacted_text(e.name)"
_PROMOTED: Final = {"span": shapes.SPAN_COLUMNS, "log": shapes.LOG_COLUMNS, "metric_point": {}}


@dataclass(frozen=True, slots=True)
class Staged:
    """The staged rows of each signal, and what the statements that move them need: expressions by name."""

    rows: Mapping[str, int]
    parts: Mapping[str, Mapping[str, str]]


def look(con: DuckDBPyConnection, correlation: Sequence[str]) -> Staged:
    """Make the tables `<signal>_shapes` and `<signal>_redacted` of what is staged, and say what was found."""
    rows = {signal: _one(con, f"SELECT count(*) FROM stage_{signal}s") for signal in SIGNALS}
    parts = {}
    for signal in (each for each in SIGNALS if rows[each]):
        found = shapes.find(con, signal, _PROMOTED[signal], correlation)
        parts[signal] = {**found.expressions(), **_texts(con, signal)}
    return Staged(rows, parts)


def _texts(con: DuckDBPyConnection, signal: str) -> dict[str, str]:
    """How what lies beside the attributes is read: as it is, unless it holds a secret."""
    table = f"stage_{signal}s"
    texts = {}
    for column in _TEXTS[signal]:
        asked = f"SELECT count(*) FROM (SELECT DISTINCT {column} AS v FROM {table}) WHERE has_secret(v)"
        texts[column] = f"redacted_text({column})" if _one(con, asked) else column
    for column, fields in _NESTED[signal].items():
        texts[column] = _nested(con, table, column, fields)
    return texts


def _nested(con: DuckDBPyConnection, table: str, column: str, fields: Sequence[str]) -> str:
    entries = f"SELECT unnest({column}) AS e FROM {table} WHERE {column} IS NOT NULL"
    pairs = f"SELECT unnest(e.attributes) AS a FROM ({entries})"
    told = {}
    if _one(con, f"SELECT count(*) FROM ({pairs}) WHERE secret_key(a.k) OR has_secret(a.v)"):
        told["attributes"] = "redacted_pairs(e.attributes)"
    for field in {"name", "trace_state"}.intersection(fields):  # people write sentences there
        texts = f"SELECT DISTINCT e.{field} AS v FROM ({entries})"
        if _one(con, f"SELECT count(*) FROM ({texts}) WHERE has_secret(v)"):
            told[field] = f"redacted_text(e.{field})"
    again = ", ".join(f"'{field}': {told.get(field, f'e.{field}')}" for field in fields)
    return f"list_transform({column}, lambda e: {{{again}}})" if told else column


def _one(con: DuckDBPyConnection, query: str) -> int:
    return int(con.execute(query).fetchall()[0][0] or 0)
