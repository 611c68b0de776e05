-- The SQL that users and tools may rely on; `docs/schema.md` describes every column. `part_*` are all segments' tables.
CREATE VIEW spans AS
SELECT trace_id, span_id, parent_span_id, service, name, kind, start_ns,
    coalesce(start_ns + duration_ns, lone_end_ns) AS end_ns, duration_ns, status, status_message,
    http_request_method, http_route, http_response_status_code, service_version, attributes, resource_attributes,
    * EXCLUDE (trace_id, span_id, parent_span_id, service, name, kind, start_ns, duration_ns, lone_end_ns, status,
        status_message, http_request_method, http_route, http_response_status_code, service_version, attributes,
        resource_attributes, resource_ix)
FROM whole_spans;

CREATE VIEW events AS SELECT trace_id, span_id, service, span_name, at_ns, name, attributes, * EXCLUDE (
    trace_id, span_id, service, span_name, at_ns, name, attributes) FROM part_events;

CREATE VIEW links AS SELECT trace_id, span_id, linked_trace_id, linked_span_id, trace_state, attributes, * EXCLUDE (
    trace_id, span_id, linked_trace_id, linked_span_id, trace_state, attributes) FROM part_links;

CREATE VIEW logs AS
SELECT trace_id, span_id, service, at_ns, severity, body, attributes, resource_attributes,
    * EXCLUDE (trace_id, span_id, service, at_ns, severity, body, attributes, resource_attributes, resource_ix)
FROM whole_logs;

CREATE VIEW metric_points AS
SELECT service, name, kind, unit, start_ns, at_ns, value, attributes, resource_attributes,
    * EXCLUDE (service, name, kind, unit, start_ns, at_ns, value, attributes, resource_attributes, resource_ix)
FROM whole_metric_points;

CREATE VIEW errors AS
WITH told AS (
    SELECT trace_id, span_id, service, span_name AS operation, at_ns, exception_type, exception_message, stack,
           service_version, row_id AS error_id
    FROM part_events WHERE name = 'exception'
    UNION ALL
    SELECT trace_id, span_id, service, name, coalesce(start_ns + duration_ns, start_ns, lone_end_ns), error_type, status_message, NULL,
           service_version, row_id
    FROM part_spans WHERE status = 'error' AND exceptions = 0)
SELECT t.trace_id, t.span_id, t.service, t.operation, t.at_ns, t.exception_type, t.exception_message, t.stack, f.fingerprint,
    t.service_version, t.error_id
FROM told t LEFT JOIN part_fingerprints f ON f.error_id = t.error_id;

CREATE VIEW traces AS
-- Of roots that start at once the same one is taken, in whatever order they came, as `finish.sql` does.
WITH told AS (
    SELECT *, root_ns::HUGEINT * 18446744073709551616 + hash(root_service, root_name) AS place FROM part_trace_parts)
SELECT trace_id, min(start_ns) AS start_ns, max(end_ns) AS end_ns, sum(spans)::BIGINT AS spans, sum(errors)::BIGINT AS errors,
    arg_min_null(root_service, place) AS root_service, arg_min_null(root_name, place) AS root_name,
    max(end_ns) - min(start_ns) AS duration_ns
FROM told GROUP BY trace_id;

CREATE VIEW edges AS
WITH summed AS (
    SELECT caller, callee, step, sum(calls)::BIGINT AS calls, sum(errors)::BIGINT AS errors FROM part_edge_parts GROUP BY ALL
    HAVING sum(calls) > 0),
ranked AS (
    SELECT *, CASE WHEN step IS NOT NULL THEN sum(calls) OVER (PARTITION BY caller, callee ORDER BY step) END AS up_to,
        sum(calls) FILTER (step IS NOT NULL) OVER (PARTITION BY caller, callee) AS timed
    FROM summed)
SELECT caller, callee, sum(calls)::BIGINT AS calls, sum(errors)::BIGINT AS errors,
    round(1.02 ** min(step) FILTER (up_to > 0.5 * (timed - 1)))::BIGINT AS p50_ns,
    round(1.02 ** min(step) FILTER (up_to > 0.95 * (timed - 1)))::BIGINT AS p95_ns
FROM ranked GROUP BY caller, callee;

CREATE VIEW timed_spans AS
SELECT row_id, trace_id, span_id, parent_span_id, service, name, start_ns, duration_ns, start_ns + duration_ns AS end_ns FROM part_spans;

