-- OTLP/JSON values. Ids come in hex of either case, or in base64 (the plain protobuf mapping); all zeros is no id.
CREATE MACRO json_id(id) AS nullif(nullif(CASE WHEN ends_with(id, '=') THEN lower(hex(from_base64(id))) ELSE lower(id) END, ''),
    '0000000000000000');
CREATE MACRO json_trace(id) AS nullif(json_id(id), '00000000000000000000000000000000');
-- Read as a number, a bool is one for DuckDB: it is read as a text too, and has to be the same.
CREATE MACRO json_double(told) AS CASE told WHEN 'true' THEN 1 WHEN 'false' THEN 0 ELSE TRY_CAST(told AS DOUBLE) END;
CREATE MACRO json_text(v) AS coalesce(v.stringValue, v.intValue, json_double(v.doubleValue)::VARCHAR, v.doubleValue,
    v.boolValue, v.bytesValue, json_array(v.arrayValue::VARCHAR), json_kvlist(v.kvlistValue::VARCHAR));
CREATE MACRO json_type(v) AS CASE
    WHEN v.stringValue IS NOT NULL THEN 's' WHEN v.intValue IS NOT NULL THEN 'i' WHEN v.doubleValue IS NOT NULL THEN 'd'
    WHEN v.boolValue IS NOT NULL THEN 'b' WHEN v.bytesValue IS NOT NULL THEN 'y' WHEN v.arrayValue IS NOT NULL THEN 'a'
    WHEN v.kvlistValue IS NOT NULL THEN 'k' ELSE 'n' END;
-- The same of a value of which only the usual kinds are read: of another it has no text, and no type.
CREATE MACRO usual_text(v) AS coalesce(v.stringValue, v.intValue, v.doubleValue::VARCHAR, v.boolValue);
CREATE MACRO usual_type(v) AS CASE
    WHEN v.stringValue IS NOT NULL THEN 's' WHEN v.intValue IS NOT NULL THEN 'i' WHEN v.doubleValue IS NOT NULL THEN 'd'
    WHEN v.boolValue IS NOT NULL THEN 'b' ELSE 'n' END;
-- A list that is left out is an empty one: protobuf's JSON mapping leaves out what is empty.
CREATE MACRO json_shape(list) AS hash(coalesce(list_transform(list, lambda a: hash(a.key, json_type(a.value))), []));
CREATE MACRO json_keys(list) AS coalesce(list_transform(list, lambda a: a.key), []);
CREATE MACRO json_vals(list) AS coalesce(list_transform(list, lambda a: json_text(a.value)), []);
CREATE MACRO json_types(list) AS coalesce(array_to_string(list_transform(list, lambda a: json_type(a.value)), ''), '');
CREATE MACRO usual_shape(list) AS hash(coalesce(list_transform(list, lambda a: hash(a.key, usual_type(a.value))), []));
CREATE MACRO usual_vals(list) AS coalesce(list_transform(list, lambda a: usual_text(a.value)), []);
CREATE MACRO usual_types(list) AS coalesce(array_to_string(list_transform(list, lambda a: usual_type(a.value)), ''), '');
CREATE MACRO json_pairs(list) AS coalesce(list_transform(list_filter(list, lambda a: a.key IS NOT NULL),
    lambda a: {'k': a.key, 'v': json_text(a.value), 't': json_type(a.value)}), []);
-- What was told, but is no number that its column holds: a slower look says what becomes of it.
CREATE MACRO is_odd(text, number) AS text IS NOT NULL AND text <> '' AND number IS NULL;
CREATE MACRO are_odd_counts(numbers) AS coalesce(list_count(numbers) < len(numbers) OR list_min(numbers) < 0, false);
CREATE MACRO json_no_count(told) AS coalesce(told <> '' AND coalesce(TRY_CAST(told AS BIGINT) < 0, true), false);
CREATE MACRO json_no_whole(told) AS is_odd(told, TRY_CAST(told AS BIGINT));
CREATE MACRO json_no_integer(told) AS is_odd(told, TRY_CAST(told AS INTEGER));
CREATE MACRO json_no_double(told) AS is_odd(told, TRY_CAST(told AS DOUBLE));
CREATE MACRO json_kind(kind) AS CASE kind
    WHEN '1' THEN 'internal' WHEN '2' THEN 'server' WHEN '3' THEN 'client' WHEN '4' THEN 'producer' WHEN '5' THEN 'consumer'
    WHEN 'SPAN_KIND_INTERNAL' THEN 'internal' WHEN 'SPAN_KIND_SERVER' THEN 'server' WHEN 'SPAN_KIND_CLIENT' THEN 'client'
    WHEN 'SPAN_KIND_PRODUCER' THEN 'producer' WHEN 'SPAN_KIND_CONSUMER' THEN 'consumer' ELSE 'unspecified' END;
CREATE MACRO json_status(code) AS CASE code
    WHEN '1' THEN 'ok' WHEN '2' THEN 'error' WHEN 'STATUS_CODE_OK' THEN 'ok' WHEN 'STATUS_CODE_ERROR' THEN 'error'
    ELSE 'unset' END;
CREATE MACRO json_temporality(t) AS CASE t
    WHEN '1' THEN 'delta' WHEN '2' THEN 'cumulative' WHEN 'AGGREGATION_TEMPORALITY_DELTA' THEN 'delta'
    WHEN 'AGGREGATION_TEMPORALITY_CUMULATIVE' THEN 'cumulative' END;
CREATE MACRO json_severity(n) AS coalesce(TRY_CAST(n AS INTEGER), list_position(
    ['TRACE', 'TRACE2', 'TRACE3', 'TRACE4', 'DEBUG', 'DEBUG2', 'DEBUG3', 'DEBUG4', 'INFO', 'INFO2', 'INFO3', 'INFO4',
     'WARN', 'WARN2', 'WARN3', 'WARN4', 'ERROR', 'ERROR2', 'ERROR3', 'ERROR4', 'FATAL', 'FATAL2', 'FATAL3', 'FATAL4'],
    replace(n, 'SEVERITY_NUMBER_', '')));
-- What a metric point does not tell: left out here, zero or empty on the wire of protobuf. Where a kind of point has the
-- number, both say that it is zero (`json_zero`); a time, a name and a list that are not told are none.
CREATE MACRO json_given(number) AS number;
CREATE MACRO json_zero(number) AS coalesce(nullif(number, ''), '0');
CREATE MACRO json_name(text) AS text;
CREATE MACRO json_listed(list) AS CASE WHEN len(list) > 0 THEN list END;
