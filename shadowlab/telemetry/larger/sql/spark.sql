-- The layout of `shadowlab export --parquet`, as tables of a catalog or as views over its files.
-- table: spans
SELECT trace_id, span_id, parent_span_id, trace_state, service, name, kind, start_ns, duration_ns, status,
    status_message, service_version, scope_name, scope_version, to_json(attributes) AS attributes,
    to_json(resource_attributes) AS resource_attributes
FROM {database}spans WHERE {where_spans}
-- table: events
SELECT trace_id, span_id, at_ns, name, to_json(attributes) AS attributes FROM {database}events WHERE {where_events}
-- table: links
SELECT trace_id, span_id, linked_trace_id, linked_span_id, trace_state, to_json(attributes) AS attributes
FROM {database}links WHERE {where_links}
-- table: errors
SELECT trace_id, span_id, service, span_name AS operation, at_ns, exception_type, exception_message, stack, service_version
FROM {database}events WHERE name = 'exception' AND {where_events}
UNION ALL
SELECT trace_id, span_id, service, name, start_ns + duration_ns, error_type, status_message, NULL, service_version
FROM {database}spans WHERE status = 'error' AND exceptions = 0 AND {where_spans}
-- table: requests
SELECT trace_id, span_id, service, name AS operation, start_ns, start_ns + coalesce(duration_ns, 0) AS at_ns,
    status = 'error' OR coalesce(try_cast(http_response_status_code AS int) >= 500, false) AS bad,
    least(1e6, coalesce(
        1 / nullif(1 - cast(conv(rpad(nullif(regexp_extract(trace_state, r'\bth:([0-9a-f]{1,14})\b', 1), ''), 14, '0'), 16, 10)
            AS double) / 72057594037927936, 0),
        CASE WHEN try_cast(attributes['sampling.probability'] AS double) > 0
            AND try_cast(attributes['sampling.probability'] AS double) <= 1
            THEN 1 / try_cast(attributes['sampling.probability'] AS double) END, 1)) AS weight
FROM {database}spans
WHERE (kind IN ('server', 'consumer') OR coalesce(parent_span_id, '') = '') AND {where_spans}
-- table: hops
SELECT trace_id, span_id, parent_span_id, service, name, kind, start_ns, start_ns + duration_ns AS end_ns, status,
    least(1e6, coalesce(
        1 / nullif(1 - cast(conv(rpad(nullif(regexp_extract(trace_state, r'\bth:([0-9a-f]{1,14})\b', 1), ''), 14, '0'), 16, 10)
            AS double) / 72057594037927936, 0),
        CASE WHEN try_cast(attributes['sampling.probability'] AS double) > 0
            AND try_cast(attributes['sampling.probability'] AS double) <= 1
            THEN 1 / try_cast(attributes['sampling.probability'] AS double) END, 1)) AS weight
FROM {database}spans WHERE {where_spans}
-- table: span_attributes
SELECT trace_id, span_id, service, name, start_ns, status, told.attribute, told.value FROM (
    SELECT trace_id, span_id, service, name, start_ns, status, explode(concat(
        transform(map_entries(attributes), e -> struct(e.key AS attribute, e.value AS value)),
        transform(map_entries(resource_attributes), e -> struct(concat('resource.', e.key) AS attribute, e.value AS value))
    )) AS told FROM {database}spans WHERE {where_spans})
-- table: logs
SELECT trace_id, span_id, service, at_ns, severity_number, severity_text, body,
    to_json(attributes) AS attributes, to_json(resource_attributes) AS resource_attributes
FROM {database}logs WHERE {where_logs}
-- table: metric_points
SELECT service, name, kind, unit, start_ns, at_ns, value, count, sum, to_json(bucket_counts) AS bucket_counts,
    to_json(explicit_bounds) AS explicit_bounds,
    CASE temporality WHEN 'delta' THEN 1 WHEN 'cumulative' THEN 2 END AS temporality, monotonic,
    to_json(attributes) AS attributes, to_json(resource_attributes) AS resource_attributes
FROM {database}metric_points WHERE kind IN ('gauge', 'sum', 'histogram') AND {where_metrics}
