"""Read OTLP/JSON: requests or `TracesData`, one a line or one a file, with DuckDB's typed JSON reader.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shadowlab import errors
from shadowlab.records import Rejected
from shadowlab.telemetry import connection
from shadowlab.telemetry.readers import sieve

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_KV: Final = (
    "STRUCT(key VARCHAR, value STRUCT(stringValue VARCHAR, intValue VARCHAR, doubleValue VARCHAR, boolValue VARCHAR, "
    "bytesValue VARCHAR, arrayValue JSON, kvlistValue JSON))[]"
)
_RESOURCE: Final = f"resource STRUCT(attributes {_KV})"
_SCOPE: Final = "scope STRUCT(name VARCHAR, version VARCHAR)"
_SPAN: Final = f"""STRUCT(traceId VARCHAR, spanId VARCHAR, parentSpanId VARCHAR, traceState VARCHAR, flags VARCHAR,
    name VARCHAR, kind VARCHAR, startTimeUnixNano VARCHAR, endTimeUnixNano VARCHAR, attributes {_KV},
    events STRUCT(timeUnixNano VARCHAR, name VARCHAR, attributes {_KV}, droppedAttributesCount VARCHAR)[],
    links STRUCT(traceId VARCHAR, spanId VARCHAR, traceState VARCHAR, flags VARCHAR, attributes {_KV},
                 droppedAttributesCount VARCHAR)[],
    status STRUCT(message VARCHAR, code VARCHAR), droppedAttributesCount VARCHAR, droppedEventsCount VARCHAR,
    droppedLinksCount VARCHAR)"""
_ANY: Final = _KV.removeprefix("STRUCT(key VARCHAR, value ").removesuffix(")[]")
_LOG: Final = f"""STRUCT(timeUnixNano VARCHAR, observedTimeUnixNano VARCHAR, severityNumber VARCHAR,
    severityText VARCHAR, body {_ANY}, attributes {_KV}, traceId VARCHAR, spanId VARCHAR, flags VARCHAR,
    eventName VARCHAR, droppedAttributesCount VARCHAR)"""
_BUCKETS: Final = 'STRUCT("offset" VARCHAR, bucketCounts VARCHAR[])'
_POINT: Final = f"""STRUCT(attributes {_KV}, startTimeUnixNano VARCHAR, timeUnixNano VARCHAR, asDouble VARCHAR,
    asInt VARCHAR, "count" VARCHAR, "sum" VARCHAR, "min" VARCHAR, "max" VARCHAR, bucketCounts VARCHAR[],
    explicitBounds VARCHAR[], scale VARCHAR, zeroCount VARCHAR, zeroThreshold VARCHAR, positive {_BUCKETS},
    negative {_BUCKETS}, quantileValues STRUCT(quantile VARCHAR, "value" VARCHAR)[], flags VARCHAR,
    exemplars STRUCT(timeUnixNano VARCHAR, asDouble VARCHAR, asInt VARCHAR, traceId VARCHAR, spanId VARCHAR,
                     filteredAttributes {_KV})[])[]"""
_METRIC: Final = f"""STRUCT(name VARCHAR, description VARCHAR, unit VARCHAR,
    gauge STRUCT(dataPoints {_POINT}),
    sum STRUCT(dataPoints {_POINT}, aggregationTemporality VARCHAR, isMonotonic VARCHAR),
    histogram STRUCT(dataPoints {_POINT}, aggregationTemporality VARCHAR),
    exponentialHistogram STRUCT(dataPoints {_POINT}, aggregationTemporality VARCHAR),
    summary STRUCT(dataPoints {_POINT}))"""

OUTLINE: Final = {
    "resourceSpans": f"STRUCT({_RESOURCE})[]",
    "resourceLogs": f"STRUCT({_RESOURCE})[]",
    "resourceMetrics": f"STRUCT({_RESOURCE})[]",
}
SPANS: Final = {"resourceSpans": f"STRUCT({_RESOURCE}, scopeSpans STRUCT({_SCOPE}, spans {_SPAN}[])[])[]"}
LOGS: Final = {"resourceLogs": f"STRUCT({_RESOURCE}, scopeLogs STRUCT({_SCOPE}, logRecords {_LOG}[])[])[]"}
METRICS: Final = {"resourceMetrics": f"STRUCT({_RESOURCE}, scopeMetrics STRUCT({_SCOPE}, metrics {_METRIC}[])[])[]"}


_STATEMENTS: Final = (
    ("stage_spans", "resourceSpans", SPANS), ("stage_logs", "resourceLogs", LOGS),
    ("stage_metrics", "resourceMetrics", METRICS),
)  # fmt: skip


def stage(con: DuckDBPyConnection, path: Path, spill: Path) -> list[Rejected]:
    """Put a file's records into the staging tables, inside the caller's transaction; give what was left out.

    Raises `TelemetryError` when the file is no OTLP/JSON.
    """
    import duckdb

    with path.open("rb") as file:
        compression = "gzip" if file.read(2) == b"\x1f\x8b" else "none"
    shape = "newline_delimited" if _first_line_is_whole(path, compression) else "unstructured"
    try:
        if _stage(con, str(path), shape, compression, 16 << 20):
            return []
    except duckdb.Error:
        con.execute("ROLLBACK; BEGIN")
    clean = spill / "sifted.jsonl"
    kept, rejected = sieve.sift(path, clean, compression)
    if not kept:
        raise errors.TelemetryError(f"is no telemetry: {rejected[0].reason if rejected else 'nothing in it'}")
    _stage(con, str(clean), "newline_delimited", "none", sieve.LONGEST_LINE)
    return rejected


def _first_line_is_whole(path: Path, compression: str) -> bool:
    try:
        with sieve.opened(path, compression) as file:
            json.loads(file.readline(sieve.LONGEST_LINE))
    except (ValueError, OSError, EOFError, RecursionError):
        return False
    return True


def _stage(con: DuckDBPyConnection, path: str, shape: str, compression: str, limit: int) -> bool:
    outline = source(path, OUTLINE, shape=shape, compression=compression, limit=limit)
    query = (
        f"SELECT count(*), count(resourceSpans), count(resourceLogs), count(resourceMetrics), "
        f"count_if(resourceSpans IS NULL AND resourceLogs IS NULL AND resourceMetrics IS NULL) FROM {outline}"
    )
    found = con.execute(query).fetchall()[0]
    if not found[0] or found[4]:
        return False
    for (statement, _, columns), requests in zip(_STATEMENTS, found[1:4], strict=True):
        if requests:
            told = source(path, columns, shape=shape, compression=compression, limit=limit)
            con.execute(connection.statements(statement).replace("{source}", told))
    con.execute(connection.statements("stage_resources").replace("{source}", outline))
    return True


def source(path: str, columns: dict[str, str], *, shape: str, compression: str, limit: int) -> str:
    """The table function that reads one file with these columns."""
    kinds = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
    return (
        f"read_json({connection.quoted(path)}, format='{shape}', records=true, compression='{compression}', "
        f"maximum_object_size={limit}, columns={{{kinds}}})"
    )


def plain_json(text: str | None) -> str | None:
    """An OTLP array or key-value list as plain JSON text: `{"values": [{"intValue": "1"}]}` gives `[1]`.

    Text that is no such value comes back as it is.
    """
    if text is None:
        return None
    try:
        document = json.loads(text)
        entries = document.get("values", [])
        listed = any("key" in entry for entry in entries)
        plain = {e["key"]: _plain(e.get("value")) for e in entries} if listed else [_plain(e) for e in entries]
        return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
    except (ValueError, RecursionError, AttributeError, TypeError, KeyError):
        return text


def _plain(value: Any) -> Any:
    match value:
        case {"arrayValue": inner}:
            return [_plain(entry) for entry in inner.get("values", [])]
        case {"kvlistValue": inner}:
            return {entry["key"]: _plain(entry.get("value")) for entry in inner.get("values", [])}
        case {"intValue": number}:
            return int(number)
        case {"stringValue": plain} | {"doubleValue": plain} | {"boolValue": plain} | {"bytesValue": plain}:
            return plain
        case _:
            return None


def prepare(con: DuckDBPyConnection) -> None:
    """Teach a connection the macros that the staging statements use."""
    con.create_function("plain_json", plain_json, ["VARCHAR"], "VARCHAR")
