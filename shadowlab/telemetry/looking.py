"""Look through what is staged before it is moved: where promoted keys stand, which texts hold a secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shadowlab.telemetry import shapes
from shadowlab.telemetry.connection import quoted
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
_SENTENCES: Final = ("name", "trace_state")
"""Fields in which people write sentences."""
_HOLDERS: Final = {"span": "few_spans", "metric_point": "stage_metric_points"}
"""Where the nested fields of a signal are."""
REDACTED_NAME: Final = "redacted_text(e.name)"
_FEW_SPANS: Final = """CREATE TABLE few_spans AS
    SELECT rowid AS pos, raw, trace_id, span_id, name, start_ns, events, links
    FROM stage_spans WHERE events IS NOT NULL OR links IS NOT NULL"""
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
    if rows["span"]:
        con.execute(_FEW_SPANS)
    for signal in (each for each in SIGNALS if rows[each]):
        found = shapes.find(con, signal, _PROMOTED[signal], correlation)
        parts[signal] = {**found.expressions(), **_texts(con, signal)}
    return Staged(rows, parts)


def _texts(con: DuckDBPyConnection, signal: str) -> dict[str, str]:
    """How what lies beside the attributes is read: as it is, unless it holds a secret.

    `texts` gives those where anything was replaced, here or before, each with the number of its rows.
    """
    secret, before = _marked(con, signal)
    table, texts, counted = f"stage_{signal}s", {}, ""
    for column in _TEXTS[signal]:
        texts[column] = f"redacted_text({column})" if column in secret else column
        if column in secret | before:
            counted += f"SELECT {texts[column]} AS v, count(*) AS n FROM {table} s {{only}} GROUP BY v UNION ALL "
    texts["texts"] = counted
    for column, fields in _NESTED[signal].items():
        texts[column] = _nested(column, fields, secret)
    return texts


def _marked(con: DuckDBPyConnection, signal: str) -> tuple[set[str], set[str]]:
    """Names of the fields beside the attributes that hold a secret, and of those where one was replaced before.

    All texts are brought together first: a statement spends more on its regular expressions than on a few texts.
    """
    columns = _TEXTS[signal]
    names, fields = ", ".join(map(quoted, columns)), ", ".join(columns)
    selects = [
        f"SELECT unnest([{names}]) AS field, NULL::VARCHAR AS k, unnest([{fields}]) AS v "
        f"FROM (SELECT DISTINCT {fields} FROM stage_{signal}s)"
    ]
    for column, nested in _NESTED[signal].items():
        entries = f"SELECT unnest({column}) AS e FROM {_HOLDERS[signal]} WHERE {column} IS NOT NULL"
        pairs = f"SELECT unnest(e.attributes) AS a FROM ({entries})"
        selects.append(f"SELECT '{column}.attributes', a.k, a.v FROM ({pairs})")
        for each in (field for field in nested if field in _SENTENCES):
            selects.append(f"SELECT DISTINCT '{column}.{each}', NULL, e.{each} FROM ({entries})")
    con.execute(f"CREATE OR REPLACE TEMP TABLE texts AS {' UNION ALL '.join(selects)}")
    marks = con.execute(
        "SELECT field, bool_or(has_secret(v) OR coalesce(secret_key(k), false)), bool_or(was_redacted(v)) "
        "FROM texts WHERE v IS NOT NULL GROUP BY field"
    ).fetchall()
    con.execute("DROP TABLE texts")
    return {field for field, secret, _ in marks if secret}, {field for field, _, before in marks if before}


def _nested(column: str, fields: Sequence[str], secret: Set[str]) -> str:
    """The entries of a list, with those of their fields redacted that hold a secret."""
    how = {"attributes": "redacted_pairs(e.attributes)"} | {each: f"redacted_text(e.{each})" for each in _SENTENCES}
    told = {field: how[field] for field in fields if f"{column}.{field}" in secret}
    again = ", ".join(f"'{field}': {told.get(field, f'e.{field}')}" for field in fields)
    return f"list_transform({column}, lambda e: {{{again}}})" if told else column


def _one(con: DuckDBPyConnection, query: str) -> int:
    return int(con.execute(query).fetchall()[0][0] or 0)
