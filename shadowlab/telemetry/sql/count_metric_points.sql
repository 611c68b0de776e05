-- How many values of the new rows were replaced, wholly or in part; on distinct values.
SELECT coalesce(sum(n), 0)::BIGINT FROM ({hot}) WHERE was_redacted(said)
