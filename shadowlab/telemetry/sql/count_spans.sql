-- How many values of the new rows were replaced, wholly or in part; on distinct values.
WITH told AS (
    {texts} SELECT said AS v, n FROM ({hot})
    UNION ALL SELECT {event_value}, 1 FROM (
        SELECT unnest(flatten(list_transform(s.events, lambda e: e.attributes))) AS a FROM stage_spans s {only_events})
    UNION ALL SELECT {name_of_event}, 1 FROM (SELECT unnest(s.events) AS e FROM stage_spans s {only_events})
    UNION ALL SELECT {link_value}, 1 FROM (
        SELECT unnest(flatten(list_transform(s.links, lambda l: l.attributes))) AS a FROM stage_spans s {only_links}))
SELECT coalesce(sum(n), 0)::BIGINT FROM told WHERE was_redacted(v)
