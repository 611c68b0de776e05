-- Staged metric points into the segment: redacted, compared with what is there, sorted by name and time.
CREATE OR REPLACE TEMP TABLE ready_metric_points AS
WITH redacted AS (
    SELECT s.rowid AS pos, o.resource_id, o.resource_ix, o.service, s.* EXCLUDE (raw, odd, shape, keys, vals, types, description, exemplars), {description} AS description,
        CASE WHEN exemplars IS NOT NULL THEN list_transform({exemplars}, lambda e: {'at_ns': e.at_ns, 'value': e.value,
            'trace_id': e.trace_id, 'span_id': e.span_id, 'attributes': map_of(e.attributes)}) END AS exemplars,
        o.service_version, {map} AS attributes, types AS attribute_types, h.hot, s.shape, {extra} AS extra
    FROM stage_metric_points s JOIN metric_point_shapes h ON h.shape = s.shape LEFT JOIN origin o ON o.raw = s.raw)
SELECT * EXCLUDE (shape, extra),
    hash(resource_id, scope_name, scope_version, name, description, unit, kind, temporality, monotonic, start_ns, at_ns, value,
         value_int, count, sum, min, max, bucket_counts, explicit_bounds, scale, zero_count, zero_threshold, positive_offset,
         positive_counts, negative_offset, negative_counts, quantiles, exemplars, shape, attributes, attribute_types, extra,
         flags) AS row_id
FROM redacted;

CREATE OR REPLACE TEMP TABLE metric_point_new AS
SELECT min(pos) AS pos FROM ready_metric_points ANTI JOIN {known} k USING (row_id) GROUP BY row_id;

INSERT INTO segment.metric_points BY NAME
SELECT * EXCLUDE (pos, resource_id, hot) FROM ready_metric_points SEMI JOIN metric_point_new USING (pos)
ORDER BY name, at_ns, row_id;
