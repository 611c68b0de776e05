-- Where every reader puts what it read, as it was; `segment.py` redacts, compares, promotes and sorts it.
-- `raw` leads to the resource (`resource` is its attributes, on one row of many), `shape` to the keys of the attributes
-- and the types of their values (`keys` and `types` are on rows whose shape is not in `stage_shapes`). Lives in memory, spills to disk.
CREATE TABLE stage_resources(raw UBIGINT, attributes STRUCT(k VARCHAR, v VARCHAR, t VARCHAR)[]);

CREATE TABLE stage_shapes(shape UBIGINT, keys VARCHAR[], types VARCHAR);

CREATE TABLE stage_spans(
    raw UBIGINT, resource STRUCT(k VARCHAR, v VARCHAR, t VARCHAR)[], odd BOOLEAN, scope_name VARCHAR, scope_version VARCHAR,
    trace_id VARCHAR, span_id VARCHAR, parent_span_id VARCHAR, trace_state VARCHAR, flags BIGINT,
    name VARCHAR, kind VARCHAR, start_ns BIGINT, end_ns BIGINT, status VARCHAR, status_message VARCHAR,
    shape UBIGINT, keys VARCHAR[], vals VARCHAR[], types VARCHAR,
    events STRUCT(at_ns BIGINT, name VARCHAR, attributes STRUCT(k VARCHAR, v VARCHAR, t VARCHAR)[], dropped BIGINT)[],
    links STRUCT(trace_id VARCHAR, span_id VARCHAR, trace_state VARCHAR, flags BIGINT,
                 attributes STRUCT(k VARCHAR, v VARCHAR, t VARCHAR)[], dropped BIGINT)[],
    dropped_attributes BIGINT, dropped_events BIGINT, dropped_links BIGINT);

CREATE TABLE stage_logs(
    raw UBIGINT, resource STRUCT(k VARCHAR, v VARCHAR, t VARCHAR)[], odd BOOLEAN, scope_name VARCHAR, scope_version VARCHAR,
    at_ns BIGINT, observed_ns BIGINT, severity_number INTEGER, severity_text VARCHAR, body VARCHAR, body_type VARCHAR,
    trace_id VARCHAR, span_id VARCHAR, flags BIGINT, event_name VARCHAR,
    shape UBIGINT, keys VARCHAR[], vals VARCHAR[], types VARCHAR, dropped_attributes BIGINT);

CREATE TABLE stage_metric_points(
    raw UBIGINT, odd BOOLEAN, scope_name VARCHAR, scope_version VARCHAR,
    name VARCHAR, description VARCHAR, unit VARCHAR, metadata STRUCT(k VARCHAR, v VARCHAR, t VARCHAR)[], kind VARCHAR, temporality VARCHAR, monotonic BOOLEAN,
    start_ns BIGINT, at_ns BIGINT, value DOUBLE, value_int BIGINT, count BIGINT, sum DOUBLE, min DOUBLE, max DOUBLE,
    bucket_counts BIGINT[], explicit_bounds DOUBLE[],
    scale INTEGER, zero_count BIGINT, zero_threshold DOUBLE,
    positive_offset INTEGER, positive_counts BIGINT[], negative_offset INTEGER, negative_counts BIGINT[],
    quantiles STRUCT(quantile DOUBLE, value DOUBLE)[],
    exemplars STRUCT(at_ns BIGINT, value DOUBLE, trace_id VARCHAR, span_id VARCHAR,
                     attributes STRUCT(k VARCHAR, v VARCHAR, t VARCHAR)[], value_int BIGINT)[],
    shape UBIGINT, keys VARCHAR[], vals VARCHAR[], types VARCHAR, flags BIGINT);
