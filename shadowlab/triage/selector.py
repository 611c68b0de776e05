"""Which spans an objective counts, as conditions with bound parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from shadowlab.telemetry.questions.requests import ENTRY

_KEYS = {
    "service": "service", "service_name": "service",
    "operation": "operation", "endpoint": "operation",
    "name": "name", "span_name": "name", "span": "name",
    "kind": "kind", "span_kind": "kind",
    "method": "method", "http_method": "method", "http_request_method": "method",
    "route": "route", "http_route": "route",
    "status": "status", "span_status": "status", "status_code": "status", "otel_status_code": "status",
    "http_status": "http_status", "http_status_code": "http_status", "http_response_status_code": "http_status",
    "max_duration": "max_duration", "duration": "max_duration", "threshold": "max_duration",
    "latency": "max_duration",
    "attributes": "attributes", "query": "query", "where": "query", "filter": "query",
}  # fmt: skip
_OPERATORS = {"=": "=", "==": "=", "!=": "<>", "<>": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_COMPARISON = re.compile(r"\s*(==|!=|<>|<=|>=|=|<|>)?\s*(.+?)\s*", re.DOTALL)
_DURATION = re.compile(r"\s*(?:<=?)?\s*(\d+(?:\.\d+)?)\s*(ns|us|ms|s|m)\s*")
_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000}

Condition = tuple[str, list[Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Selector:
    """Spans by what they say of themselves; what is not said selects all."""

    service: str | None = None
    operation: str | None = None
    """The span's name, or `METHOD route`."""
    name: str | None = None
    kind: str | None = None
    method: str | None = None
    route: str | None = None
    status: str | None = None
    """`ok`, `error`, `unset`, or one of them after `!`."""
    http_status: tuple[str, ...] = ()
    """Codes (`503`), classes (`5xx`) or comparisons (`>=500`); any of them selects."""
    max_duration_ns: int | None = None
    strict: bool = False
    """Whether a span of exactly `max_duration_ns` is left out."""
    attributes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Attribute keys with the values or comparisons that select."""
    query: str | None = None
    """An SQL condition over the view `spans`."""

    def says_no_more_than(self, other: Selector) -> bool:
        """Whether every condition here is one of `other`'s."""
        return self == other or replace(other, query=None, attributes=()) == self

    def condition(self, *, entry: bool) -> Condition:
        """SQL over `spans` and its parameters; with `entry`, requests only unless the kind is said."""
        parts: list[Condition] = [(sql, [value]) for sql, value in self._columns() if value is not None]
        if self.operation is not None:
            said = "(name = ? OR concat_ws(' ', http_request_method, http_route) = ? OR http_route = ?)"
            parts.append((said, [self.operation] * 3))
        if entry and self.kind is None and self.name is None and self.query is None:
            parts.append((ENTRY, []))
        if self.status is not None:
            parts.append(_status(self.status))
        if self.http_status:
            parts.append(_any([_code(text) for text in self.http_status]))
        if self.max_duration_ns is not None:
            parts.append((f"duration_ns {'<' if self.strict else '<='} ?", [self.max_duration_ns]))
        parts += [_any([_attribute(key, value) for value in values]) for key, values in self.attributes]
        if self.query is not None:
            parts.append((f"coalesce(({self.query}), false)", []))
        return _all(parts)

    def _columns(self) -> tuple[tuple[str, str | None], ...]:
        return (
            ("service = ?", self.service),
            ("name = ?", self.name),
            ("kind = lower(?)", self.kind),
            ("http_request_method = upper(?)", self.method),
            ("http_route = ?", self.route),
        )


def read_selector(spec: Mapping[str, Any], *, service: str | None) -> Selector:
    """The selector that a metric source's `spec` says; raises `ValueError` with the key that is wrong."""
    said: dict[str, Any] = {"service": service}
    attributes: dict[str, tuple[str, ...]] = {}
    for key, value in spec.items():
        plain = re.sub(r"(?<=[a-z])([A-Z])", r"_\1", str(key)).lower().replace(".", "_").replace("-", "_")
        field = _KEYS.get(plain)
        if field is None and "." not in str(key):
            raise ValueError(f"key {key!r} is unknown; known are {', '.join(sorted(set(_KEYS.values())))}")
        match field:
            case None:
                attributes[str(key)] = _texts(value)
            case "attributes":
                attributes |= {str(k): _texts(v) for k, v in _mapping(key, value).items()}
            case "http_status":
                said[field] = _texts(value)
                _any([_code(text) for text in _texts(value)])
            case "max_duration":
                said["max_duration_ns"], said["strict"] = _duration(key, value)
            case "query":
                said[field] = checked(str(value))
            case _:
                said[field] = _texts(value)[0]
    if said.get("status"):
        _status(said["status"])
    return Selector(**said, attributes=tuple(sorted(attributes.items())))


