"""OTLP/protobuf requests spelled as OTLP/JSON: ids in hex, numbers as numbers.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from typing import Any

import msgspec

from shadowlab.telemetry.receiver.log import Kind


def as_json(kind: Kind, body: bytes) -> bytes:
    """One line of OTLP/JSON that says what a protobuf request says. The body was parsed before: it is one."""
    request = _types()[kind].FromString(body)
    match kind:
        case Kind.TRACES_PROTOBUF:
            told: dict[str, Any] = {"resourceSpans": [_resource_spans(r) for r in request.resource_spans]}
        case Kind.LOGS_PROTOBUF:
            told = {"resourceLogs": [_resource_logs(r) for r in request.resource_logs]}
        case _:
            told = {"resourceMetrics": [_resource_metrics(r) for r in request.resource_metrics]}
    return msgspec.json.encode(told)


@cache
def _types() -> dict[Kind, Any]:
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    return {
        Kind.TRACES_PROTOBUF: ExportTraceServiceRequest,
        Kind.LOGS_PROTOBUF: ExportLogsServiceRequest,
        Kind.METRICS_PROTOBUF: ExportMetricsServiceRequest,
    }


def _value(value: Any) -> dict[str, Any]:
    match value.WhichOneof("value"):
        case "string_value":
            return {"stringValue": value.string_value}
        case "int_value":
            return {"intValue": str(value.int_value)}
        case "bool_value":
            return {"boolValue": value.bool_value}
        case "double_value":
            return {"doubleValue": _double(value.double_value)}
        case "array_value":
            return {"arrayValue": {"values": [_value(inner) for inner in value.array_value.values]}}
        case "kvlist_value":
            return {"kvlistValue": {"values": _attributes(value.kvlist_value.values)}}
        case "bytes_value":
            return {"bytesValue": b64encode(value.bytes_value).decode()}
        case _:
            return {}


def _double(value: float) -> float | str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def _attributes(listed: Any) -> list[dict[str, Any]]:
    return [{"key": entry.key, "value": _value(entry.value)} for entry in listed]


def _resource(holder: Any) -> dict[str, Any]:
    return {"attributes": _attributes(holder.resource.attributes)}


def _scope(holder: Any) -> dict[str, Any]:
    return {"name": holder.scope.name, "version": holder.scope.version}


def _resource_spans(told: Any) -> dict[str, Any]:
    scopes = [{"scope": _scope(s), "spans": [_span(span) for span in s.spans]} for s in told.scope_spans]
    return {"resource": _resource(told), "scopeSpans": scopes}


def _span(span: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "traceId": span.trace_id.hex(), "spanId": span.span_id.hex(), "name": span.name, "kind": span.kind,
        "startTimeUnixNano": str(span.start_time_unix_nano), "endTimeUnixNano": str(span.end_time_unix_nano),
        "attributes": _attributes(span.attributes), "status": {"code": span.status.code},
    }  # fmt: skip
    if span.status.message:
        told["status"]["message"] = span.status.message
    optional = {
        "parentSpanId": span.parent_span_id.hex(), "traceState": span.trace_state, "flags": span.flags,
        "droppedAttributesCount": span.dropped_attributes_count, "droppedEventsCount": span.dropped_events_count,
        "droppedLinksCount": span.dropped_links_count,
        "events": [_event(event) for event in span.events], "links": [_link(link) for link in span.links],
    }  # fmt: skip
    told.update((name, value) for name, value in optional.items() if value)
    return told


def _event(event: Any) -> dict[str, Any]:
    return {
        "timeUnixNano": str(event.time_unix_nano), "name": event.name, "attributes": _attributes(event.attributes),
        "droppedAttributesCount": event.dropped_attributes_count,
    }  # fmt: skip


def _link(link: Any) -> dict[str, Any]:
    return {
        "traceId": link.trace_id.hex(), "spanId": link.span_id.hex(), "traceState": link.trace_state,
        "flags": link.flags, "attributes": _attributes(link.attributes),
        "droppedAttributesCount": link.dropped_attributes_count,
    }  # fmt: skip


def _resource_logs(told: Any) -> dict[str, Any]:
    scopes = [{"scope": _scope(s), "logRecords": [_log(record) for record in s.log_records]} for s in told.scope_logs]
    return {"resource": _resource(told), "scopeLogs": scopes}


def _log(record: Any) -> dict[str, Any]:
    told = {
        "timeUnixNano": str(record.time_unix_nano), "observedTimeUnixNano": str(record.observed_time_unix_nano),
        "severityNumber": record.severity_number, "severityText": record.severity_text, "body": _value(record.body),
        "attributes": _attributes(record.attributes), "flags": record.flags,
        "droppedAttributesCount": record.dropped_attributes_count,
    }  # fmt: skip
    optional = {"traceId": record.trace_id.hex(), "spanId": record.span_id.hex(), "eventName": record.event_name}
    told.update((name, value) for name, value in optional.items() if value)
    return told


def _resource_metrics(told: Any) -> dict[str, Any]:
    scopes = [{"scope": _scope(s), "metrics": [_metric(metric) for metric in s.metrics]} for s in told.scope_metrics]
    return {"resource": _resource(told), "scopeMetrics": scopes}


def _metric(metric: Any) -> dict[str, Any]:
    told = {"name": metric.name, "description": metric.description, "unit": metric.unit}
    which = metric.WhichOneof("data")
    if which is None:
        return told
    series = getattr(metric, which)
    points: dict[str, Any] = {"dataPoints": [_point(which, point) for point in series.data_points]}
    if which in ("sum", "histogram", "exponential_histogram"):
        points["aggregationTemporality"] = series.aggregation_temporality
    if which == "sum":
        points["isMonotonic"] = series.is_monotonic
    return {**told, "exponentialHistogram" if which == "exponential_histogram" else which: points}


def _point(which: str, point: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "attributes": _attributes(point.attributes), "startTimeUnixNano": str(point.start_time_unix_nano),
        "timeUnixNano": str(point.time_unix_nano), "flags": point.flags,
    }  # fmt: skip
    match which:
        case "gauge" | "sum":
            told |= _number(point)
        case "histogram":
            told |= {
                "bucketCounts": [str(n) for n in point.bucket_counts],
                "explicitBounds": list(point.explicit_bounds),
            }
        case "exponential_histogram":
            told |= {"scale": point.scale, "zeroCount": str(point.zero_count), "zeroThreshold": point.zero_threshold}
            told |= {"positive": _buckets(point.positive), "negative": _buckets(point.negative)}
        case "summary":
            quantiles = [{"quantile": q.quantile, "value": _double(q.value)} for q in point.quantile_values]
            told |= {"quantileValues": quantiles, "sum": _double(point.sum)}
    if which in ("histogram", "exponential_histogram"):
        told |= {name: _double(getattr(point, name)) for name in ("sum", "min", "max") if point.HasField(name)}
    if which in ("histogram", "exponential_histogram", "summary"):
        told["count"] = str(point.count)
    if which != "summary" and point.exemplars:
        told["exemplars"] = [_exemplar(exemplar) for exemplar in point.exemplars]
    return told


def _number(point: Any) -> dict[str, Any]:
    match point.WhichOneof("value"):
        case "as_int":
            return {"asInt": str(point.as_int)}
        case "as_double":
            return {"asDouble": _double(point.as_double)}
        case _:
            return {}


def _buckets(buckets: Any) -> dict[str, Any]:
    return {"offset": buckets.offset, "bucketCounts": [str(n) for n in buckets.bucket_counts]}


def _exemplar(exemplar: Any) -> dict[str, Any]:
    told = {
        "timeUnixNano": str(exemplar.time_unix_nano),
        "traceId": exemplar.trace_id.hex(),
        "spanId": exemplar.span_id.hex(),
    }
    return {**told, "filteredAttributes": _attributes(exemplar.filtered_attributes), **_number(exemplar)}
