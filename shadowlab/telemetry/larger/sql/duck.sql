-- A case's own views, and Parquet in the layout that `shadowlab export --parquet` writes: `docs/schema.md`'s tables.
-- table: spans
SELECT trace_id, span_id, parent_span_id, trace_state, service, name, kind, start_ns, duration_ns, status,
    status_message, service_version, scope_name, scope_version, to_json(attributes)::VARCHAR AS attributes,
    to_json(resource_attributes)::VARCHAR AS resource_attributes
FROM main.spans WHERE {where_spans}
-- table: events
SELECT trace_id, span_id, at_ns, name, to_json(attributes)::VARCHAR AS attributes FROM main.events WHERE {where_events}
-- table: links
SELECT trace_id, span_id, linked_trace_id, linked_span_id, trace_state, to_json(attributes)::VARCHAR AS attributes
FROM main.links WHERE {where_links}
-- table: errors
SELECT trace_id, span_id, service, span_name AS operation, at_ns, exception_type, exception_message, stack, service_version
FROM main.events WHERE name = 'exception' AND {where_events}
UNION ALL
SELECT trace_id, span_id, service, name, start_ns + duration_ns, error_type, status_message, NULL, service_version
FROM main.spans WHERE status = 'error' AND exceptions = 0 AND {where_spans}
-- table: requests
SELECT trace_id, span_id, service, name AS operation, start_ns, start_ns + coalesce(duration_ns, 0) AS at_ns,
    {failed} AS bad, {weight} AS weight
FROM main.spans WHERE {entry} AND {where_spans}
-- table: hops
SELECT trace_id, span_id, parent_span_id, service, name, kind, start_ns, start_ns + duration_ns AS end_ns, status,
    {weight} AS weight
FROM main.spans WHERE {where_spans}
-- table: span_attributes
SELECT trace_id, span_id, service, name, start_ns, status, told.attribute, told.value FROM (
    SELECT trace_id, span_id, service, name, start_ns, status, unnest(list_concat(
        list_transform(map_entries(attributes), lambda e: {'attribute': e.key, 'value': e.value}),
        list_transform(map_entries(resource_attributes), lambda e: {'attribute': 'resource.' || e.key, 'value': e.value})
    )) AS told FROM main.spans WHERE {where_spans})
-- table: logs
SELECT trace_id, span_id, service, at_ns, severity_number, severity_text, body,
    to_json(attributes)::VARCHAR AS attributes, to_json(resource_attributes)::VARCHAR AS resource_attributes
FROM main.logs WHERE {where_logs}
-- table: metric_points
SELECT service, name, kind, unit, start_ns, at_ns, value, count, sum, to_json(bucket_counts)::VARCHAR AS bucket_counts,
    to_json(explicit_bounds)::VARCHAR AS explicit_bounds,
    CASE temporality WHEN 'delta' THEN 1 WHEN 'cumulative' THEN 2 END AS temporality, monotonic,
    to_json(attributes)::VARCHAR AS attributes, to_json(resource_attributes)::VARCHAR AS resource_attributes
FROM main.metric_points WHERE kind IN ('gauge', 'sum', 'histogram') AND {where_metrics}
