-- Staged logs into the segment.
SET preserve_insertion_order = {in_order};
INSERT INTO segment.logs BY NAME SELECT * EXCLUDE (pos, resource_id) FROM ({rows}) {order};
SET preserve_insertion_order = true;
