INSERT INTO stage_spans BY NAME
-- `unnest([0])` beside a list keeps what holds an empty one: its row is odd, so that nothing is passed over unseen.
-- A resource that is not known yet is carried by the first span of each scope alone.
WITH requests AS (SELECT {strange} AS strange, unnest(resourceSpans) AS r, unnest([0]) FROM {source}),
     blocks AS (SELECT strange, r.resource AS resource, r.schemaUrl AS url, hash(r.resource, r.schemaUrl) AS raw,
                       unnest(r.scopeSpans) AS s, unnest([0]) FROM requests),
     hashed AS (SELECT strange, scoped(raw, s.scope, s.schemaUrl) AS raw, resource, url, s FROM blocks),
     scopes AS (
        SELECT strange, raw, CASE WHEN NOT is_known(raw) THEN list_concat(of_resource(json_pairs(resource.attributes), resource, url),
                of_scope(json_pairs(s.scope.attributes), s.scope, s.schemaUrl)) END AS resource,
            nullif(s.scope.name, '') AS scope_name, nullif(s.scope.version, '') AS scope_version, s.spans AS listed
        FROM hashed),
     spans AS (SELECT strange, raw, resource, scope_name, scope_version, generate_subscripts(listed, 1) AS nth,
                      unnest(listed) AS p, unnest([0]) FROM scopes),
     typed AS (
        SELECT strange, raw, CASE WHEN nth = 1 THEN resource END AS resource, scope_name, scope_version,
            json_trace(p.traceId) AS trace_id, json_id(p.spanId) AS span_id, json_id(p.parentSpanId) AS parent_span_id,
            nullif(p.traceState, '') AS trace_state, nullif(TRY_CAST(p.flags AS BIGINT), 0) AS flags, coalesce(p.name, '') AS name,
            json_kind(p.kind) AS kind,
            TRY_CAST(json_given(p.startTimeUnixNano) AS BIGINT) AS start_ns, TRY_CAST(json_given(p.endTimeUnixNano) AS BIGINT) AS end_ns,
            json_no_count(p.startTimeUnixNano) OR json_no_count(p.endTimeUnixNano)
                OR coalesce(len(list_filter(p.events, lambda e: json_no_count(e.timeUnixNano))) > 0, false) AS odd_time,
            json_status(p.status.code) AS status, nullif(p.status.message, '') AS status_message,
            p.attributes AS attributes, json_shape(p.attributes) AS shape, json_vals(p.attributes) AS vals,
            CASE WHEN len(p.events) > 0 THEN list_transform(p.events, lambda e: {
                'at_ns': TRY_CAST(json_given(e.timeUnixNano) AS BIGINT), 'name': coalesce(e.name, ''), 'attributes': json_pairs(e.attributes),
                'dropped': nullif(TRY_CAST(e.droppedAttributesCount AS BIGINT), 0)}) END AS events,
            CASE WHEN len(p.links) > 0 THEN list_transform(p.links, lambda l: {
                'trace_id': json_trace(l.traceId), 'span_id': json_id(l.spanId), 'trace_state': nullif(l.traceState, ''),
                'flags': nullif(TRY_CAST(l.flags AS BIGINT), 0), 'attributes': json_pairs(l.attributes),
                'dropped': nullif(TRY_CAST(l.droppedAttributesCount AS BIGINT), 0)}) END AS links,
            nullif(TRY_CAST(p.droppedAttributesCount AS BIGINT), 0) AS dropped_attributes,
            nullif(TRY_CAST(p.droppedEventsCount AS BIGINT), 0) AS dropped_events,
            nullif(TRY_CAST(p.droppedLinksCount AS BIGINT), 0) AS dropped_links
        FROM spans {only})
SELECT * EXCLUDE (strange, odd_time, attributes), CASE WHEN NOT is_known_shape(shape) THEN json_keys(attributes) END AS keys,
    CASE WHEN NOT is_known_shape(shape) THEN json_types(attributes) END AS types,
    strange OR odd_time OR trace_id IS NULL OR span_id IS NULL AS odd
FROM typed;
