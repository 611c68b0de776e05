-- The tables that the OpenTelemetry collector's ClickHouse exporter makes. Its attributes are texts.
-- table: spans
SELECT TraceId AS trace_id, SpanId AS span_id, nullIf(ParentSpanId, '') AS parent_span_id,
    nullIf(TraceState, '') AS trace_state, toString(ServiceName) AS service, toString(SpanName) AS name,
    lower(replaceOne(toString(SpanKind), 'SPAN_KIND_', '')) AS kind, toUnixTimestamp64Nano(Timestamp) AS start_ns,
    toInt64(Duration) AS duration_ns, lower(replaceOne(toString(StatusCode), 'STATUS_CODE_', '')) AS status,
    nullIf(StatusMessage, '') AS status_message, nullIf(ResourceAttributes['service.version'], '') AS service_version,
    nullIf(ScopeName, '') AS scope_name, nullIf(ScopeVersion, '') AS scope_version,
    toJSONString(SpanAttributes) AS attributes, toJSONString(ResourceAttributes) AS resource_attributes
FROM {database}otel_traces WHERE {where_spans}
-- table: events
SELECT TraceId AS trace_id, SpanId AS span_id, toUnixTimestamp64Nano(EventTime) AS at_ns, toString(EventName) AS name,
    toJSONString(EventAttributes) AS attributes
FROM {database}otel_traces
ARRAY JOIN Events.Timestamp AS EventTime, Events.Name AS EventName, Events.Attributes AS EventAttributes
WHERE {where_events}
-- table: links
SELECT otel_traces.TraceId AS trace_id, otel_traces.SpanId AS span_id, LinkTrace AS linked_trace_id,
    LinkSpan AS linked_span_id, nullIf(LinkState, '') AS trace_state, toJSONString(LinkAttributes) AS attributes
FROM {database}otel_traces
ARRAY JOIN Links.TraceId AS LinkTrace, Links.SpanId AS LinkSpan, Links.TraceState AS LinkState,
    Links.Attributes AS LinkAttributes
WHERE {where_spans}
-- table: errors
SELECT TraceId AS trace_id, SpanId AS span_id, toString(ServiceName) AS service, toString(SpanName) AS operation,
    toUnixTimestamp64Nano(EventTime) AS at_ns,
    nullIf(toString(EventAttributes['exception.type']), '') AS exception_type,
    nullIf(EventAttributes['exception.message'], '') AS exception_message,
    nullIf(EventAttributes['exception.stacktrace'], '') AS stack,
    nullIf(ResourceAttributes['service.version'], '') AS service_version
FROM {database}otel_traces
ARRAY JOIN Events.Timestamp AS EventTime, Events.Name AS EventName, Events.Attributes AS EventAttributes
WHERE EventName = 'exception' AND {where_events}
UNION ALL
SELECT TraceId, SpanId, toString(ServiceName), toString(SpanName), toUnixTimestamp64Nano(Timestamp) + toInt64(Duration),
    nullIf(SpanAttributes['error.type'], ''), nullIf(StatusMessage, ''), NULL,
    nullIf(ResourceAttributes['service.version'], '')
FROM {database}otel_traces
WHERE StatusCode IN ('Error', 'STATUS_CODE_ERROR') AND NOT has(Events.Name, 'exception') AND {where_spans}
-- table: requests
SELECT TraceId AS trace_id, SpanId AS span_id, toString(ServiceName) AS service, toString(SpanName) AS operation,
    toUnixTimestamp64Nano(Timestamp) AS start_ns, toUnixTimestamp64Nano(Timestamp) + toInt64(Duration) AS at_ns,
    StatusCode IN ('Error', 'STATUS_CODE_ERROR') OR toInt32OrZero(coalesce(
        nullIf(SpanAttributes['http.response.status_code'], ''), SpanAttributes['http.status_code'])) >= 500 AS bad,
    least(1e6, coalesce(
        1 / nullIf(1 - reinterpretAsUInt64(reverse(unhex(
            rpad(nullIf(extract(TraceState, '\\bth:([0-9a-f]{1,14})\\b'), ''), 14, '0')))) / 72057594037927936, 0),
        CASE WHEN toFloat64OrNull(SpanAttributes['sampling.probability']) > 0
            AND toFloat64OrNull(SpanAttributes['sampling.probability']) <= 1
            THEN 1 / toFloat64OrNull(SpanAttributes['sampling.probability']) END, 1)) AS weight
FROM {database}otel_traces
WHERE (SpanKind IN ('Server', 'SPAN_KIND_SERVER', 'Consumer', 'SPAN_KIND_CONSUMER') OR ParentSpanId = '')
    AND {where_spans}
