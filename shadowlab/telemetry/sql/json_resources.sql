INSERT INTO stage_resources
WITH told AS (SELECT * FROM {source}),
     listed AS (
        SELECT b.resource AS r, unnest(b.scopeSpans).scope AS s, unnest([0]) FROM (SELECT unnest(resourceSpans) AS b FROM told)
        UNION ALL SELECT b.resource, unnest(b.scopeLogs).scope, unnest([0]) FROM (SELECT unnest(resourceLogs) AS b FROM told)
        UNION ALL SELECT b.resource, unnest(b.scopeMetrics).scope, unnest([0]) FROM (SELECT unnest(resourceMetrics) AS b FROM told)),
     one_of_each AS (SELECT DISTINCT ON (raw) scoped(hash(r), s) AS raw, r, s FROM listed)
SELECT raw, list_concat(json_pairs(r.attributes), of_scope(json_pairs(s.attributes))) FROM one_of_each;
