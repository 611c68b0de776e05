-- Staged spans into the segment: redacted, promoted, compared with what is there, sorted by time.
CREATE OR REPLACE TEMP TABLE ready_spans AS
WITH redacted AS (
    SELECT s.rowid AS pos, o.resource_id, o.resource_ix, trace_id, span_id, parent_span_id, trace_state, flags, o.service,
        {name} AS name, kind, start_ns, end_ns - start_ns AS duration_ns, CASE WHEN start_ns IS NULL THEN end_ns END AS lone_end_ns,
        status, {status_message} AS status_message, {promoted},
        o.service_version, o.service_namespace, o.service_instance_id, o.deployment_environment, o.vcs_ref_head_revision,
        scope_name, scope_version, dropped_attributes, dropped_events, dropped_links,
        coalesce(len(list_filter(events, lambda e: e.name = 'exception')), 0) AS exceptions,
        {map} AS attributes, types AS attribute_types, {events} AS events, {links} AS links, h.hot, s.shape, {extra} AS extra,
        {value_of_flag} AS flag, coalesce({value_of_flag_variant}, {value_of_flag_value}) AS flag_variant
    FROM stage_spans s JOIN span_shapes h ON h.shape = s.shape LEFT JOIN origin o ON o.raw = s.raw)
SELECT * EXCLUDE (flag, flag_variant, shape, extra),
    CASE WHEN flag IS NOT NULL OR events IS NOT NULL THEN flags_of(events, flag, flag_variant) END AS feature_flags,
    hash(resource_id, scope_name, scope_version, trace_id, span_id, parent_span_id, trace_state, flags, name, kind, start_ns,
         duration_ns, lone_end_ns, status, status_message, shape, attributes, attribute_types, extra, events, links,
         dropped_attributes, dropped_events, dropped_links) AS row_id
FROM redacted;

CREATE OR REPLACE TEMP TABLE span_new AS
SELECT min(pos) AS pos FROM ready_spans ANTI JOIN {known} k USING (row_id) GROUP BY row_id;

INSERT INTO segment.spans BY NAME
SELECT * EXCLUDE (pos, resource_id, events, links, hot) FROM ready_spans SEMI JOIN span_new USING (pos)
ORDER BY start_ns, row_id;

INSERT INTO segment.events
WITH listed AS (
    SELECT row_id, trace_id, span_id, service, name AS span_name, service_version, unnest(events) AS e,
           generate_subscripts(events, 1) AS position
    FROM ready_spans SEMI JOIN span_new USING (pos) WHERE events IS NOT NULL),
mapped AS (SELECT *, map_of(e.attributes) AS a FROM listed)
SELECT hash(row_id, position) AS event_id, trace_id, span_id, service, span_name, service_version, e.at_ns AS at_ns, e.name,
    a['exception.type'], a['exception.message'], a['exception.stacktrace'], a, types_of(e.attributes), e.dropped
FROM mapped ORDER BY at_ns, event_id;

INSERT INTO segment.links
WITH listed AS (
    SELECT row_id, trace_id, span_id, unnest(links) AS l, generate_subscripts(links, 1) AS position
    FROM ready_spans SEMI JOIN span_new USING (pos) WHERE links IS NOT NULL)
SELECT hash(row_id, position) AS link_id, trace_id, span_id, l.trace_id, l.span_id, l.trace_state, l.flags,
    map_of(l.attributes), types_of(l.attributes), l.dropped
FROM listed ORDER BY trace_id, link_id;