-- table: hops
SELECT TraceId AS trace_id, SpanId AS span_id, nullIf(ParentSpanId, '') AS parent_span_id,
    toString(ServiceName) AS service, toString(SpanName) AS name,
    lower(replaceOne(toString(SpanKind), 'SPAN_KIND_', '')) AS kind, toUnixTimestamp64Nano(Timestamp) AS start_ns,
    toUnixTimestamp64Nano(Timestamp) + toInt64(Duration) AS end_ns,
    lower(replaceOne(toString(StatusCode), 'STATUS_CODE_', '')) AS status,
    least(1e6, coalesce(
        1 / nullIf(1 - reinterpretAsUInt64(reverse(unhex(
            rpad(nullIf(extract(TraceState, '\\bth:([0-9a-f]{1,14})\\b'), ''), 14, '0')))) / 72057594037927936, 0),
        CASE WHEN toFloat64OrNull(SpanAttributes['sampling.probability']) > 0
            AND toFloat64OrNull(SpanAttributes['sampling.probability']) <= 1
            THEN 1 / toFloat64OrNull(SpanAttributes['sampling.probability']) END, 1)) AS weight
FROM {database}otel_traces WHERE {where_spans}
-- table: span_attributes
SELECT TraceId AS trace_id, SpanId AS span_id, toString(ServiceName) AS service, toString(SpanName) AS name,
    toUnixTimestamp64Nano(Timestamp) AS start_ns,
    lower(replaceOne(toString(StatusCode), 'STATUS_CODE_', '')) AS status, Told.1 AS attribute, Told.2 AS value
FROM {database}otel_traces
ARRAY JOIN arrayConcat(
    arrayZip(arrayMap(k -> toString(k), mapKeys(SpanAttributes)), mapValues(SpanAttributes)),
    arrayZip(arrayMap(k -> concat('resource.', toString(k)), mapKeys(ResourceAttributes)), mapValues(ResourceAttributes))
) AS Told
WHERE {where_spans}
-- table: logs
SELECT nullIf(TraceId, '') AS trace_id, nullIf(SpanId, '') AS span_id, toString(ServiceName) AS service,
    toUnixTimestamp64Nano(Timestamp) AS at_ns, toInt32(SeverityNumber) AS severity_number,
    nullIf(toString(SeverityText), '') AS severity_text, Body AS body, toJSONString(LogAttributes) AS attributes,
    toJSONString(ResourceAttributes) AS resource_attributes
FROM {database}otel_logs WHERE {where_logs}
-- table: metric_points
SELECT toString(ServiceName) AS service, MetricName AS name, 'gauge' AS kind, nullIf(MetricUnit, '') AS unit,
    toUnixTimestamp64Nano(StartTimeUnix) AS start_ns, toUnixTimestamp64Nano(TimeUnix) AS at_ns,
    CAST(Value AS Nullable(Float64)) AS value, CAST(NULL AS Nullable(Int64)) AS count,
    CAST(NULL AS Nullable(Float64)) AS sum, CAST(NULL AS Nullable(String)) AS bucket_counts,
    CAST(NULL AS Nullable(String)) AS explicit_bounds, CAST(NULL AS Nullable(Int32)) AS temporality,
    CAST(NULL AS Nullable(Bool)) AS monotonic, toJSONString(Attributes) AS attributes,
    toJSONString(ResourceAttributes) AS resource_attributes
FROM {database}otel_metrics_gauge WHERE {where_metrics}
UNION ALL
SELECT toString(ServiceName), MetricName, 'sum', nullIf(MetricUnit, ''), toUnixTimestamp64Nano(StartTimeUnix),
    toUnixTimestamp64Nano(TimeUnix), Value, NULL, NULL, NULL, NULL, toInt32(AggregationTemporality), IsMonotonic,
    toJSONString(Attributes), toJSONString(ResourceAttributes)
FROM {database}otel_metrics_sum WHERE {where_metrics}
UNION ALL
SELECT toString(ServiceName), MetricName, 'histogram', nullIf(MetricUnit, ''), toUnixTimestamp64Nano(StartTimeUnix),
    toUnixTimestamp64Nano(TimeUnix), NULL, toInt64(Count), Sum, toJSONString(BucketCounts), toJSONString(ExplicitBounds),
    toInt32(AggregationTemporality), NULL, toJSONString(Attributes), toJSONString(ResourceAttributes)
FROM {database}otel_metrics_histogram WHERE {where_metrics}
