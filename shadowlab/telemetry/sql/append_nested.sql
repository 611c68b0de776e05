-- Events and links of the spans that were appended, each into a table of their own.
CREATE OR REPLACE TEMP TABLE span_nested AS
SELECT row_id, trace_id, span_id, service, name AS span_name, service_version, events, links FROM ({nested});

INSERT INTO segment.events
WITH listed AS (
    SELECT row_id, trace_id, span_id, service, span_name, service_version, unnest(events) AS e,
           generate_subscripts(events, 1) AS position
    FROM span_nested WHERE events IS NOT NULL),
mapped AS (SELECT *, map_of(e.attributes) AS a FROM listed)
SELECT hash(row_id, position) AS event_id, trace_id, span_id, service, span_name, service_version, e.at_ns AS at_ns, e.name,
    a['exception.type'], a['exception.message'], a['exception.stacktrace'], a, types_of(e.attributes), e.dropped
FROM mapped ORDER BY at_ns, event_id;

INSERT INTO segment.links
WITH listed AS (
    SELECT row_id, trace_id, span_id, unnest(links) AS l, generate_subscripts(links, 1) AS position
    FROM span_nested WHERE links IS NOT NULL)
SELECT hash(row_id, position) AS link_id, trace_id, span_id, l.trace_id, l.span_id, l.trace_state, l.flags,
    map_of(l.attributes), types_of(l.attributes), l.dropped
FROM listed ORDER BY trace_id, link_id;
