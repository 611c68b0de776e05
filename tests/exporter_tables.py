"""The tables of the collector's ClickHouse exporter, filled with a case's telemetry: for the tests of larger engines.

The statements are those of the exporter's documentation (`contrib/exporter/clickhouseexporter`), without its codecs.
"""

import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

_MAP = "Map(LowCardinality(String), String)"
_NESTED = f"Timestamp DateTime64(9), Name LowCardinality(String), Attributes {_MAP}"
_METRIC = (
    f"ResourceAttributes {_MAP}, ServiceName LowCardinality(String), MetricName String, MetricDescription String, "
    f"MetricUnit String, Attributes {_MAP}, StartTimeUnix DateTime64(9), TimeUnix DateTime64(9)"
)
_ENGINE = "ENGINE = MergeTree PARTITION BY toDate({time}) ORDER BY (ServiceName, {by}, toDateTime({time}))"
TABLES = {
    "otel_traces": "Timestamp DateTime64(9), TraceId String, SpanId String, ParentSpanId String, TraceState String, "
    f"SpanName LowCardinality(String), SpanKind LowCardinality(String), ServiceName LowCardinality(String), "
    f"ResourceAttributes {_MAP}, ScopeName String, ScopeVersion String, SpanAttributes {_MAP}, Duration UInt64, "
    f"StatusCode LowCardinality(String), StatusMessage String, Events Nested ({_NESTED}), "
    f"Links Nested (TraceId String, SpanId String, TraceState String, Attributes {_MAP})",
    "otel_logs": "Timestamp DateTime64(9), TraceId String, SpanId String, TraceFlags UInt8, "
    "SeverityText LowCardinality(String), SeverityNumber UInt8, ServiceName LowCardinality(String), Body String, "
    f"ResourceAttributes {_MAP}, LogAttributes {_MAP}",
    "otel_metrics_gauge": f"{_METRIC}, Value Float64",
    "otel_metrics_sum": f"{_METRIC}, Value Float64, AggregationTemporality Int32, IsMonotonic Bool",
    "otel_metrics_histogram": f"{_METRIC}, Count UInt64, Sum Float64, BucketCounts Array(UInt64), "
    "ExplicitBounds Array(Float64), AggregationTemporality Int32",
}
_ORDER = {
    "otel_traces": ("Timestamp", "SpanName"),
    "otel_logs": ("Timestamp", "SeverityText"),
    "otel_metrics_gauge": ("TimeUnix", "MetricName"),
    "otel_metrics_sum": ("TimeUnix", "MetricName"),
    "otel_metrics_histogram": ("TimeUnix", "MetricName"),
}
_POINT = (
    "resource_attributes AS ResourceAttributes, service AS ServiceName, name AS MetricName, '' AS MetricDescription, "
    "coalesce(unit, '') AS MetricUnit, attributes AS Attributes, coalesce(start_ns, 0) AS StartTimeUnix, "
    "at_ns AS TimeUnix"
)
_TEMPORALITY = "CASE temporality WHEN 'delta' THEN 1 WHEN 'cumulative' THEN 2 ELSE 0 END AS AggregationTemporality"
_ROWS = {
    "otel_traces": """
        WITH e AS (SELECT trace_id, span_id, list(at_ns ORDER BY at_ns) AS ts, list(name ORDER BY at_ns) AS names,
                          list(attributes ORDER BY at_ns) AS maps FROM events GROUP BY ALL)
        SELECT s.start_ns AS Timestamp, s.trace_id AS TraceId, s.span_id AS SpanId,
            coalesce(s.parent_span_id, '') AS ParentSpanId, coalesce(s.trace_state, '') AS TraceState,
            s.name AS SpanName, upper(s.kind[1]) || s.kind[2:] AS SpanKind, s.service AS ServiceName,
            s.resource_attributes AS ResourceAttributes, coalesce(s.scope_name, '') AS ScopeName,
            coalesce(s.scope_version, '') AS ScopeVersion, s.attributes AS SpanAttributes, s.duration_ns AS Duration,
            upper(s.status[1]) || s.status[2:] AS StatusCode, coalesce(s.status_message, '') AS StatusMessage,
            coalesce(e.ts, []) AS "Events.Timestamp", coalesce(e.names, []) AS "Events.Name",
            coalesce(e.maps, []) AS "Events.Attributes"
        FROM spans s LEFT JOIN e ON e.trace_id = s.trace_id AND e.span_id = s.span_id""",
    "otel_logs": """
        SELECT at_ns AS Timestamp, coalesce(trace_id, '') AS TraceId, coalesce(span_id, '') AS SpanId, 0 AS TraceFlags,
            coalesce(severity_text, '') AS SeverityText, coalesce(severity_number, 0) AS SeverityNumber,
            service AS ServiceName, body AS Body, resource_attributes AS ResourceAttributes, attributes AS LogAttributes
        FROM logs""",
    "otel_metrics_gauge": f"SELECT {_POINT}, value AS Value FROM metric_points WHERE kind = 'gauge'",
    "otel_metrics_sum": f"SELECT {_POINT}, value AS Value, {_TEMPORALITY}, coalesce(monotonic, false) AS IsMonotonic "
    "FROM metric_points WHERE kind = 'sum'",
    "otel_metrics_histogram": f"SELECT {_POINT}, count AS Count, coalesce(sum, 0) AS Sum, "
    f"bucket_counts AS BucketCounts, explicit_bounds AS ExplicitBounds, {_TEMPORALITY} "
    "FROM metric_points WHERE kind = 'histogram'",
}


def write(con: duckdb.DuckDBPyConnection, table: str, folder: Path) -> None:
    """A table's rows, from a case's views, as Parquet in `folder`."""
    pq.write_table(con.sql(_ROWS[table]).to_arrow_table(), folder / f"{table}.parquet")


def fill(session: Any, folder: Path, database: str) -> None:
    """Make the exporter's tables in a chdb session and copy what `write` wrote into them."""
    session.query(f"CREATE DATABASE {database}")
    for table, columns in TABLES.items():
        time, by = _ORDER[table]
        session.query(f"CREATE TABLE {database}.{table} ({columns}) {_ENGINE.format(time=time, by=by)}")
        file = folder / f"{table}.parquet"
        names = pq.read_schema(file).names
        told, read = ", ".join(f"`{name}`" for name in names), ", ".join(_read(name) for name in names)
        session.query(f"INSERT INTO {database}.{table} ({told}) SELECT {read} FROM file('{file}', Parquet)")


def _read(name: str) -> str:
    if name in ("Timestamp", "StartTimeUnix", "TimeUnix"):
        return f"fromUnixTimestamp64Nano(assumeNotNull(`{name}`))"
    if name == "Events.Timestamp":
        return "arrayMap(t -> fromUnixTimestamp64Nano(assumeNotNull(t)), `Events.Timestamp`)"
    return f"`{name}`"


if __name__ == "__main__":
    from chdb import session

    with session.Session(f"{sys.argv[1]}/data") as opened:
        fill(opened, Path(sys.argv[1]), "otel")
