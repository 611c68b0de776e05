-- From the staging tables to one segment: compared with what is there, promoted, sorted by time.
CREATE OR REPLACE TEMP TABLE resources AS
SELECT DISTINCT raw, hash(list_sort(attributes)) AS resource_id, map_of(list_sort(attributes)) AS attributes
FROM stage_resources;

CREATE TABLE segment.resources AS SELECT DISTINCT resource_id, attributes FROM resources;

CREATE OR REPLACE TEMP TABLE span_keys AS
SELECT s.rowid AS pos, hash(r.resource_id, s.content) AS row_id, s.start_ns FROM stage_spans s LEFT JOIN resources r USING (raw);
CREATE OR REPLACE TEMP TABLE log_keys AS
SELECT s.rowid AS pos, hash(r.resource_id, s.content) AS row_id, s.at_ns FROM stage_logs s LEFT JOIN resources r USING (raw);
CREATE OR REPLACE TEMP TABLE metric_keys AS
SELECT s.rowid AS pos, hash(r.resource_id, s.content) AS row_id, s.at_ns FROM stage_metrics s LEFT JOIN resources r USING (raw);

CREATE OR REPLACE TEMP TABLE span_new AS SELECT min(pos) AS pos, row_id FROM span_keys
WHERE row_id NOT IN (SELECT row_id FROM {known_spans}) GROUP BY row_id;
CREATE OR REPLACE TEMP TABLE log_new AS SELECT min(pos) AS pos, row_id FROM log_keys
WHERE row_id NOT IN (SELECT row_id FROM {known_logs}) GROUP BY row_id;
CREATE OR REPLACE TEMP TABLE metric_new AS SELECT min(pos) AS pos, row_id FROM metric_keys
WHERE row_id NOT IN (SELECT row_id FROM {known_metric_points}) GROUP BY row_id;

CREATE TABLE segment.spans AS
WITH chosen AS (
    SELECT n.row_id, r.resource_id, r.attributes AS ra, map_of(s.attributes) AS a,
           types_of(s.attributes) AS attribute_types, s.* EXCLUDE (raw, content, attributes, links)
    FROM stage_spans s JOIN span_new n ON n.pos = s.rowid LEFT JOIN resources r USING (raw))
SELECT row_id, trace_id, span_id, parent_span_id, trace_state, flags, ra['service.name'] AS service, name, kind,
    start_ns, end_ns, end_ns - start_ns AS duration_ns, status, status_message,
    coalesce(a['http.request.method'], a['http.method']) AS http_request_method,
    a['http.route'] AS http_route,
    TRY_CAST(coalesce(a['http.response.status_code'], a['http.status_code']) AS INTEGER) AS http_response_status_code,
    coalesce(a['url.path'], nullif(split_part(a['http.target'], '?', 1), '')) AS url_path,
    coalesce(a['server.address'], a['net.peer.name'], a['http.host']) AS server_address,
    coalesce(a['db.system.name'], a['db.system']) AS db_system_name,
    coalesce(a['db.query.text'], a['db.statement']) AS db_query_text,
    coalesce(a['rpc.system.name'], a['rpc.system']) AS rpc_system, a['rpc.method'] AS rpc_method,
    a['messaging.system'] AS messaging_system, a['error.type'] AS error_type,
    a['gen_ai.operation.name'] AS gen_ai_operation_name, a['shadowlab.recording.id'] AS recording_id,
    {correlation} AS correlation_id,
    ra['service.version'] AS service_version, ra['service.namespace'] AS service_namespace,
    ra['service.instance.id'] AS service_instance_id,
    coalesce(ra['deployment.environment.name'], ra['deployment.environment']) AS deployment_environment,
    ra['vcs.ref.head.revision'] AS vcs_ref_head_revision,
    scope_name, scope_version, dropped_attributes, dropped_events, dropped_links,
    coalesce(len(list_filter(events, lambda e: e.name = 'exception')), 0) AS exceptions,
    a AS attributes, attribute_types, resource_id
FROM chosen ORDER BY start_ns, trace_id, span_id, row_id;

CREATE TABLE segment.events AS
WITH listed AS (
    SELECT n.row_id AS span_row_id, r.attributes AS ra, s.trace_id, s.span_id, s.name AS span_name, unnest(s.events) AS e,
           generate_subscripts(s.events, 1) AS position
    FROM stage_spans s JOIN span_new n ON n.pos = s.rowid LEFT JOIN resources r USING (raw) WHERE len(s.events) > 0),
