-- How many values of the new rows were replaced, wholly or in part; on distinct values.
WITH told AS (
    {texts} SELECT redacted_value(a.k, a.v) AS v, count(*) AS n FROM (
        SELECT unnest(metadata) AS a FROM stage_metric_points s {only}) GROUP BY 1
    UNION ALL SELECT a.v, count(*) FROM (
        SELECT unnest(e.attributes) AS a FROM (SELECT unnest({exemplars}) AS e FROM stage_metric_points s {only})) GROUP BY 1
    UNION ALL SELECT said, n FROM ({hot}))
SELECT coalesce(sum(n), 0)::BIGINT FROM told WHERE was_redacted(v)
