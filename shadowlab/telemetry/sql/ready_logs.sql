-- Staged logs as the segment keeps them: redacted, promoted, with the hash that is their identity.
WITH redacted AS (
    SELECT s.rowid AS pos, o.resource_id, o.resource_ix, trace_id, span_id, o.service, at_ns, observed_ns, severity_number,
        severity_text, severity_word(severity_number, severity_text) AS severity, {body} AS body, body_type, {event_name} AS event_name,
        {promoted}, o.service_version, o.deployment_environment, {scope_name} AS scope_name, scope_version, flags, dropped_attributes,
        {map} AS attributes, h.types AS attribute_types, h.keys_id, {extra} AS extra
    FROM stage_logs s JOIN log_shapes h ON h.shape = s.shape LEFT JOIN origin o ON o.raw = s.raw {joins} {only})
SELECT * EXCLUDE (keys_id, extra),
    hash(resource_id, scope_name, scope_version, at_ns, observed_ns, severity_number, severity_text, body, body_type, trace_id,
         span_id, flags, event_name, keys_id, attributes, attribute_types, extra, dropped_attributes) AS row_id
FROM redacted
