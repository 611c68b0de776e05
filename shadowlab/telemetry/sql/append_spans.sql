-- Staged spans into the segment.
INSERT INTO segment.spans BY NAME
SELECT * EXCLUDE (pos, resource_id, events, links) FROM ({ready}) {order};
