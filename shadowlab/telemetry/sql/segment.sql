-- The tables of a segment. What views need and can be derived (the end of a span, the attributes of a resource) is not here.
CREATE TABLE segment.resources(resource_ix INTEGER, resource_id UBIGINT, attributes MAP(VARCHAR, VARCHAR), attribute_types VARCHAR);

CREATE TABLE segment.spans(
    row_id UBIGINT, trace_id VARCHAR, span_id VARCHAR, parent_span_id VARCHAR, trace_state VARCHAR, flags BIGINT,
    service VARCHAR, name VARCHAR, kind VARCHAR, start_ns BIGINT, duration_ns BIGINT, lone_end_ns BIGINT,
    status VARCHAR, status_message VARCHAR, {span_columns},
    service_version VARCHAR, service_namespace VARCHAR, service_instance_id VARCHAR, deployment_environment VARCHAR,
    vcs_ref_head_revision VARCHAR, scope_name VARCHAR, scope_version VARCHAR,
    dropped_attributes BIGINT, dropped_events BIGINT, dropped_links BIGINT, exceptions INTEGER,
    feature_flags MAP(VARCHAR, VARCHAR),
    attributes MAP(VARCHAR, VARCHAR), attribute_types VARCHAR, resource_ix INTEGER);

CREATE TABLE segment.events(
    row_id UBIGINT, trace_id VARCHAR, span_id VARCHAR, service VARCHAR, span_name VARCHAR, service_version VARCHAR,
    at_ns BIGINT, name VARCHAR, exception_type VARCHAR, exception_message VARCHAR, stack VARCHAR,
    attributes MAP(VARCHAR, VARCHAR), attribute_types VARCHAR, dropped_attributes BIGINT);

CREATE TABLE segment.links(
    row_id UBIGINT, trace_id VARCHAR, span_id VARCHAR, linked_trace_id VARCHAR, linked_span_id VARCHAR,
    trace_state VARCHAR, flags BIGINT, attributes MAP(VARCHAR, VARCHAR), attribute_types VARCHAR,
    dropped_attributes BIGINT);

CREATE TABLE segment.logs(
    row_id UBIGINT, trace_id VARCHAR, span_id VARCHAR, service VARCHAR, at_ns BIGINT, observed_ns BIGINT,
    severity_number INTEGER, severity_text VARCHAR, severity VARCHAR, body VARCHAR, body_type VARCHAR, event_name VARCHAR,
    {log_columns}, service_version VARCHAR, deployment_environment VARCHAR, scope_name VARCHAR, scope_version VARCHAR,
    flags BIGINT, dropped_attributes BIGINT,
    attributes MAP(VARCHAR, VARCHAR), attribute_types VARCHAR, resource_ix INTEGER);

CREATE TABLE segment.metric_points(
    row_id UBIGINT, service VARCHAR, name VARCHAR, kind VARCHAR, unit VARCHAR, description VARCHAR, temporality VARCHAR,
    monotonic BOOLEAN, start_ns BIGINT, at_ns BIGINT, value DOUBLE, value_int BIGINT, count BIGINT, sum DOUBLE,
    min DOUBLE, max DOUBLE, bucket_counts BIGINT[], explicit_bounds DOUBLE[], scale INTEGER, zero_count BIGINT,
    zero_threshold DOUBLE, positive_offset INTEGER, positive_counts BIGINT[], negative_offset INTEGER,
    negative_counts BIGINT[], quantiles STRUCT(quantile DOUBLE, value DOUBLE)[],
    exemplars STRUCT(at_ns BIGINT, value DOUBLE, trace_id VARCHAR, span_id VARCHAR,
                     attributes MAP(VARCHAR, VARCHAR), value_int BIGINT, attribute_types VARCHAR)[],
    metadata MAP(VARCHAR, VARCHAR), metadata_types VARCHAR,
    service_version VARCHAR, scope_name VARCHAR, scope_version VARCHAR, flags BIGINT,
    attributes MAP(VARCHAR, VARCHAR), attribute_types VARCHAR, resource_ix INTEGER);
