-- What staging and segments share. Pairs are lists of {k, v, t}: key, text, one letter of type.
CREATE MACRO severity_word(number, text) AS CASE
    WHEN number BETWEEN 1 AND 4 THEN 'trace' WHEN number BETWEEN 5 AND 8 THEN 'debug' WHEN number BETWEEN 9 AND 12 THEN 'info'
    WHEN number BETWEEN 13 AND 16 THEN 'warn' WHEN number BETWEEN 17 AND 20 THEN 'error'
    WHEN number BETWEEN 21 AND 24 THEN 'fatal' ELSE lower(text) END;
CREATE MACRO redacted_pairs(pairs) AS list_transform(pairs, lambda a: {'k': a.k, 'v': redacted_value(a.k, a.v), 't': a.t});
-- A key that comes twice keeps its first value; both count in the record's identity.
CREATE MACRO firsts_of(pairs) AS list_filter(pairs, lambda a, i: list_position(list_transform(pairs, lambda b: b.k), a.k) = i);
CREATE MACRO map_of(pairs) AS map_from_entries(list_transform(firsts_of(pairs), lambda a: {'k': a.k, 'v': a.v}));
CREATE MACRO types_of(pairs) AS array_to_string(list_transform(pairs, lambda a: a.t), '');
-- What a scope says of itself is told with the resource; two scopes that differ are told apart by what `raw` leads to.
CREATE MACRO scoped(raw, scope, url) AS hash(raw, scope.attributes, scope.droppedAttributesCount, url);
-- What stands beside a resource or a scope: the schema of its records, and how many of its attributes were dropped.
CREATE MACRO beside(what, told, url) AS list_concat(
    CASE WHEN TRY_CAST(told.droppedAttributesCount AS BIGINT) > 0 THEN [{'k': what || '.dropped_attributes_count',
        'v': TRY_CAST(told.droppedAttributesCount AS BIGINT)::VARCHAR, 't': 'i'}] ELSE [] END,
    CASE WHEN url <> '' THEN [{'k': what || '.schema_url', 'v': url, 't': 's'}] ELSE [] END);
CREATE MACRO of_resource(pairs, resource, url) AS list_concat(pairs, beside('otel.resource', resource, url));
CREATE MACRO of_scope(pairs, scope, url) AS list_concat(
    list_transform(pairs, lambda a: {'k': 'otel.scope.' || a.k, 'v': a.v, 't': a.t}), beside('otel.scope', scope, url));
CREATE MACRO was_redacted(v) AS coalesce(
    contains(v, '<') AND regexp_matches(v, '<(?:secret|token|email|card):[0-9a-f]{12}>'), false);
CREATE MACRO redacted_in(pairs) AS coalesce(len(list_filter(pairs, lambda a: was_redacted(a.v))), 0);
CREATE MACRO redacted_values(map) AS len(list_filter(map_values(map), lambda v: was_redacted(v)));
CREATE MACRO pair_value(pairs, key) AS list_filter(pairs, lambda a: a.k = key)[1].v;
CREATE MACRO flags_of(events, key, variant) AS map_of(list_concat(
    CASE WHEN key IS NULL THEN [] ELSE [{'k': key, 'v': variant}] END,
    list_transform(list_filter(coalesce(events, []), lambda e: starts_with(e.name, 'feature_flag')), lambda e: {
        'k': pair_value(e.attributes, 'feature_flag.key'),
        'v': coalesce(pair_value(e.attributes, 'feature_flag.result.variant'),
                      pair_value(e.attributes, 'feature_flag.variant'),
                      pair_value(e.attributes, 'feature_flag.result.value'))})));
