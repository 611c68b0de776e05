-- Staged metric points into the segment.
INSERT INTO segment.metric_points BY NAME
SELECT * EXCLUDE (pos, resource_id) FROM ({ready}) ORDER BY name, at_ns, row_id;
