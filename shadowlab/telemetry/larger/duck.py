"""DuckDB as the engine: a case's own store, and Parquet partitioned by day and service, here or in object storage."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.telemetry import connection
from shadowlab.telemetry.larger.engine import literal, sql_file
from shadowlab.telemetry.larger.scope import Bounds, Columns, OfTraces
from shadowlab.telemetry.questions import requests
from shadowlab.telemetry.store import store

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

PARTS: Final = ("spans", "events", "links", "logs", "metric_points")
"""The folders of the Parquet layout, each `day=YYYY-MM-DD/service=NAME/*.parquet`."""
_NEEDED: Final = {"spans": "trace_id", "events": "exception_type", "logs": "body", "metric_points": "at_ns"}


class Duck:
    """A DuckDB connection whose `main` schema holds the documented tables."""

    dialect = "duckdb"

    def __init__(self, con: DuckDBPyConnection, name: str, *, by_day: bool) -> None:
        self.con, self.name, self._by_day = con, name, by_day

    def mapping(self) -> str:
        """The sections of `sql/duck.sql`."""
        told = {"entry": requests.ENTRY, "failed": requests.FAILED, "weight": requests.WEIGHT}
        return functools.reduce(lambda text, one: text.replace(f"{{{one[0]}}}", one[1]), told.items(), sql_file("duck"))

    def columns(self) -> Mapping[str, Bounds]:
        """Bounds on times, and on days where there are such partitions."""
        return layout_columns("duckdb", "main.", by_day=self._by_day)

    def run(self, statement: str) -> pa.Table:
        """Raises `QueryError`."""
        import duckdb

        try:
            return self.con.sql(statement).to_arrow_table()
        except duckdb.Error as exc:
            raise errors.QueryError(
                f"{self.name} cannot answer: {str(exc).splitlines()[0]}",
                hint="is it in the layout that `shadowlab export --parquet` writes? docs/scale.md shows it",
            ) from exc

    def close(self) -> None:
        """Close the connection."""
        self.con.close()


def of_case(case: Case) -> Duck:
    """The case's own segments."""
    opened = store(case)
    opened.views.make_all()
    return Duck(opened.con, str(case.path), by_day=False)


def of_parquet(place: str) -> Duck:
    """A folder, or `s3://bucket/prefix` and the like through fsspec, in the layout of `export`.

    Raises `UsageError` when there is nothing, or another layout.
    """
    con = connection.connect()
    try:
        for part in PARTS:
            _define(con, place, part)
    except BaseException:
        con.close()
        raise
    return Duck(con, f"Parquet at {place}", by_day=True)


def _define(con: DuckDBPyConnection, place: str, part: str) -> None:
    import duckdb

    try:
        if "://" in place:
            con.register(f"remote_{part}", _dataset(place, part))
            con.execute(f"CREATE VIEW {part} AS SELECT * FROM remote_{part}")
        else:
            files = connection.quoted(f"{place.rstrip('/')}/{part}/day=*/service=*/*.parquet")
            con.execute(
                f"CREATE VIEW {part} AS SELECT * FROM read_parquet({files}, hive_partitioning = true, "
                "hive_types = {'day': DATE, 'service': VARCHAR}, union_by_name = true)"
            )
        if part in _NEEDED:
            con.execute(f"SELECT {_NEEDED[part]}, service, day FROM {part} LIMIT 0")
    except (duckdb.Error, OSError, ValueError) as exc:
        if part == "spans" or not _missing(exc):
            raise errors.UsageError(
                f"{place} holds no {part} that can be read: {str(exc).splitlines()[0][:200]}",
                hint="the layout is DIR/spans/day=YYYY-MM-DD/service=NAME/*.parquet; docs/scale.md shows it",
            ) from None
        con.execute(f"CREATE VIEW {part} AS {EMPTY[part]}")


def _missing(exc: Exception) -> bool:
    return isinstance(exc, FileNotFoundError) or "No files found" in str(exc)


def _dataset(place: str, part: str) -> Any:
    """Arrow's dataset: DuckDB hands its filters down to it, so only the days and services asked for are read."""
    import fsspec
    import pyarrow as pa
    import pyarrow.dataset as ds

    system, path = fsspec.core.url_to_fs(f"{place.rstrip('/')}/{part}")
    if not system.exists(path):
        raise FileNotFoundError(f"{place}/{part} is not there")
    partitions = ds.partitioning(pa.schema([("day", pa.date32()), ("service", pa.string())]), flavor="hive")
    return ds.dataset(path, filesystem=system, format="parquet", partitioning=partitions)


_MAP: Final = "NULL::MAP(VARCHAR, VARCHAR)"
_ID: Final = "NULL::VARCHAR AS trace_id, NULL::VARCHAR AS span_id"
EMPTY: Final = {
    "events": f"SELECT {_ID}, NULL::VARCHAR AS service, NULL::VARCHAR AS span_name, NULL::BIGINT AS at_ns, "
    "NULL::VARCHAR AS name, NULL::VARCHAR AS exception_type, NULL::VARCHAR AS exception_message, "
    f"NULL::VARCHAR AS stack, NULL::VARCHAR AS service_version, {_MAP} AS attributes, NULL::DATE AS day WHERE false",
    "links": f"SELECT {_ID}, NULL::VARCHAR AS linked_trace_id, NULL::VARCHAR AS linked_span_id, "
    f"NULL::VARCHAR AS trace_state, {_MAP} AS attributes WHERE false",
    "logs": f"SELECT {_ID}, NULL::VARCHAR AS service, NULL::BIGINT AS at_ns, NULL::INTEGER AS severity_number, "
    f"NULL::VARCHAR AS severity_text, NULL::VARCHAR AS body, {_MAP} AS attributes, {_MAP} AS resource_attributes, "
    "NULL::DATE AS day WHERE false",
    "metric_points": "SELECT NULL::VARCHAR AS service, NULL::VARCHAR AS name, NULL::VARCHAR AS kind, "
    "NULL::VARCHAR AS unit, NULL::BIGINT AS start_ns, NULL::BIGINT AS at_ns, NULL::DOUBLE AS value, "
    "NULL::BIGINT AS count, NULL::DOUBLE AS sum, NULL::BIGINT[] AS bucket_counts, NULL::DOUBLE[] AS explicit_bounds, "
    f"NULL::VARCHAR AS temporality, NULL::BOOLEAN AS monotonic, {_MAP} AS attributes, {_MAP} AS resource_attributes, "
    "NULL::DATE AS day WHERE false",
}
"""What a layout without that folder answers: it holds no logs, say."""


def layout_columns(dialect: str, prefix: str, *, by_day: bool) -> dict[str, Bounds]:
    """Bounds for the documented tables, under `prefix`."""

    def bounded(column: str) -> Any:
        def condition(operator: str, ns: int) -> str:
            told = f"{column} {operator} {ns}"
            if not by_day:
                return told
            day = datetime.fromtimestamp(ns // 1_000_000_000, UTC).date()
            return f"{told} AND day {'>=' if operator == '>=' else '<='} DATE '{day}'"

        return condition

    def text(value: str) -> str:
        return literal(dialect, value)

    spans = Columns(f"{prefix}spans", bounded("start_ns"), text, "service", "trace_id")
    return {
        "spans": spans,
        "events": Columns(f"{prefix}events", bounded("at_ns"), text, "service", "trace_id", spans),
        "links": OfTraces(spans),
        "logs": Columns(f"{prefix}logs", bounded("at_ns"), text, "service", "trace_id", spans),
        "metrics": Columns(f"{prefix}metric_points", bounded("at_ns"), text, "service"),
    }  # fmt: skip
