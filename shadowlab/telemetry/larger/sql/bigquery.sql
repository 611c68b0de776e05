-- The layout of `shadowlab export --parquet`, loaded or as external tables: a Parquet map is a record `key_value`
-- of repeated `key` and `value` there.
-- table: spans
SELECT trace_id, span_id, parent_span_id, trace_state, service, name, kind, start_ns, duration_ns, status,
    status_message, service_version, scope_name, scope_version,
    TO_JSON_STRING((SELECT JSON_OBJECT(ARRAY_AGG(e.key), ARRAY_AGG(e.value)) FROM UNNEST(attributes.key_value) AS e)) AS attributes,
    TO_JSON_STRING((SELECT JSON_OBJECT(ARRAY_AGG(e.key), ARRAY_AGG(e.value)) FROM UNNEST(resource_attributes.key_value) AS e))
        AS resource_attributes
FROM {database}spans WHERE {where_spans}
-- table: events
SELECT trace_id, span_id, at_ns, name,
    TO_JSON_STRING((SELECT JSON_OBJECT(ARRAY_AGG(e.key), ARRAY_AGG(e.value)) FROM UNNEST(attributes.key_value) AS e)) AS attributes
FROM {database}events WHERE {where_events}
-- table: links
SELECT trace_id, span_id, linked_trace_id, linked_span_id, trace_state,
    TO_JSON_STRING((SELECT JSON_OBJECT(ARRAY_AGG(e.key), ARRAY_AGG(e.value)) FROM UNNEST(attributes.key_value) AS e)) AS attributes
FROM {database}links WHERE {where_links}
-- table: errors
SELECT trace_id, span_id, service, span_name AS operation, at_ns, exception_type, exception_message, stack, service_version
FROM {database}events WHERE name = 'exception' AND {where_events}
UNION ALL
SELECT trace_id, span_id, service, name, start_ns + duration_ns, error_type, status_message, NULL, service_version
FROM {database}spans WHERE status = 'error' AND exceptions = 0 AND {where_spans}
-- table: requests
SELECT trace_id, span_id, service, name AS operation, start_ns, start_ns + COALESCE(duration_ns, 0) AS at_ns,
    status = 'error' OR COALESCE(http_response_status_code >= 500, FALSE) AS bad,
    LEAST(1e6, COALESCE(
        1 / NULLIF(1 - CAST(CONCAT('0x', RPAD(REGEXP_EXTRACT(trace_state, r'\bth:([0-9a-f]{1,14})\b'), 14, '0')) AS INT64)
            / 72057594037927936, 0),
        (SELECT CASE WHEN p > 0 AND p <= 1 THEN 1 / p END
            FROM (SELECT SAFE_CAST(ANY_VALUE(e.value) AS FLOAT64) AS p FROM UNNEST(attributes.key_value) AS e
                WHERE e.key = 'sampling.probability')), 1)) AS weight
FROM {database}spans
WHERE (kind IN ('server', 'consumer') OR COALESCE(parent_span_id, '') = '') AND {where_spans}
-- table: hops
SELECT trace_id, span_id, parent_span_id, service, name, kind, start_ns, start_ns + duration_ns AS end_ns, status,
    LEAST(1e6, COALESCE(
        1 / NULLIF(1 - CAST(CONCAT('0x', RPAD(REGEXP_EXTRACT(trace_state, r'\bth:([0-9a-f]{1,14})\b'), 14, '0')) AS INT64)
            / 72057594037927936, 0),
        (SELECT CASE WHEN p > 0 AND p <= 1 THEN 1 / p END
            FROM (SELECT SAFE_CAST(ANY_VALUE(e.value) AS FLOAT64) AS p FROM UNNEST(attributes.key_value) AS e
                WHERE e.key = 'sampling.probability')), 1)) AS weight
FROM {database}spans WHERE {where_spans}
-- table: span_attributes
SELECT trace_id, span_id, service, name, start_ns, status, e.key AS attribute, e.value AS value
FROM {database}spans, UNNEST(attributes.key_value) AS e WHERE {where_spans}
UNION ALL
SELECT trace_id, span_id, service, name, start_ns, status, CONCAT('resource.', e.key), e.value
FROM {database}spans, UNNEST(resource_attributes.key_value) AS e WHERE {where_spans}
-- table: logs
SELECT trace_id, span_id, service, at_ns, severity_number, severity_text, body,
    TO_JSON_STRING((SELECT JSON_OBJECT(ARRAY_AGG(e.key), ARRAY_AGG(e.value)) FROM UNNEST(attributes.key_value) AS e)) AS attributes,
    TO_JSON_STRING((SELECT JSON_OBJECT(ARRAY_AGG(e.key), ARRAY_AGG(e.value)) FROM UNNEST(resource_attributes.key_value) AS e))
        AS resource_attributes
FROM {database}logs WHERE {where_logs}
-- table: metric_points
SELECT service, name, kind, unit, start_ns, at_ns, value, count, sum,
    TO_JSON_STRING(ARRAY(SELECT e.element FROM UNNEST(bucket_counts.list) AS e)) AS bucket_counts,
    TO_JSON_STRING(ARRAY(SELECT e.element FROM UNNEST(explicit_bounds.list) AS e)) AS explicit_bounds,
    CASE temporality WHEN 'delta' THEN 1 WHEN 'cumulative' THEN 2 END AS temporality, monotonic,
    TO_JSON_STRING((SELECT JSON_OBJECT(ARRAY_AGG(e.key), ARRAY_AGG(e.value)) FROM UNNEST(attributes.key_value) AS e)) AS attributes,
    TO_JSON_STRING((SELECT JSON_OBJECT(ARRAY_AGG(e.key), ARRAY_AGG(e.value)) FROM UNNEST(resource_attributes.key_value) AS e))
        AS resource_attributes
FROM {database}metric_points WHERE kind IN ('gauge', 'sum', 'histogram') AND {where_metrics}
