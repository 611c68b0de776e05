-- How many values of the new rows were replaced, wholly or in part; on distinct values.
WITH told AS (
    SELECT {body} AS v, count(*) AS n FROM stage_logs s {only} GROUP BY v
    UNION ALL SELECT {event_name}, count(*) FROM stage_logs s {only} GROUP BY 1
    UNION ALL SELECT {scope_name}, count(*) FROM stage_logs s {only} GROUP BY 1
    UNION ALL SELECT said, n FROM ({hot}))
SELECT coalesce(sum(n), 0)::BIGINT FROM told WHERE was_redacted(v)
