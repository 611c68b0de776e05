INSERT INTO stage_logs BY NAME
WITH requests AS (SELECT unnest(resourceLogs) AS r FROM {source}),
     scopes AS (SELECT hash(r.resource) AS raw, unnest(r.scopeLogs) AS s FROM requests),
     logs AS (SELECT raw, s.scope AS scope, unnest(s.logRecords) AS p FROM scopes),
     typed AS (
        SELECT raw, scope.name AS scope_name, scope.version AS scope_version, p.timeUnixNano AS at_text,
            p.observedTimeUnixNano AS observed_text, TRY_CAST(p.timeUnixNano AS BIGINT) AS own_ns,
            TRY_CAST(p.observedTimeUnixNano AS BIGINT) AS observed_ns, severity_of(p.severityNumber) AS severity_number,
            nullif(p.severityText, '') AS severity_text, any_text(p.body) AS body, any_type(p.body) AS body_type,
            hex_trace(p.traceId) AS trace_id, hex_id(p.spanId) AS span_id, TRY_CAST(p.flags AS BIGINT) AS flags,
            nullif(p.eventName, '') AS event_name,
            keys_in(p.attributes) AS keys, vals_in(p.attributes) AS vals, types_in(p.attributes) AS types,
            nullif(TRY_CAST(p.droppedAttributesCount AS BIGINT), 0) AS dropped_attributes
        FROM logs)
SELECT * EXCLUDE (at_text, observed_text, own_ns), coalesce(nullif(own_ns, 0), observed_ns, own_ns) AS at_ns, hash(keys) AS shape,
    is_odd(at_text, own_ns) OR is_odd(observed_text, observed_ns) AS odd
FROM typed;
