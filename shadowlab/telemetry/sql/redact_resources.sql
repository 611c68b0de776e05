-- Resources that were not met before, as a segment keeps them; those that were are not taken apart again.
INSERT INTO kept_resources
SELECT raw, hash(attributes) AS resource_id, map_of(attributes) AS ra, types_of(firsts_of(attributes)) AS types,
    sum(redacted_in(attributes)) AS redacted
FROM (SELECT raw, list_sort(redacted_pairs(attributes)) AS attributes FROM stage_resources
      ANTI JOIN kept_resources USING (raw)) GROUP BY ALL
