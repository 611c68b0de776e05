-- Staged logs into the segment: redacted, promoted, compared with what is there, sorted by time.
CREATE OR REPLACE TEMP TABLE ready_logs AS
WITH redacted AS (
    SELECT s.rowid AS pos, o.resource_id, o.resource_ix, trace_id, span_id, o.service, at_ns, observed_ns, severity_number,
        severity_text, severity_word(severity_number, severity_text) AS severity, {body} AS body, body_type, event_name,
        {promoted}, o.service_version, o.deployment_environment, scope_name, scope_version, flags, dropped_attributes,
        {map} AS attributes, types AS attribute_types, h.hot, s.shape, {extra} AS extra
    FROM stage_logs s JOIN log_shapes h ON h.shape = s.shape LEFT JOIN origin o ON o.raw = s.raw)
SELECT * EXCLUDE (shape, extra),
    hash(resource_id, scope_name, scope_version, at_ns, observed_ns, severity_number, severity_text, body, body_type, trace_id,
         span_id, flags, event_name, shape, attributes, attribute_types, extra, dropped_attributes) AS row_id
FROM redacted;

CREATE OR REPLACE TEMP TABLE log_new AS
SELECT min(pos) AS pos FROM ready_logs ANTI JOIN {known} k USING (row_id) GROUP BY row_id;

INSERT INTO segment.logs BY NAME
SELECT * EXCLUDE (pos, resource_id, hot) FROM ready_logs SEMI JOIN log_new USING (pos) ORDER BY at_ns, row_id;
