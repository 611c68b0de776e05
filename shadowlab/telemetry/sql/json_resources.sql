INSERT INTO stage_resources
WITH told AS (SELECT * FROM {source}),
     listed AS (
        SELECT unnest(resourceSpans).resource AS r FROM told
        UNION ALL SELECT unnest(resourceLogs).resource FROM told
        UNION ALL SELECT unnest(resourceMetrics).resource FROM told)
SELECT hash(r), coalesce(json_pairs(any_value(r.attributes)), []) FROM listed GROUP BY hash(r);
