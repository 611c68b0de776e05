INSERT INTO stage_logs BY NAME
WITH requests AS (SELECT unnest(resourceLogs) AS r FROM {source}),
     scopes AS (SELECT hash(r.resource) AS raw, unnest(r.scopeLogs) AS s FROM requests),
     logs AS (SELECT raw, s.scope AS scope, unnest(s.logRecords) AS p FROM scopes),
     typed AS (
        SELECT raw, scope.name AS scope_name, scope.version AS scope_version,
            coalesce(nullif(TRY_CAST(p.timeUnixNano AS BIGINT), 0),
                     TRY_CAST(p.observedTimeUnixNano AS BIGINT)) AS at_ns,
            TRY_CAST(p.observedTimeUnixNano AS BIGINT) AS observed_ns,
            severity_of(p.severityNumber) AS severity_number, p.severityText AS severity_text,
            redacted_text(any_text(p.body)) AS body, any_type(p.body) AS body_type,
            hex_id(p.traceId) AS trace_id, hex_id(p.spanId) AS span_id, TRY_CAST(p.flags AS BIGINT) AS flags,
            p.eventName AS event_name, attributes_of(p.attributes) AS attributes,
            TRY_CAST(p.droppedAttributesCount AS BIGINT) AS dropped_attributes
        FROM logs)
SELECT *, hash(*COLUMNS(* EXCLUDE (raw))) AS content FROM typed;
