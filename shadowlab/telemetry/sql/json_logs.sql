INSERT INTO stage_logs BY NAME
-- As in `json_spans.sql`: what holds an empty list has an odd row, a resource by the first record of each scope.
WITH requests AS (SELECT {strange} AS strange, unnest(resourceLogs) AS r, unnest([0]) FROM {source}),
     blocks AS (SELECT strange, r.resource AS resource, r.schemaUrl AS url, hash(r.resource, r.schemaUrl) AS raw,
                       unnest(r.scopeLogs) AS s, unnest([0]) FROM requests),
     hashed AS (SELECT strange, scoped(raw, s.scope, s.schemaUrl) AS raw, resource, url, s FROM blocks),
     scopes AS (
        SELECT strange, raw, CASE WHEN NOT is_known(raw) THEN list_concat(of_resource(json_pairs(resource.attributes), resource, url),
                of_scope(json_pairs(s.scope.attributes), s.scope, s.schemaUrl)) END AS resource,
            nullif(s.scope.name, '') AS scope_name, nullif(s.scope.version, '') AS scope_version, s.logRecords AS listed
        FROM hashed),
     logs AS (SELECT strange, raw, resource, scope_name, scope_version, generate_subscripts(listed, 1) AS nth,
                     unnest(listed) AS p, unnest([0]) FROM scopes),
     typed AS (
        SELECT strange OR p IS NULL AS strange, raw,
            CASE WHEN nth = 1 THEN resource END AS resource, scope_name, scope_version,
            json_no_count(p.timeUnixNano) OR json_no_count(p.observedTimeUnixNano) AS odd_time,
            TRY_CAST(json_given(p.timeUnixNano) AS BIGINT) AS own_ns,
            nullif(TRY_CAST(p.observedTimeUnixNano AS BIGINT), 0) AS observed_ns, nullif(json_severity(p.severityNumber), 0) AS severity_number,
            nullif(p.severityText, '') AS severity_text, json_text(p.body) AS body, json_type(p.body) AS body_type,
            json_trace(p.traceId) AS trace_id, json_id(p.spanId) AS span_id, nullif(TRY_CAST(p.flags AS BIGINT), 0) AS flags,
            nullif(p.eventName, '') AS event_name,
            p.attributes AS attributes, json_shape(p.attributes) AS shape, json_vals(p.attributes) AS vals,
            nullif(TRY_CAST(p.droppedAttributesCount AS BIGINT), 0) AS dropped_attributes
        FROM logs {only})
SELECT * EXCLUDE (strange, odd_time, own_ns, attributes), coalesce(nullif(own_ns, 0), observed_ns, own_ns) AS at_ns,
    CASE WHEN NOT is_known_shape(shape) THEN json_keys(attributes) END AS keys,
    CASE WHEN NOT is_known_shape(shape) THEN json_types(attributes) END AS types, strange OR odd_time AS odd
FROM typed;
