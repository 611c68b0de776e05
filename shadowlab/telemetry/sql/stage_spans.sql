INSERT INTO stage_spans BY NAME
WITH requests AS (SELECT unnest(resourceSpans) AS r FROM {source}),
     scopes AS (SELECT hash(r.resource) AS raw, unnest(r.scopeSpans) AS s FROM requests),
     spans AS (SELECT raw, s.scope AS scope, unnest(s.spans) AS p FROM scopes),
     typed AS (
        SELECT raw, scope.name AS scope_name, scope.version AS scope_version,
            hex_id(p.traceId) AS trace_id, hex_id(p.spanId) AS span_id, hex_id(p.parentSpanId) AS parent_span_id,
            p.traceState AS trace_state, TRY_CAST(p.flags AS BIGINT) AS flags,
            redacted_text(coalesce(p.name, '')) AS name, span_kind(p.kind) AS kind,
            TRY_CAST(p.startTimeUnixNano AS BIGINT) AS start_ns, TRY_CAST(p.endTimeUnixNano AS BIGINT) AS end_ns,
            span_status(p.status.code) AS status, redacted_text(p.status.message) AS status_message,
            attributes_of(p.attributes) AS attributes,
            list_transform(p.events, lambda e: {'at_ns': TRY_CAST(e.timeUnixNano AS BIGINT), 'name': e.name,
                'attributes': attributes_of(e.attributes),
                'dropped': TRY_CAST(e.droppedAttributesCount AS BIGINT)}) AS events,
            list_transform(p.links, lambda l: {'trace_id': hex_id(l.traceId), 'span_id': hex_id(l.spanId),
                'trace_state': l.traceState, 'flags': TRY_CAST(l.flags AS BIGINT),
                'attributes': attributes_of(l.attributes),
                'dropped': TRY_CAST(l.droppedAttributesCount AS BIGINT)}) AS links,
            TRY_CAST(p.droppedAttributesCount AS BIGINT) AS dropped_attributes,
            TRY_CAST(p.droppedEventsCount AS BIGINT) AS dropped_events,
            TRY_CAST(p.droppedLinksCount AS BIGINT) AS dropped_links
        FROM spans)
SELECT *, hash(*COLUMNS(* EXCLUDE (raw))) AS content FROM typed;
