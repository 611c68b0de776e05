-- How many values of the new rows were replaced, wholly or in part; on distinct values.
WITH told AS (
    SELECT {description} AS v, count(*) AS n FROM stage_metric_points s {only} GROUP BY v
    UNION ALL SELECT {scope_name}, count(*) FROM stage_metric_points s {only} GROUP BY 1
    UNION ALL SELECT redacted_value(a.k, a.v), count(*) FROM (
        SELECT unnest(metadata) AS a FROM stage_metric_points s {only}) GROUP BY 1
    UNION ALL SELECT a.v, count(*) FROM (
        SELECT unnest(e.attributes) AS a FROM (SELECT unnest({exemplars}) AS e FROM stage_metric_points s {only})) GROUP BY 1
    UNION ALL SELECT said, n FROM ({hot}))
SELECT coalesce(sum(n), 0)::BIGINT FROM told WHERE was_redacted(v)
