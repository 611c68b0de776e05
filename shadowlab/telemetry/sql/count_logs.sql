-- How many values of the new rows were replaced, wholly or in part.
SELECT coalesce(sum(was_redacted(body)::INT + CASE WHEN hot THEN redacted_values(attributes) ELSE 0 END), 0)::BIGINT
FROM ready_logs SEMI JOIN log_new USING (pos)
