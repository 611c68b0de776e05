-- How many values of the rows that are new were replaced, wholly or in part.
WITH told AS (
    SELECT name, status_message, attributes, flatten(list_transform(events, lambda e: e.attributes)) AS of_events
    FROM stage_spans WHERE rowid IN (SELECT pos FROM span_new)),
logged AS (SELECT body, attributes FROM stage_logs WHERE rowid IN (SELECT pos FROM log_new)),
measured AS (SELECT attributes FROM stage_metrics WHERE rowid IN (SELECT pos FROM metric_new)),
counts AS (
    SELECT sum(was_redacted(name)::INT + was_redacted(status_message)::INT
               + redacted_in(attributes) + redacted_in(of_events)) AS n FROM told
    UNION ALL SELECT sum(was_redacted(body)::INT + redacted_in(attributes)) FROM logged
    UNION ALL SELECT sum(redacted_in(attributes)) FROM measured
    UNION ALL SELECT sum(redacted_in(attributes)) FROM stage_resources)
SELECT coalesce(sum(n), 0)::BIGINT FROM counts;
