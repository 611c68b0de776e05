-- How many values of the new rows were replaced, wholly or in part; on distinct values.
WITH told AS (
    SELECT {name} AS v, count(*) AS n FROM stage_spans s {only} GROUP BY v
    UNION ALL SELECT {status_message}, count(*) FROM stage_spans s {only} GROUP BY 1
    UNION ALL SELECT {trace_state}, count(*) FROM stage_spans s {only} GROUP BY 1
    UNION ALL SELECT {scope_name}, count(*) FROM stage_spans s {only} GROUP BY 1
    UNION ALL SELECT said, n FROM ({hot})
    UNION ALL SELECT {event_value}, 1 FROM (
        SELECT unnest(flatten(list_transform(s.events, lambda e: e.attributes))) AS a FROM stage_spans s {only_events})
    UNION ALL SELECT {name_of_event}, 1 FROM (SELECT unnest(s.events) AS e FROM stage_spans s {only_events})
    UNION ALL SELECT {link_value}, 1 FROM (
        SELECT unnest(flatten(list_transform(s.links, lambda l: l.attributes))) AS a FROM stage_spans s {only_links}))
SELECT coalesce(sum(n), 0)::BIGINT FROM told WHERE was_redacted(v)
