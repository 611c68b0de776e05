INSERT INTO stage_resources
WITH told AS (SELECT * FROM {source}),
     listed AS (
        SELECT b.resource AS r, b.schemaUrl AS url, unnest(b.scopeSpans) AS s, unnest([0]) FROM (SELECT unnest(resourceSpans) AS b FROM told)
        UNION ALL SELECT b.resource, b.schemaUrl, unnest(b.scopeLogs), unnest([0]) FROM (SELECT unnest(resourceLogs) AS b FROM told)
        UNION ALL SELECT b.resource, b.schemaUrl, unnest(b.scopeMetrics), unnest([0]) FROM (SELECT unnest(resourceMetrics) AS b FROM told)),
     one_of_each AS (
        SELECT DISTINCT ON (raw) scoped(hash(r, url), s.scope, s.schemaUrl) AS raw, r, url, s.scope AS scope, s.schemaUrl AS scope_url
        FROM listed)
SELECT raw, list_concat(of_resource(json_pairs(r.attributes), r, url), of_scope(json_pairs(scope.attributes), scope, scope_url))
FROM one_of_each;
