-- Staged spans as the segment keeps them: redacted, promoted, with the hash that is their identity.
WITH redacted AS (
    SELECT s.rowid AS pos, o.resource_id, o.resource_ix, trace_id, span_id, parent_span_id, {trace_state} AS trace_state, flags, o.service,
        {name} AS name, kind, start_ns, end_ns - start_ns AS duration_ns, CASE WHEN start_ns IS NULL THEN end_ns END AS lone_end_ns,
        status, {status_message} AS status_message, {promoted},
        o.service_version, o.service_namespace, o.service_instance_id, o.deployment_environment, o.vcs_ref_head_revision,
        {scope_name} AS scope_name, scope_version, dropped_attributes, dropped_events, dropped_links,
        coalesce(len(list_filter(events, lambda e: e.name = 'exception')), 0) AS exceptions,
        {map} AS attributes, h.types AS attribute_types, {events} AS events, {links} AS links, h.keys_id, {extra} AS extra,
        {value_of_flag} AS flag, coalesce({value_of_flag_variant}, {value_of_flag_value}) AS flag_variant
    FROM stage_spans s JOIN span_shapes h ON h.shape = s.shape LEFT JOIN origin o ON o.raw = s.raw {joins} {only})
SELECT * EXCLUDE (flag, flag_variant, keys_id, extra),
    CASE WHEN flag IS NOT NULL OR events IS NOT NULL THEN flags_of(events, flag, flag_variant) END AS feature_flags,
    hash(resource_id, scope_name, scope_version, trace_id, span_id, parent_span_id, trace_state, flags, name, kind, start_ns,
         duration_ns, lone_end_ns, status, status_message, keys_id, attributes, attribute_types, extra, events, links,
         dropped_attributes, dropped_events, dropped_links) AS row_id
FROM redacted
