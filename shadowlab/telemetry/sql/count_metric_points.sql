-- How many values of the new rows were replaced, wholly or in part.
SELECT coalesce(sum(CASE WHEN hot THEN redacted_values(attributes) ELSE 0 END), 0)::BIGINT
FROM ready_metric_points SEMI JOIN metric_point_new USING (pos)
