-- Once a segment is filled: what trace lookup and the list of deploys read instead of every span.
CREATE TABLE segment.trace_parts AS
SELECT trace_id, min(start_ns) AS start_ns, max(coalesce(start_ns + duration_ns, lone_end_ns)) AS end_ns,
    count(*)::INTEGER AS spans, count_if(status = 'error')::INTEGER AS errors,
    arg_min(service, start_ns) FILTER (parent_span_id IS NULL) AS root_service,
    arg_min(name, start_ns) FILTER (parent_span_id IS NULL) AS root_name,
    min(start_ns) FILTER (parent_span_id IS NULL) AS root_ns
FROM segment.spans GROUP BY trace_id ORDER BY trace_id;

CREATE TABLE segment.deploy_parts AS
SELECT service, service_version, vcs_ref_head_revision, min(start_ns) AS first_seen_ns, max(start_ns) AS last_seen_ns,
    count(*) AS spans
FROM segment.spans WHERE service_version IS NOT NULL OR vcs_ref_head_revision IS NOT NULL GROUP BY ALL ORDER BY ALL;