CREATE VIEW self_time AS
WITH clipped AS (
    SELECT p.trace_id, p.span_id, p.row_id, greatest(c.start_ns, p.start_ns) AS a, least(c.end_ns, p.end_ns) AS b
    FROM timed_spans p JOIN timed_spans c ON c.trace_id = p.trace_id AND c.parent_span_id = p.span_id
    WHERE c.end_ns > p.start_ns AND c.start_ns < p.end_ns AND c.end_ns > c.start_ns),
marked AS (
    SELECT *, max(b) OVER (PARTITION BY trace_id, row_id ORDER BY a, b
                           ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached FROM clipped),
covered AS (
    SELECT trace_id, row_id, sum(greatest(0, b - greatest(a, coalesce(reached, a))))::BIGINT AS ns FROM marked GROUP BY ALL)
SELECT s.trace_id, s.span_id, s.service, s.name, s.start_ns, s.duration_ns,
    s.duration_ns - coalesce(c.ns, 0) AS self_ns
FROM timed_spans s LEFT JOIN covered c ON c.trace_id = s.trace_id AND c.row_id = s.row_id;

CREATE VIEW critical_path AS
WITH RECURSIVE steps AS (
    SELECT trace_id, span_id, parent_span_id, service, name, start_ns, end_ns, end_ns AS until_ns, row_id, 0 AS depth, 0 AS hops
    FROM timed_spans WHERE parent_span_id IS NULL
    UNION
    SELECT n.* FROM (
        SELECT c.trace_id, c.span_id, c.parent_span_id, c.service, c.name, c.start_ns, c.end_ns,
               least(c.end_ns, p.until_ns) AS until_ns, c.row_id, p.depth + 1 AS depth, p.hops + 1 AS hops
        FROM steps p JOIN timed_spans c ON c.trace_id = p.trace_id AND c.parent_span_id = p.span_id AND c.start_ns < p.until_ns
        WHERE p.hops < 500
        QUALIFY row_number() OVER (PARTITION BY p.trace_id, p.row_id, p.until_ns
                                   ORDER BY least(c.end_ns, p.until_ns) DESC, c.start_ns, c.row_id) = 1
        UNION ALL
        SELECT c.trace_id, c.span_id, c.parent_span_id, c.service, c.name, c.start_ns, c.end_ns,
               least(c.end_ns, p.start_ns) AS until_ns, c.row_id, p.depth, p.hops + 1
        FROM steps p JOIN timed_spans c
          ON c.trace_id = p.trace_id AND c.parent_span_id = p.parent_span_id AND c.start_ns < p.start_ns AND c.end_ns <= p.start_ns
        WHERE p.hops < 500
        QUALIFY row_number() OVER (PARTITION BY p.trace_id, p.row_id, p.until_ns ORDER BY c.end_ns DESC, c.start_ns, c.row_id) = 1
    ) n)
SELECT trace_id, span_id, service, name, depth, start_ns, until_ns AS end_ns, until_ns - start_ns AS duration_ns FROM steps;

CREATE VIEW deploys AS
WITH seen AS (
    SELECT service, service_version, vcs_ref_head_revision, min(first_seen_ns) AS first_seen_ns,
           max(last_seen_ns) AS last_seen_ns, sum(spans)::BIGINT AS spans
    FROM part_deploy_parts GROUP BY ALL)
SELECT service, service_version, vcs_ref_head_revision, first_seen_ns, last_seen_ns, spans,
    lag(service_version) OVER w AS previous_version, lag(vcs_ref_head_revision) OVER w AS previous_revision
FROM seen WINDOW w AS (PARTITION BY service ORDER BY first_seen_ns, service_version, vcs_ref_head_revision);

CREATE VIEW gen_ai_calls AS
SELECT trace_id, span_id, service, name, start_ns, duration_ns, status, gen_ai_operation_name AS operation,
    gen_ai_provider_name AS provider,
    attributes['gen_ai.request.model'] AS request_model, attributes['gen_ai.response.model'] AS response_model,
    TRY_CAST(coalesce(attributes['gen_ai.usage.input_tokens'], attributes['gen_ai.usage.prompt_tokens']) AS BIGINT) AS input_tokens,
    TRY_CAST(coalesce(attributes['gen_ai.usage.output_tokens'], attributes['gen_ai.usage.completion_tokens']) AS BIGINT)
        AS output_tokens,
    attributes['gen_ai.response.finish_reasons'] AS finish_reasons,
    attributes['gen_ai.conversation.id'] AS conversation_id, attributes['gen_ai.tool.name'] AS tool_name
FROM part_spans
WHERE gen_ai_operation_name IS NOT NULL OR gen_ai_provider_name IS NOT NULL;
