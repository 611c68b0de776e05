"""What an OTLP/JSON request must look like: every field of the right kind, none of them required.

Fields that are not named here are ignored, as the protocol asks. Names are the protocol's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

Text = str | None
Number = int | float | str | None


class AnyValue(msgspec.Struct):
    """One of the kinds that an attribute's value has."""

    stringValue: Text = None
    boolValue: bool | str | None = None
    intValue: Number = None
    doubleValue: Number = None
    bytesValue: Text = None
    arrayValue: Listed | None = None
    kvlistValue: Mapped | None = None


class Listed(msgspec.Struct):
    """An array."""

    values: list[AnyValue | None] | None = None


class KeyValue(msgspec.Struct):
    """One attribute."""

    key: Text = None
    value: AnyValue | None = None


class Mapped(msgspec.Struct):
    """A mapping."""

    values: list[KeyValue] | None = None


Attributes = list[KeyValue] | None


class Resource(msgspec.Struct):
    """What the records are about."""

    attributes: Attributes = None


class Scope(msgspec.Struct):
    """What made them."""

    name: Text = None
    version: Text = None


class Event(msgspec.Struct):
    """What happened within a span."""

    timeUnixNano: Number = None
    name: Text = None
    attributes: Attributes = None
    droppedAttributesCount: Number = None


class Link(msgspec.Struct):
    """Another span that a span points at."""

    traceId: Text = None
    spanId: Text = None
    traceState: Text = None
    flags: Number = None
    attributes: Attributes = None
    droppedAttributesCount: Number = None


class Status(msgspec.Struct):
    """How a span ended."""

    message: Text = None
    code: Number = None


class Span(msgspec.Struct):
    """A span."""

    traceId: Text = None
    spanId: Text = None
    parentSpanId: Text = None
    traceState: Text = None
    flags: Number = None
    name: Text = None
    kind: Number = None
    startTimeUnixNano: Number = None
    endTimeUnixNano: Number = None
    attributes: Attributes = None
    events: list[Event] | None = None
    links: list[Link] | None = None
    status: Status | None = None
    droppedAttributesCount: Number = None
    droppedEventsCount: Number = None
    droppedLinksCount: Number = None


class LogRecord(msgspec.Struct):
    """A log record."""

    timeUnixNano: Number = None
    observedTimeUnixNano: Number = None
    severityNumber: Number = None
    severityText: Text = None
    body: AnyValue | None = None
    attributes: Attributes = None
    traceId: Text = None
    spanId: Text = None
    flags: Number = None
    eventName: Text = None
    droppedAttributesCount: Number = None


class Buckets(msgspec.Struct):
    """One half of an exponential histogram."""

    offset: Number = None
    bucketCounts: list[Number] | None = None


class Quantile(msgspec.Struct):
    """One value of a summary."""

    quantile: Number = None
    value: Number = None


class Exemplar(msgspec.Struct):
    """One measurement behind a point."""

    timeUnixNano: Number = None
    asDouble: Number = None
    asInt: Number = None
    traceId: Text = None
    spanId: Text = None
    filteredAttributes: Attributes = None


class Point(msgspec.Struct):
    """A data point of any kind of metric."""

    attributes: Attributes = None
    startTimeUnixNano: Number = None
    timeUnixNano: Number = None
    asDouble: Number = None
    asInt: Number = None
    count: Number = None
    sum: Number = None
    min: Number = None
    max: Number = None
    bucketCounts: list[Number] | None = None
    explicitBounds: list[Number] | None = None
    scale: Number = None
    zeroCount: Number = None
    zeroThreshold: Number = None
    positive: Buckets | None = None
    negative: Buckets | None = None
    quantileValues: list[Quantile] | None = None
    flags: Number = None
    exemplars: list[Exemplar] | None = None


class Series(msgspec.Struct):
    """The points of a metric."""

    dataPoints: list[Point] | None = None
    aggregationTemporality: Number = None
    isMonotonic: bool | str | None = None


class Metric(msgspec.Struct):
    """A metric, with the points of one kind."""

    name: Text = None
    description: Text = None
    unit: Text = None
    gauge: Series | None = None
    sum: Series | None = None
    histogram: Series | None = None
    exponentialHistogram: Series | None = None
    summary: Series | None = None

    def count(self) -> int:
        """Number of its points."""
        told = (self.gauge, self.sum, self.histogram, self.exponentialHistogram, self.summary)
        return sum(len(series.dataPoints or ()) for series in told if series)


class ScopeSpans(msgspec.Struct):
    """Spans of one scope."""

    scope: Scope | None = None
    spans: list[Span] | None = None


class ScopeLogs(msgspec.Struct):
    """Log records of one scope."""

    scope: Scope | None = None
    logRecords: list[LogRecord] | None = None


class ScopeMetrics(msgspec.Struct):
    """Metrics of one scope."""

    scope: Scope | None = None
    metrics: list[Metric] | None = None


class ResourceSpans(msgspec.Struct):
    """Spans of one resource."""

    resource: Resource | None = None
    scopeSpans: list[ScopeSpans] | None = None


class ResourceLogs(msgspec.Struct):
    """Log records of one resource."""

    resource: Resource | None = None
    scopeLogs: list[ScopeLogs] | None = None


class ResourceMetrics(msgspec.Struct):
    """Metrics of one resource."""

    resource: Resource | None = None
    scopeMetrics: list[ScopeMetrics] | None = None


class Traces(msgspec.Struct):
    """ExportTraceServiceRequest."""

    resourceSpans: list[ResourceSpans] | None = None

    def given(self) -> bool:
        """Whether it has what a request of this kind must have."""
        return self.resourceSpans is not None

    def _spans(self) -> list[Span]:
        scopes = (scope for resource in self.resourceSpans or () for scope in resource.scopeSpans or ())
        return [span for scope in scopes for span in scope.spans or ()]

    def count(self) -> int:
        """Number of spans."""
        return len(self._spans())

    def without_ids(self, valid: Callable[[Span], bool]) -> int:
        """Number of spans that are not `valid`."""
        return sum(not valid(span) for span in self._spans())


class Logs(msgspec.Struct):
    """ExportLogsServiceRequest."""

    resourceLogs: list[ResourceLogs] | None = None

    def given(self) -> bool:
        """Whether it has what a request of this kind must have."""
        return self.resourceLogs is not None

    def count(self) -> int:
        """Number of log records."""
        scopes = (scope for resource in self.resourceLogs or () for scope in resource.scopeLogs or ())
        return sum(len(scope.logRecords or ()) for scope in scopes)


class Metrics(msgspec.Struct):
    """ExportMetricsServiceRequest."""

    resourceMetrics: list[ResourceMetrics] | None = None

    def given(self) -> bool:
        """Whether it has what a request of this kind must have."""
        return self.resourceMetrics is not None

    def count(self) -> int:
        """Number of data points."""
        scopes = (scope for resource in self.resourceMetrics or () for scope in resource.scopeMetrics or ())
        return sum(metric.count() for scope in scopes for metric in scope.metrics or ())


REQUESTS: Final[dict[str, Any]] = {"traces": Traces, "logs": Logs, "metrics": Metrics}
