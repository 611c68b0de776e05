-- Staged logs into the segment.
INSERT INTO segment.logs BY NAME SELECT * EXCLUDE (pos, resource_id) FROM ({ready}) {order};