def checked(query: str) -> str:
    """`query` when it is one SQL condition that reads no table of its own; raises `ValueError` otherwise."""
    import json

    import duckdb

    with duckdb.connect() as con:
        row = con.execute("SELECT json_serialize_sql(?)", [f"SELECT 1 FROM spans WHERE ({query}\n)"]).fetchone()
    tree: dict[str, Any] = json.loads(row[0] if row else "{}")
    if tree.get("error") or len(tree.get("statements") or []) != 1:
        raise ValueError(f"`query` is no SQL condition: {tree.get('error_message', 'several statements')}")
    text = json.dumps(tree)
    if any(f'"{word}"' in text for word in ("SUBQUERY", "TABLE_FUNCTION", "SUBQUERY_NODE")):
        raise ValueError("`query` must be a condition over the columns of `spans`, without a query inside")
    return query


def _all(parts: list[Condition]) -> Condition:
    sql, values = " AND ".join(sql for sql, _ in parts), [value for _, values in parts for value in values]
    return sql or "true", values


def _any(parts: list[Condition]) -> Condition:
    sql, values = " OR ".join(sql for sql, _ in parts), [value for _, values in parts for value in values]
    return f"({sql})", values


def _status(text: str) -> Condition:
    word = text.lstrip("!").strip().lower().removeprefix("status_code_")
    if word not in ("ok", "error", "unset"):
        raise ValueError(f"status {text!r} is unknown; known are ok, error, unset, and each after `!`")
    return ("status <> ?" if text.startswith("!") else "status = ?", [word])


def _code(text: str) -> Condition:
    column = "try_cast(http_response_status_code AS INTEGER)"
    if found := re.fullmatch(r"\s*(!?)([1-5])xx\s*", text.lower()):
        low = int(found[2]) * 100
        return (f"coalesce({column}, 0) {'NOT ' if found[1] else ''}BETWEEN ? AND ?", [low, low + 99])
    parts = _COMPARISON.fullmatch(text)
    if parts is None or not parts[2].isdigit():
        raise ValueError(f"HTTP status {text!r} cannot be read; write 503, 5xx or >=500")
    return (f"coalesce({column} {_OPERATORS[parts[1] or '=']} ?, false)", [int(parts[2])])


def _attribute(key: str, text: str) -> Condition:
    parts = _COMPARISON.fullmatch(text)
    operator, value = (parts[1], parts[2]) if parts else (None, text)
    column = f"coalesce(attributes[{_quoted(key)}], resource_attributes[{_quoted(key)}])"
    if operator in ("<", "<=", ">", ">="):
        return (f"coalesce(try_cast({column} AS DOUBLE) {operator} try_cast(? AS DOUBLE), false)", [value])
    same = "IS DISTINCT FROM" if operator in ("!=", "<>") else "IS NOT DISTINCT FROM"
    return (f"{column} {same} ?", [value])


def _quoted(key: str) -> str:
    return "'" + key.replace("'", "''") + "'"


def _texts(value: object) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if not values or any(isinstance(v, list | dict) or v is None for v in values):
        raise ValueError(f"{value!r} is no value and no list of values")
    return tuple(str(v).lower() if isinstance(v, bool) else str(v) for v in values)


def _mapping(key: object, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"`{key}` is {value!r}, not a mapping of keys to values")
    return value


def _duration(key: object, value: object) -> tuple[int, bool]:
    text = str(value).strip()
    found = _DURATION.fullmatch(text)
    if not found:
        raise ValueError(f"`{key}` is {value!r}; write a duration such as 250ms")
    return round(float(found[1]) * _NS[found[2]]), text.startswith("<") and not text.startswith("<=")
