INSERT INTO stage_spans BY NAME
WITH requests AS (SELECT unnest(resourceSpans) AS r FROM {source}),
     scopes AS (SELECT hash(r.resource) AS raw, unnest(r.scopeSpans) AS s FROM requests),
     spans AS (SELECT raw, s.scope AS scope, unnest(s.spans) AS p FROM scopes),
     typed AS (
        SELECT raw, scope.name AS scope_name, scope.version AS scope_version,
            hex_trace(p.traceId) AS trace_id, hex_id(p.spanId) AS span_id, hex_id(p.parentSpanId) AS parent_span_id,
            nullif(p.traceState, '') AS trace_state, TRY_CAST(p.flags AS BIGINT) AS flags, coalesce(p.name, '') AS name,
            span_kind(p.kind) AS kind, p.startTimeUnixNano AS start_text, p.endTimeUnixNano AS end_text,
            TRY_CAST(p.startTimeUnixNano AS BIGINT) AS start_ns, TRY_CAST(p.endTimeUnixNano AS BIGINT) AS end_ns,
            span_status(p.status.code) AS status, nullif(p.status.message, '') AS status_message,
            keys_in(p.attributes) AS keys, vals_in(p.attributes) AS vals, types_in(p.attributes) AS types,
            CASE WHEN len(p.events) > 0 THEN list_transform(p.events, lambda e: {
                'at_ns': TRY_CAST(e.timeUnixNano AS BIGINT), 'name': e.name, 'attributes': pairs_in(e.attributes),
                'dropped': TRY_CAST(e.droppedAttributesCount AS BIGINT)}) END AS events,
            CASE WHEN len(p.links) > 0 THEN list_transform(p.links, lambda l: {
                'trace_id': hex_trace(l.traceId), 'span_id': hex_id(l.spanId), 'trace_state': nullif(l.traceState, ''),
                'flags': TRY_CAST(l.flags AS BIGINT), 'attributes': pairs_in(l.attributes),
                'dropped': TRY_CAST(l.droppedAttributesCount AS BIGINT)}) END AS links,
            nullif(TRY_CAST(p.droppedAttributesCount AS BIGINT), 0) AS dropped_attributes,
            nullif(TRY_CAST(p.droppedEventsCount AS BIGINT), 0) AS dropped_events,
            nullif(TRY_CAST(p.droppedLinksCount AS BIGINT), 0) AS dropped_links
        FROM spans)
SELECT * EXCLUDE (start_text, end_text), hash(keys) AS shape,
    is_odd(start_text, start_ns) OR is_odd(end_text, end_ns) OR trace_id IS NULL OR span_id IS NULL AS odd
FROM typed;
