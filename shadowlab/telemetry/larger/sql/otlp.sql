-- Pulled tables back to OTLP/JSON: one line a resource and scope, attributes as texts.
CREATE MACRO told(attributes) AS list_transform(
    map_entries(coalesce(attributes, '{}')::JSON::MAP(VARCHAR, VARCHAR)),
    lambda e: {'key': e.key, 'value': {'stringValue': e.value}});

CREATE VIEW told_events AS
SELECT trace_id, span_id, list({'timeUnixNano': at_ns::VARCHAR, 'name': name, 'attributes': told(attributes)} ORDER BY at_ns, name) AS events
FROM events GROUP BY ALL;

CREATE VIEW told_links AS
SELECT trace_id, span_id, list({'traceId': linked_trace_id, 'spanId': linked_span_id, 'traceState': trace_state,
    'attributes': told(attributes)} ORDER BY linked_trace_id, linked_span_id) AS links
FROM links GROUP BY ALL;

CREATE VIEW otlp_spans AS
SELECT [{'resource': {'attributes': told(resource_attributes)},
    'scopeSpans': [{'scope': {'name': scope_name, 'version': scope_version}, 'spans': spans}]}] AS "resourceSpans"
FROM (
    SELECT s.resource_attributes, s.scope_name, s.scope_version, list({
        'traceId': s.trace_id, 'spanId': s.span_id, 'parentSpanId': s.parent_span_id, 'traceState': s.trace_state,
        'name': s.name, 'kind': list_position(['internal', 'server', 'client', 'producer', 'consumer'], s.kind),
        'startTimeUnixNano': s.start_ns::VARCHAR, 'endTimeUnixNano': (s.start_ns + s.duration_ns)::VARCHAR,
        'attributes': told(s.attributes), 'events': e.events, 'links': l.links,
        'status': {'code': CASE s.status WHEN 'ok' THEN 1 WHEN 'error' THEN 2 ELSE 0 END, 'message': s.status_message}
    } ORDER BY s.start_ns, s.span_id) AS spans
    FROM spans s
    LEFT JOIN told_events e ON e.trace_id = s.trace_id AND e.span_id = s.span_id
    LEFT JOIN told_links l ON l.trace_id = s.trace_id AND l.span_id = s.span_id
    GROUP BY s.resource_attributes, s.scope_name, s.scope_version, s.start_ns // 10_000_000_000);

CREATE VIEW otlp_logs AS
SELECT [{'resource': {'attributes': told(resource_attributes)}, 'scopeLogs': [{'logRecords': records}]}] AS "resourceLogs"
FROM (
    SELECT resource_attributes, list({
        'timeUnixNano': at_ns::VARCHAR, 'severityNumber': severity_number, 'severityText': severity_text,
        'body': {'stringValue': body}, 'attributes': told(attributes), 'traceId': trace_id, 'spanId': span_id
    } ORDER BY at_ns, body) AS records
    FROM logs GROUP BY resource_attributes, at_ns // 10_000_000_000);

CREATE VIEW points AS
SELECT *, {'startTimeUnixNano': start_ns::VARCHAR, 'timeUnixNano': at_ns::VARCHAR, 'asDouble': value,
    'attributes': told(attributes)} AS number_point,
    {'startTimeUnixNano': start_ns::VARCHAR, 'timeUnixNano': at_ns::VARCHAR, 'count': count::VARCHAR, 'sum': sum,
    'bucketCounts': bucket_counts::JSON, 'explicitBounds': explicit_bounds::JSON, 'attributes': told(attributes)} AS histogram_point
FROM metric_points;

CREATE VIEW otlp_metric_points AS
SELECT [{'resource': {'attributes': told(resource_attributes)}, 'scopeMetrics': [{'metrics': [
    CASE kind
        WHEN 'gauge' THEN {'name': name, 'unit': unit, 'gauge': {'dataPoints': numbers}}::JSON
        WHEN 'sum' THEN {'name': name, 'unit': unit, 'sum': {'dataPoints': numbers,
            'aggregationTemporality': temporality, 'isMonotonic': monotonic}}::JSON
        ELSE {'name': name, 'unit': unit, 'histogram': {'dataPoints': histograms,
            'aggregationTemporality': temporality}}::JSON
    END]}]}] AS "resourceMetrics"
FROM (
    SELECT resource_attributes, name, kind, unit, temporality, monotonic,
        list(number_point ORDER BY at_ns) AS numbers, list(histogram_point ORDER BY at_ns) AS histograms
    FROM points GROUP BY ALL);
