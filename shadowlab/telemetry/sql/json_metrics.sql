INSERT INTO stage_metric_points BY NAME
-- Points of five kinds; each has the fields of its own, and the union by name those of all.
WITH requests AS (SELECT unnest(resourceMetrics) AS r FROM {source}),
     scopes AS (SELECT hash(r.resource, r.schemaUrl) AS raw, unnest(r.scopeMetrics) AS s FROM requests),
     metrics AS (SELECT scoped(raw, s.scope, s.schemaUrl) AS raw, s.scope AS scope, unnest(s.metrics) AS m FROM scopes),
     of_gauge AS (
        SELECT raw, scope, m, 'gauge' AS kind, NULL AS temporality, NULL AS monotonic, unnest(m.gauge.dataPoints) AS p FROM metrics),
     of_sum AS (
        SELECT raw, scope, m, 'sum' AS kind, json_temporality(m.sum.aggregationTemporality) AS temporality,
               coalesce(TRY_CAST(m.sum.isMonotonic AS BOOLEAN), false) AS monotonic, unnest(m.sum.dataPoints) AS p FROM metrics),
     of_histogram AS (
        SELECT raw, scope, m, 'histogram' AS kind, json_temporality(m.histogram.aggregationTemporality) AS temporality,
               NULL AS monotonic, unnest(m.histogram.dataPoints) AS p FROM metrics),
     of_exponential_histogram AS (
        SELECT raw, scope, m, 'exponential_histogram' AS kind, json_temporality(m.exponentialHistogram.aggregationTemporality) AS temporality,
               NULL AS monotonic, unnest(m.exponentialHistogram.dataPoints) AS p FROM metrics),
     of_summary AS (
        SELECT raw, scope, m, 'summary' AS kind, NULL AS temporality, NULL AS monotonic, unnest(m.summary.dataPoints) AS p FROM metrics),
     points AS (
        SELECT * EXCLUDE (p), p.* FROM of_gauge
        UNION ALL BY NAME SELECT * EXCLUDE (p), p.* FROM of_sum
        UNION ALL BY NAME SELECT * EXCLUDE (p), p.* FROM of_histogram
        UNION ALL BY NAME SELECT * EXCLUDE (p), p.* FROM of_exponential_histogram
        UNION ALL BY NAME SELECT * EXCLUDE (p), p.* FROM of_summary),
     typed AS (
        SELECT raw, nullif(scope.name, '') AS scope_name, nullif(scope.version, '') AS scope_version, json_name(m.name) AS name,
            nullif(m.description, '') AS description, nullif(m.unit, '') AS unit,
            CASE WHEN len(m.metadata) > 0 THEN json_pairs(m.metadata) END AS metadata, kind, temporality, monotonic,
            nullif(TRY_CAST(startTimeUnixNano AS BIGINT), 0) AS start_ns, TRY_CAST(json_given(timeUnixNano) AS BIGINT) AS at_ns,
            coalesce(TRY_CAST(asDouble AS DOUBLE), TRY_CAST(asInt AS DOUBLE)) AS value, TRY_CAST(asInt AS BIGINT) AS value_int,
            CASE WHEN kind LIKE '%histogram' OR kind = 'summary' THEN TRY_CAST(json_zero("count") AS BIGINT) END AS count,
            TRY_CAST(CASE WHEN kind = 'summary' THEN json_zero("sum") ELSE "sum" END AS DOUBLE) AS sum,
            TRY_CAST("min" AS DOUBLE) AS min, TRY_CAST("max" AS DOUBLE) AS max,
            TRY_CAST(json_listed(bucketCounts) AS BIGINT[]) AS bucket_counts,
            TRY_CAST(json_listed(explicitBounds) AS DOUBLE[]) AS explicit_bounds,
            CASE WHEN kind = 'exponential_histogram' THEN TRY_CAST(json_zero(scale) AS INTEGER) END AS scale,
            CASE WHEN kind = 'exponential_histogram' THEN TRY_CAST(json_zero(zeroCount) AS BIGINT) END AS zero_count,
            CASE WHEN kind = 'exponential_histogram' THEN TRY_CAST(json_zero(zeroThreshold) AS DOUBLE) END AS zero_threshold,
            CASE WHEN positive IS NOT NULL THEN TRY_CAST(json_zero(positive."offset") AS INTEGER) END AS positive_offset,
            TRY_CAST(json_listed(positive.bucketCounts) AS BIGINT[]) AS positive_counts,
            CASE WHEN negative IS NOT NULL THEN TRY_CAST(json_zero(negative."offset") AS INTEGER) END AS negative_offset,
            TRY_CAST(json_listed(negative.bucketCounts) AS BIGINT[]) AS negative_counts,
            list_transform(json_listed(quantileValues), lambda q: {'quantile': TRY_CAST(json_zero(q.quantile) AS DOUBLE),
                'value': TRY_CAST(json_zero(q.value) AS DOUBLE)}) AS quantiles,
            CASE WHEN len(exemplars) > 0 THEN list_transform(exemplars, lambda e: {
                'at_ns': TRY_CAST(json_given(e.timeUnixNano) AS BIGINT),
                'value': coalesce(TRY_CAST(e.asDouble AS DOUBLE), TRY_CAST(e.asInt AS DOUBLE)),
                'trace_id': json_trace(e.traceId), 'span_id': json_id(e.spanId),
                'attributes': json_pairs(json_listed(e.filteredAttributes)), 'value_int': TRY_CAST(e.asInt AS BIGINT)}) END AS exemplars,
            attributes, nullif(TRY_CAST(flags AS BIGINT), 0) AS flags,
            json_no_count(timeUnixNano) OR json_no_count(startTimeUnixNano) OR json_no_whole(asInt) OR json_no_double(asDouble)
                OR json_no_count("count") OR json_no_double("sum") OR json_no_double("min") OR json_no_double("max")
                OR json_no_integer(scale) OR json_no_count(zeroCount) OR json_no_double(zeroThreshold)
                OR json_no_integer(positive."offset") OR json_no_integer(negative."offset")
                OR len(list_filter(exemplars, lambda e: json_no_count(e.timeUnixNano))) > 0
                OR len(list_filter(quantileValues, lambda q: json_no_double(q.quantile) OR json_no_double(q.value))) > 0
                AS odd_number
        FROM points)
SELECT * EXCLUDE (attributes, odd_number), json_keys(attributes) AS keys, json_vals(attributes) AS vals,
    json_types(attributes) AS types, json_shape(attributes) AS shape,
    name IS NULL OR coalesce(odd_number, false) OR are_odd_counts(bucket_counts) OR are_odd_counts(positive_counts)
        OR are_odd_counts(negative_counts) OR coalesce(list_count(explicit_bounds) < len(explicit_bounds), false) AS odd
FROM typed;
