"""What an OTLP/JSON request must look like: every field of the right kind, none of them required.

Fields that are not named here are ignored, as the protocol asks. Names are the protocol's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec


class _Shape(msgspec.Struct, omit_defaults=True):
    """Written again, it says what was read of it."""


Text = str | None
Number = int | float | str | None


class AnyValue(_Shape):
    """One of the kinds that an attribute's value has."""

    stringValue: Text = None
    boolValue: bool | str | None = None
    intValue: Number = None
    doubleValue: Number = None
    bytesValue: Text = None
    arrayValue: Listed | None = None
    kvlistValue: Mapped | None = None


class Listed(_Shape):
    """An array."""

    values: list[AnyValue | None] | None = None


class KeyValue(_Shape):
    """One attribute."""

    key: Text = None
    value: AnyValue | None = None


class Mapped(_Shape):
    """A mapping."""

    values: list[KeyValue] | None = None


Attributes = list[KeyValue] | None


class Resource(_Shape):
    """What the records are about."""

    attributes: Attributes = None
    droppedAttributesCount: Number = None


class Scope(_Shape):
    """What made them."""

    name: Text = None
    version: Text = None
    attributes: Attributes = None
    droppedAttributesCount: Number = None


class Event(_Shape):
    """What happened within a span."""

    timeUnixNano: Number = None
    name: Text = None
    attributes: Attributes = None
    droppedAttributesCount: Number = None


class Link(_Shape):
    """Another span that a span points at."""

    traceId: Text = None
    spanId: Text = None
    traceState: Text = None
    flags: Number = None
    attributes: Attributes = None
    droppedAttributesCount: Number = None


class Status(_Shape):
    """How a span ended."""

    message: Text = None
    code: Number = None


class Span(_Shape):
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


class LogRecord(_Shape):
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


class Buckets(_Shape):
    """One half of an exponential histogram."""

    offset: Number = None
    bucketCounts: list[Number] | None = None


class Quantile(_Shape):
    """One value of a summary."""

    quantile: Number = None
    value: Number = None


class Exemplar(_Shape):
    """One measurement behind a point."""

    timeUnixNano: Number = None
    asDouble: Number = None
    asInt: Number = None
    traceId: Text = None
    spanId: Text = None
    filteredAttributes: Attributes = None


class Point(_Shape):
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


class Series(_Shape):
    """The points of a metric."""

    dataPoints: list[Point] | None = None
    aggregationTemporality: Number = None
    isMonotonic: bool | str | None = None


class Metric(_Shape):
    """A metric, with the points of one kind."""

    name: Text = None
    description: Text = None
    unit: Text = None
    metadata: Attributes = None
    gauge: Series | None = None
    sum: Series | None = None
    histogram: Series | None = None
    exponentialHistogram: Series | None = None
    summary: Series | None = None

    def points(self) -> Iterator[list[Point]]:
        """Its points, a list a kind."""
        told = (self.gauge, self.sum, self.histogram, self.exponentialHistogram, self.summary)
        yield from (series.dataPoints for series in told if series and series.dataPoints)


class ScopeSpans(_Shape):
    """Spans of one scope."""

    scope: Scope | None = None
    spans: list[Span] | None = None
    schemaUrl: Text = None


class ScopeLogs(_Shape):
    """Log records of one scope."""

    scope: Scope | None = None
    logRecords: list[LogRecord] | None = None
    schemaUrl: Text = None


class ScopeMetrics(_Shape):
    """Metrics of one scope."""

    scope: Scope | None = None
    metrics: list[Metric] | None = None
    schemaUrl: Text = None


class ResourceSpans(_Shape):
    """Spans of one resource."""

    resource: Resource | None = None
    scopeSpans: list[ScopeSpans] | None = None
    schemaUrl: Text = None


class ResourceLogs(_Shape):
    """Log records of one resource."""

    resource: Resource | None = None
    scopeLogs: list[ScopeLogs] | None = None
    schemaUrl: Text = None


class ResourceMetrics(_Shape):
    """Metrics of one resource."""

    resource: Resource | None = None
    scopeMetrics: list[ScopeMetrics] | None = None
    schemaUrl: Text = None


class Traces(_Shape):
    """ExportTraceServiceRequest."""

    resourceSpans: list[ResourceSpans] | None = None

    def given(self) -> bool:
        """Whether it has what a request of this kind must have."""
        return self.resourceSpans is not None

    def spans(self) -> Iterator[list[Span]]:
        """Spans, a list a scope."""
        scopes = (scope for resource in self.resourceSpans or () for scope in resource.scopeSpans or ())
        yield from (scope.spans for scope in scopes if scope.spans)


class Logs(_Shape):
    """ExportLogsServiceRequest."""

    resourceLogs: list[ResourceLogs] | None = None

    def given(self) -> bool:
        """Whether it has what a request of this kind must have."""
        return self.resourceLogs is not None

    def logs(self) -> Iterator[list[LogRecord]]:
        """Log records, a list a scope."""
        scopes = (scope for resource in self.resourceLogs or () for scope in resource.scopeLogs or ())
        yield from (scope.logRecords for scope in scopes if scope.logRecords)


class Metrics(_Shape):
    """ExportMetricsServiceRequest."""

    resourceMetrics: list[ResourceMetrics] | None = None

    def given(self) -> bool:
        """Whether it has what a request of this kind must have."""
        return self.resourceMetrics is not None

    def metrics(self) -> Iterator[Metric]:
        """All metrics."""
        scopes = (scope for resource in self.resourceMetrics or () for scope in resource.scopeMetrics or ())
        yield from (metric for scope in scopes for metric in scope.metrics or ())


REQUESTS: Final[dict[str, Any]] = {"traces": Traces, "logs": Logs, "metrics": Metrics}
