-- Staged metric points as the segment keeps them: redacted, with the hash that is their identity.
WITH redacted AS (
    SELECT s.rowid AS pos, o.resource_id, o.resource_ix, o.service, s.* EXCLUDE (raw, odd, shape, keys, vals, types, scope_name, description, metadata, exemplars),
        {scope_name} AS scope_name, {description} AS description,
        CASE WHEN exemplars IS NOT NULL THEN list_transform({exemplars}, lambda e: {'at_ns': e.at_ns, 'value': e.value,
            'trace_id': e.trace_id, 'span_id': e.span_id, 'attributes': map_of(e.attributes), 'value_int': e.value_int,
            'attribute_types': types_of(e.attributes)}) END AS exemplars,
        CASE WHEN metadata IS NOT NULL THEN redacted_pairs(metadata) END AS about,
        o.service_version, {map} AS attributes, h.types AS attribute_types, h.keys_id, {extra} AS extra
    FROM stage_metric_points s JOIN metric_point_shapes h ON h.shape = s.shape LEFT JOIN origin o ON o.raw = s.raw {joins} {only})
SELECT * EXCLUDE (keys_id, extra, about), CASE WHEN about IS NOT NULL THEN map_of(about) END AS metadata, types_of(about) AS metadata_types,
    hash(resource_id, scope_name, scope_version, name, description, unit, kind, temporality, monotonic, start_ns, at_ns, value,
         value_int, count, sum, min, max, bucket_counts, explicit_bounds, scale, zero_count, zero_threshold, positive_offset,
         positive_counts, negative_offset, negative_counts, quantiles, exemplars, keys_id, attributes, attribute_types,
         CASE WHEN about IS NULL THEN extra ELSE hash(extra, about) END, flags) AS row_id
FROM redacted