mapped AS (SELECT *, map_of(e.attributes) AS a FROM listed)
SELECT hash(span_row_id, position) AS row_id, trace_id, span_id, ra['service.name'] AS service, span_name,
    ra['service.version'] AS service_version, e.at_ns AS at_ns, e.name AS name,
    a['exception.type'] AS exception_type, a['exception.message'] AS exception_message,
    a['exception.stacktrace'] AS stack, a AS attributes, types_of(e.attributes) AS attribute_types,
    e.dropped AS dropped_attributes
FROM mapped ORDER BY at_ns, row_id;

CREATE TABLE segment.links AS
WITH listed AS (
    SELECT n.row_id AS span_row_id, s.trace_id, s.span_id, unnest(s.links) AS l, generate_subscripts(s.links, 1) AS position
    FROM stage_spans s JOIN span_new n ON n.pos = s.rowid WHERE len(s.links) > 0)
SELECT hash(span_row_id, position) AS row_id, trace_id, span_id, l.trace_id AS linked_trace_id, l.span_id AS linked_span_id,
    l.trace_state AS trace_state, l.flags AS flags, map_of(l.attributes) AS attributes,
    types_of(l.attributes) AS attribute_types, l.dropped AS dropped_attributes
FROM listed ORDER BY trace_id, span_id, row_id;

CREATE TABLE segment.logs AS
WITH chosen AS (
    SELECT n.row_id, r.resource_id, r.attributes AS ra, map_of(s.attributes) AS a,
           types_of(s.attributes) AS attribute_types, s.* EXCLUDE (raw, content, attributes)
    FROM stage_logs s JOIN log_new n ON n.pos = s.rowid LEFT JOIN resources r USING (raw))
SELECT row_id, trace_id, span_id, ra['service.name'] AS service, at_ns, observed_ns, severity_number, severity_text,
    severity_word(severity_number, severity_text) AS severity, body, body_type, event_name,
    a['exception.type'] AS exception_type, a['exception.message'] AS exception_message, a['exception.stacktrace'] AS stack,
    {correlation} AS correlation_id, ra['service.version'] AS service_version,
    coalesce(ra['deployment.environment.name'], ra['deployment.environment']) AS deployment_environment,
    scope_name, scope_version, flags, dropped_attributes, a AS attributes, attribute_types, resource_id
FROM chosen ORDER BY at_ns, row_id;

CREATE TABLE segment.metric_points AS
WITH chosen AS (
    SELECT n.row_id, r.resource_id, r.attributes AS ra, map_of(s.attributes) AS a,
           types_of(s.attributes) AS attribute_types,
           list_transform(s.exemplars, lambda e: {'at_ns': e.at_ns, 'value': e.value, 'trace_id': e.trace_id,
                          'span_id': e.span_id, 'attributes': map_of(e.attributes)}) AS exemplars,
           s.* EXCLUDE (raw, content, attributes, exemplars)
    FROM stage_metrics s JOIN metric_new n ON n.pos = s.rowid LEFT JOIN resources r USING (raw))
SELECT row_id, ra['service.name'] AS service, name, kind, unit, description, temporality, monotonic, start_ns, at_ns, value,
    value_int, count, sum, min, max, bucket_counts, explicit_bounds, scale, zero_count, zero_threshold,
    positive_offset, positive_counts, negative_offset, negative_counts, quantiles, exemplars,
    ra['service.version'] AS service_version, scope_name, scope_version, flags, a AS attributes, attribute_types, resource_id
FROM chosen ORDER BY name, at_ns, row_id;

CREATE TABLE segment.trace_parts AS
SELECT trace_id, min(start_ns) AS start_ns, max(end_ns) AS end_ns, count(*) AS spans, count_if(status = 'error') AS errors,
    arg_min(service, start_ns) FILTER (parent_span_id IS NULL) AS root_service,
    arg_min(name, start_ns) FILTER (parent_span_id IS NULL) AS root_name,
    min(start_ns) FILTER (parent_span_id IS NULL) AS root_ns
FROM segment.spans GROUP BY trace_id ORDER BY trace_id;

CREATE TABLE segment.deploy_parts AS
SELECT service, service_version, vcs_ref_head_revision, min(start_ns) AS first_seen_ns, max(start_ns) AS last_seen_ns,
    count(*) AS spans
FROM segment.spans WHERE service_version IS NOT NULL OR vcs_ref_head_revision IS NOT NULL GROUP BY ALL ORDER BY ALL;
