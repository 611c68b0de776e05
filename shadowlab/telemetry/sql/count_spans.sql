-- How many values of the new rows were replaced, wholly or in part.
SELECT coalesce(sum(was_redacted(name)::INT + was_redacted(status_message)::INT
    + CASE WHEN hot THEN redacted_values(attributes) ELSE 0 END
    + CASE WHEN events IS NULL THEN 0 ELSE redacted_in(flatten(list_transform(events, lambda e: e.attributes))) END
    + CASE WHEN links IS NULL THEN 0 ELSE redacted_in(flatten(list_transform(links, lambda l: l.attributes))) END), 0)::BIGINT
FROM ready_spans SEMI JOIN span_new USING (pos)
