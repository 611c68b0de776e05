-- How many values of the new rows were replaced, wholly or in part; on distinct values.
WITH told AS (
    {texts} SELECT said AS v, n FROM ({hot}))
SELECT coalesce(sum(n), 0)::BIGINT FROM told WHERE was_redacted(v)
