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
_FEW_SPANS: Final = """CREATE TABLE few_spans AS
    SELECT *, rowid AS pos FROM stage_spans WHERE events IS NOT NULL OR links IS NOT NULL"""
"""The spans whose events and links get rows of their own."""
_PROMOTED: Final = {"span": shapes.SPAN_COLUMNS, "log": shapes.LOG_COLUMNS, "metric_point": {}}


@dataclass(frozen=True, slots=True)
class Staged:
    """The staged rows of each signal, and what the statements that move them need: expressions by name."""

    rows: Mapping[str, int]
    parts: Mapping[str, Mapping[str, str]]


def look(con: DuckDBPyConnection, correlation: Sequence[str]) -> Staged:
    """Make the tables `<signal>_shapes`, `<signal>_redacted` and `few_spans` of what is staged; say what was found."""
    rows = {signal: _one(con, f"SELECT count(*) FROM stage_{signal}s") for signal in SIGNALS}
    parts = {}
    for signal in (each for each in SIGNALS if rows[each]):
        found = shapes.find(con, signal, _PROMOTED[signal], correlation)
        parts[signal] = {**found.expressions(), **_texts(con, signal)}
    if rows["span"]:
        con.execute(_FEW_SPANS)
    return Staged(rows, parts)


def _texts(con: DuckDBPyConnection, signal: str) -> dict[str, str]:
    """How what lies beside the attributes is read: as it is, unless it holds a secret.

    `texts` gives those where anything was replaced, here or before, each with the number of its rows.
    """
    table, columns = f"stage_{signal}s", _TEXTS[signal]
    asked = ", ".join(f"bool_or(has_secret({each})), bool_or(was_redacted({each}))" for each in columns)
    found = con.execute(f"SELECT {asked} FROM (SELECT DISTINCT {', '.join(columns)} FROM {table})").fetchall()[0]
    texts, counted = {}, ""
    for column, secret, before in zip(columns, found[::2], found[1::2], strict=True):
        texts[column] = f"redacted_text({column})" if secret else column
        if secret or before:
            counted += f"SELECT {texts[column]} AS v, count(*) AS n FROM {table} s {{only}} GROUP BY v UNION ALL "
    texts["texts"] = counted
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
