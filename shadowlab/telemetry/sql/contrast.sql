-- Which attribute values set chosen spans apart from the others. Values are counted by their hash, and spelled out only for
-- the few that are shown: strings in the count cost twice as much. Resources are counted once each, not once a span.
WITH told AS NOT MATERIALIZED (
        SELECT place, origin, {block} AS block, coalesce(({selection}), false) AS chosen, attributes
        FROM (SELECT *, coalesce(start_ns + duration_ns, lone_end_ns) AS end_ns FROM sampled_{share})
        WHERE {within}),
     blocks AS MATERIALIZED (SELECT block, count_if(chosen) AS s, count(*) - count_if(chosen) AS u FROM told GROUP BY block),
     total AS MATERIALIZED (
        SELECT sum(s)::DOUBLE AS s, sum(u)::DOUBLE AS u, count(*) AS blocks,
            sum(s * s)::DOUBLE AS ss, sum(s * u)::DOUBLE AS su, sum(u * u)::DOUBLE AS uu FROM blocks),
     entries AS (
        SELECT place, block, chosen, unnest(list_transform(map_entries(attributes), lambda e: hash(e))) AS h FROM told),
     of_resources AS (
        SELECT origin, block, f, g, unnest(map_entries(attributes)) AS e
        FROM (SELECT origin, block, count_if(chosen) AS f, count(*) - count_if(chosen) AS g FROM told GROUP BY ALL)
        JOIN part_origins USING (origin)),
     counted AS MATERIALIZED (
        SELECT 'span' AS "of", h, block, any_value(place) AS example, count_if(chosen) AS f, count(*) - count_if(chosen) AS g
        FROM entries GROUP BY h, block
        UNION ALL
        SELECT 'resource', hash(e), block, any_value(origin), sum(f), sum(g) FROM of_resources GROUP BY hash(e), block),
     pooled AS (
        SELECT "of", h, any_value(example) AS example, sum(f) AS f, sum(g) AS g FROM counted GROUP BY "of", h),
     top AS MATERIALIZED (
        SELECT p.*, coalesce(p.f / t.s, 0) AS selected, coalesce(p.g / t.u, 0) AS others
        FROM pooled p, total t ORDER BY abs(selected - others) DESC, h LIMIT {top}),
     -- Variance of a difference of two ratios over whole blocks (Cochran, Sampling Techniques, 1977, ch. 9A and 6).
     spread AS (
        SELECT "of", h, sum(((c.f - t.selected * b.s) / a.s - (c.g - t.others * b.u) / a.u) ** 2
            - (t.others * b.u / a.u - t.selected * b.s / a.s) ** 2) AS present
        FROM top t JOIN counted c USING ("of", h) JOIN blocks b USING (block), total a GROUP BY ALL),
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
    CASE WHEN {unread} = 0 THEN 0 WHEN a.blocks > 1 THEN 2 * sqrt({unread} * a.blocks / (a.blocks - 1) * greatest(0, s.present
        + t.selected ** 2 * a.ss / a.s ** 2 - 2 * t.selected * t.others * a.su / (a.s * a.u)
        + t.others ** 2 * a.uu / a.u ** 2)) END AS margin
FROM top t JOIN spelled USING ("of", h) JOIN spread s USING ("of", h), total a
ORDER BY abs(effect) DESC, attribute, value
