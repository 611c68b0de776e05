"""The tables that every engine can answer from; a documented part of `docs/schema.md`, without maps.

Maps are spelt differently everywhere (BigQuery has none), so attributes come as rows of their own for questions and
as JSON text for slices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import ibis

_ID = {"trace_id": "string", "span_id": "string"}
SCHEMAS: Final[dict[str, dict[str, str]]] = {
    "spans": {
        **_ID, "parent_span_id": "string", "trace_state": "string", "service": "string", "name": "string",
        "kind": "string", "start_ns": "int64", "duration_ns": "int64", "status": "string", "status_message": "string",
        "service_version": "string", "scope_name": "string", "scope_version": "string",
        "attributes": "string", "resource_attributes": "string",
    },
    "events": {**_ID, "at_ns": "int64", "name": "string", "attributes": "string"},
    "links": {
        **_ID, "linked_trace_id": "string", "linked_span_id": "string", "trace_state": "string", "attributes": "string",
    },
    "errors": {
        **_ID, "service": "string", "operation": "string", "at_ns": "int64", "exception_type": "string",
        "exception_message": "string", "stack": "string", "service_version": "string",
    },
    "requests": {
        **_ID, "service": "string", "operation": "string", "start_ns": "int64", "at_ns": "int64", "bad": "boolean",
        "weight": "float64",
    },
    "hops": {
        **_ID, "parent_span_id": "string", "service": "string", "name": "string", "kind": "string",
        "start_ns": "int64", "end_ns": "int64", "status": "string", "weight": "float64",
    },
    "traits": {"attribute": "string", "value": "string", "failing": "boolean", "weight": "float64"},
    "span_attributes": {
        **_ID, "service": "string", "name": "string", "start_ns": "int64", "status": "string",
        "attribute": "string", "value": "string",
    },
    "logs": {
        **_ID, "service": "string", "at_ns": "int64", "severity_number": "int32", "severity_text": "string",
        "body": "string", "attributes": "string", "resource_attributes": "string",
    },
    "metric_points": {
        "service": "string", "name": "string", "kind": "string", "unit": "string", "start_ns": "int64",
        "at_ns": "int64", "value": "float64", "count": "int64", "sum": "float64", "bucket_counts": "string",
        "explicit_bounds": "string", "temporality": "int32", "monotonic": "boolean",
        "attributes": "string", "resource_attributes": "string",
    },
}  # fmt: skip
"""Columns of each table, ibis types. `attributes` and `resource_attributes` are a JSON object of texts, lists of counts
and bounds a JSON array; `kind` and `status` are the words of `docs/schema.md`. `requests` are the spans that an
objective counts, by default entries of services, bad when they fail; `hops` are spans as the service map needs them;
`weight` is how many a sampled span stands for; `traits` are attributes of what a contrast compares, of triage's own."""


def table(name: str) -> ibis.Table:
    """One of `SCHEMAS`, bound to no engine."""
    import ibis

    return ibis.table(SCHEMAS[name], name=name)
