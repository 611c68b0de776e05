INSERT INTO stage_metric_points BY NAME
WITH requests AS (SELECT unnest(resourceMetrics) AS r FROM {source}),
     scopes AS (SELECT hash(r.resource) AS raw, unnest(r.scopeMetrics) AS s FROM requests),
     metrics AS (SELECT raw, s.scope AS scope, unnest(s.metrics) AS m FROM scopes),
     points AS (
        SELECT raw, scope, m, 'gauge' AS kind, NULL AS temporality, NULL AS monotonic,
               unnest(m.gauge.dataPoints) AS p FROM metrics
        UNION ALL SELECT raw, scope, m, 'sum', m.sum.aggregationTemporality, m.sum.isMonotonic,
                         unnest(m.sum.dataPoints) FROM metrics
        UNION ALL SELECT raw, scope, m, 'histogram', m.histogram.aggregationTemporality, NULL,
                         unnest(m.histogram.dataPoints) FROM metrics
        UNION ALL SELECT raw, scope, m, 'exponential_histogram', m.exponentialHistogram.aggregationTemporality, NULL,
                         unnest(m.exponentialHistogram.dataPoints) FROM metrics
        UNION ALL SELECT raw, scope, m, 'summary', NULL, NULL, unnest(m.summary.dataPoints) FROM metrics),
     typed AS (
        SELECT raw, nullif(scope.name, '') AS scope_name, nullif(scope.version, '') AS scope_version, m.name AS name,
            nullif(m.description, '') AS description, nullif(m.unit, '') AS unit, kind,
            json_temporality(temporality) AS temporality, CASE WHEN kind = 'sum' THEN coalesce(TRY_CAST(monotonic AS BOOLEAN), false) END AS monotonic,
            p.timeUnixNano AS at_text, nullif(TRY_CAST(p.startTimeUnixNano AS BIGINT), 0) AS start_ns,
            TRY_CAST(p.timeUnixNano AS BIGINT) AS at_ns,
            coalesce(TRY_CAST(p.asDouble AS DOUBLE), TRY_CAST(p.asInt AS DOUBLE)) AS value,
            TRY_CAST(p.asInt AS BIGINT) AS value_int, TRY_CAST(p.count AS BIGINT) AS count,
            TRY_CAST(p.sum AS DOUBLE) AS sum, TRY_CAST(p.min AS DOUBLE) AS min, TRY_CAST(p.max AS DOUBLE) AS max,
            TRY_CAST(p.bucketCounts AS BIGINT[]) AS bucket_counts,
            TRY_CAST(p.explicitBounds AS DOUBLE[]) AS explicit_bounds, TRY_CAST(p.scale AS INTEGER) AS scale,
            TRY_CAST(p.zeroCount AS BIGINT) AS zero_count, TRY_CAST(p.zeroThreshold AS DOUBLE) AS zero_threshold,
            TRY_CAST(p.positive."offset" AS INTEGER) AS positive_offset,
            TRY_CAST(p.positive.bucketCounts AS BIGINT[]) AS positive_counts,
            TRY_CAST(p.negative."offset" AS INTEGER) AS negative_offset,
            TRY_CAST(p.negative.bucketCounts AS BIGINT[]) AS negative_counts,
            list_transform(p.quantileValues, lambda q: {'quantile': TRY_CAST(q.quantile AS DOUBLE),
                'value': TRY_CAST(q.value AS DOUBLE)}) AS quantiles,
            CASE WHEN len(p.exemplars) > 0 THEN list_transform(p.exemplars, lambda e: {
                'at_ns': TRY_CAST(e.timeUnixNano AS BIGINT),
                'value': coalesce(TRY_CAST(e.asDouble AS DOUBLE), TRY_CAST(e.asInt AS DOUBLE)),
                'trace_id': json_trace(e.traceId), 'span_id': json_id(e.spanId),
                'attributes': json_pairs(e.filteredAttributes)}) END AS exemplars,
            json_keys(p.attributes) AS keys, json_vals(p.attributes) AS vals, json_types(p.attributes) AS types,
            nullif(TRY_CAST(p.flags AS BIGINT), 0) AS flags
        FROM points)
SELECT * EXCLUDE (at_text), hash(keys) AS shape, is_odd(at_text, at_ns) OR name IS NULL AS odd FROM typed;
