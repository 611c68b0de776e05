-- Once a segment is filled: what trace lookup, the service map and the list of deploys read instead of every span.
-- Of roots that start at once the same one is taken, in whatever order they came; the view `traces` does it again.
CREATE TABLE segment.trace_parts AS
WITH told AS (SELECT *, start_ns::HUGEINT * 18446744073709551616 + hash(service, name) AS place FROM segment.spans)
SELECT trace_id, min(start_ns) AS start_ns, max(coalesce(start_ns + greatest(duration_ns, 0), start_ns, lone_end_ns)) AS end_ns,
    count(*)::INTEGER AS spans, count_if(status = 'error')::INTEGER AS errors,
    arg_min_null(service, place) FILTER (parent_span_id IS NULL) AS root_service,
    arg_min_null(name, place) FILTER (parent_span_id IS NULL) AS root_name,
    min(start_ns) FILTER (parent_span_id IS NULL) AS root_ns
FROM told GROUP BY trace_id ORDER BY trace_id;

CREATE TABLE segment.deploy_parts AS
SELECT service, service_version, vcs_ref_head_revision, min(start_ns) AS first_seen_ns, max(start_ns) AS last_seen_ns,
    count(*) AS spans
FROM segment.spans WHERE service_version IS NOT NULL OR vcs_ref_head_revision IS NOT NULL GROUP BY ALL ORDER BY ALL;

-- When the events and logs of a trace were, and the logs of a correlation id: both tables are sorted by time.
CREATE TABLE segment.moments AS
SELECT 'event' AS what, trace_id AS key, min(at_ns) AS first_ns, max(at_ns) AS last_ns
FROM segment.events WHERE trace_id IS NOT NULL GROUP BY trace_id
UNION ALL
SELECT 'log', trace_id, min(at_ns), max(at_ns) FROM segment.logs WHERE trace_id IS NOT NULL GROUP BY trace_id
UNION ALL
SELECT 'correlated', correlation_id, min(at_ns), max(at_ns)
FROM segment.logs WHERE correlation_id IS NOT NULL GROUP BY correlation_id
ORDER BY key, what;

-- The service map: calls by caller, callee and duration, in steps of 2 percent (a DDSketch: Masson et al., VLDB 2019), so
-- that it is a sum over segments.
CREATE TABLE segment.edge_parts(caller VARCHAR, callee VARCHAR, step SMALLINT, calls BIGINT, errors BIGINT);
