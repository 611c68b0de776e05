INSERT INTO stage_logs BY NAME
WITH requests AS (SELECT unnest(resourceLogs) AS r FROM {source}),
     scopes AS (SELECT hash(r.resource) AS raw, unnest(r.scopeLogs) AS s FROM requests),
     logs AS (SELECT raw, s.scope AS scope, unnest(s.logRecords) AS p FROM scopes),
     typed AS (
        SELECT raw, nullif(scope.name, '') AS scope_name,
            nullif(scope.version, '') AS scope_version, p.timeUnixNano::VARCHAR AS at_text,
            p.observedTimeUnixNano::VARCHAR AS observed_text, TRY_CAST(p.timeUnixNano AS BIGINT) AS own_ns,
            nullif(TRY_CAST(p.observedTimeUnixNano AS BIGINT), 0) AS observed_ns, nullif(json_severity(p.severityNumber), 0) AS severity_number,
            nullif(p.severityText, '') AS severity_text, json_text(p.body) AS body, json_type(p.body) AS body_type,
            json_trace(p.traceId) AS trace_id, json_id(p.spanId) AS span_id, nullif(TRY_CAST(p.flags AS BIGINT), 0) AS flags,
            nullif(p.eventName, '') AS event_name,
            json_keys(p.attributes) AS keys, json_vals(p.attributes) AS vals, json_types(p.attributes) AS types,
            nullif(TRY_CAST(p.droppedAttributesCount AS BIGINT), 0) AS dropped_attributes
        FROM logs)
SELECT * EXCLUDE (at_text, observed_text, own_ns), coalesce(nullif(own_ns, 0), observed_ns, own_ns) AS at_ns, hash(keys) AS shape,
    is_odd(at_text, own_ns) OR is_odd(nullif(observed_text, '0'), observed_ns) AS odd
FROM typed;
