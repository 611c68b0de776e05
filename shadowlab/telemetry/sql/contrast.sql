-- Which attribute values set chosen spans apart from the others. Values are counted by their hash, and spelled out only for
-- the few that are shown: strings in the count cost twice as much. Resources are counted once each, not once a span.
WITH told AS {once} (
        SELECT place, origin, {block} AS block, coalesce(({selection}), false) AS chosen,
            list_transform(map_entries(attributes), lambda e: hash(e)) AS hashes
        FROM (SELECT *, coalesce(start_ns + duration_ns, lone_end_ns) AS end_ns FROM sampled_{share})
        WHERE {within}),
     origins AS MATERIALIZED (
        SELECT origin, block, count_if(chosen) AS f, count(*) - count_if(chosen) AS g FROM told GROUP BY origin, block),
     blocks AS MATERIALIZED (SELECT block, sum(f) AS s, sum(g) AS u FROM origins GROUP BY block),
     total AS MATERIALIZED (
        SELECT sum(s)::DOUBLE AS s, sum(u)::DOUBLE AS u, count(*) AS blocks,
            sum(s * s)::DOUBLE AS ss, sum(s * u)::DOUBLE AS su, sum(u * u)::DOUBLE AS uu FROM blocks),
     entries AS (SELECT place, block, chosen, unnest(hashes) AS h FROM told),
     of_resources AS MATERIALIZED (
        SELECT origin, block, f, g, unnest(list_transform(map_entries(attributes), lambda e: hash(e))) AS h
        FROM origins JOIN part_origins USING (origin)),
     counted AS (
        SELECT 'span' AS "of", h, any_value(place) AS example, count_if(chosen) AS f, count(*) - count_if(chosen) AS g
        FROM entries GROUP BY h
        UNION ALL
        SELECT 'resource', h, any_value(origin), sum(f), sum(g) FROM of_resources GROUP BY h),
     top AS MATERIALIZED (
        SELECT p.*, coalesce(p.f / t.s, 0) AS selected, coalesce(p.g / t.u, 0) AS others
        FROM counted p, total t ORDER BY abs(selected - others) DESC, h LIMIT {top}),
     in_blocks AS (
        SELECT 'span' AS "of", h, block, count_if(chosen) AS f, count(*) - count_if(chosen) AS g
        FROM entries WHERE h IN (SELECT h FROM top) GROUP BY h, block
        UNION ALL
        SELECT 'resource', h, block, sum(f), sum(g) FROM of_resources WHERE h IN (SELECT h FROM top) GROUP BY h, block),
     -- Variance of a difference of two ratios over whole blocks (Cochran, Sampling Techniques, 1977, ch. 9A and 6).
     present AS (
        SELECT "of", h, t.selected, t.others, sum(((c.f - t.selected * b.s) / a.s - (c.g - t.others * b.u) / a.u) ** 2
            - (t.others * b.u / a.u - t.selected * b.s / a.s) ** 2) AS squares
        FROM top t JOIN in_blocks c USING ("of", h) JOIN blocks b USING (block), total a GROUP BY ALL),
     spread AS (
        SELECT "of", h, round(2 * sqrt({unread} * a.blocks / (a.blocks - 1) * greatest(0, squares + selected ** 2 * a.ss / a.s ** 2
            - 2 * selected * others * a.su / (a.s * a.u) + others ** 2 * a.uu / a.u ** 2)), 6) AS margin
        FROM present, total a WHERE a.blocks > 1),
     spelled AS (
        SELECT 'span' AS "of", hash(e) AS h, e FROM (
            SELECT unnest(map_entries(attributes)) AS e FROM sampled_{share}
            WHERE place IN (SELECT example FROM top WHERE "of" = 'span'))
        UNION
        SELECT 'resource', hash(e), e FROM (
            SELECT unnest(map_entries(attributes)) AS e FROM part_origins
            WHERE origin IN (SELECT example FROM top WHERE "of" = 'resource')))
SELECT t."of", e.key AS attribute, e.value AS value, t.f::BIGINT AS selected_spans, (t.f + t.g)::BIGINT AS spans,
    t.selected, t.others, t.selected - t.others AS effect,
    {margin} AS margin
FROM top t JOIN spelled USING ("of", h) {and_spread}
ORDER BY abs(effect) DESC, attribute, value
