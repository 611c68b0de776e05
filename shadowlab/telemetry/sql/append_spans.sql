-- Staged spans into the segment; `append_nested.sql` gives their events and links a table each.
INSERT INTO segment.spans BY NAME
SELECT * EXCLUDE (pos, resource_id, events, links) FROM ({ready}) {order};
