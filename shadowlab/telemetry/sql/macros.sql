-- From lists of {k, v, t} to what the views show. A key that comes twice keeps its first value, as the SDKs do.
CREATE MACRO keys_of(list) AS list_transform(list, lambda a: a.k);
CREATE MACRO map_of(list) AS map_from_entries(list_transform(
    CASE WHEN len(list_distinct(keys_of(list))) = len(list) THEN list
         ELSE list_filter(list, lambda a, i: list_position(keys_of(list), a.k) = i) END,
    lambda a: {'k': a.k, 'v': a.v}));
CREATE MACRO types_of(list) AS array_to_string(list_transform(list, lambda a: a.t), '');
CREATE MACRO severity_word(number, text) AS CASE
    WHEN number BETWEEN 1 AND 4 THEN 'trace' WHEN number BETWEEN 5 AND 8 THEN 'debug' WHEN number BETWEEN 9 AND 12 THEN 'info'
    WHEN number BETWEEN 13 AND 16 THEN 'warn' WHEN number BETWEEN 17 AND 20 THEN 'error'
    WHEN number BETWEEN 21 AND 24 THEN 'fatal' ELSE lower(text) END;
CREATE MACRO was_redacted(v) AS coalesce(
    contains(v, '<') AND regexp_matches(v, '<(?:secret|token|email|card):[0-9a-f]{12}>'), false);
CREATE MACRO redacted_in(list) AS coalesce(len(list_filter(list, lambda a: was_redacted(a.v))), 0);
