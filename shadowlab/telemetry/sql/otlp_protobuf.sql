-- OTLP/protobuf values, as `readers/otlp_protobuf.py` hands them over: the names of OTLP/JSON, other types.
CREATE MACRO pb_id(id) AS nullif(nullif(lower(hex(id)), ''), '0000000000000000');
CREATE MACRO pb_trace(id) AS nullif(pb_id(id), '00000000000000000000000000000000');
CREATE MACRO pb_text(v) AS coalesce(v.stringValue, v.intValue::VARCHAR, v.doubleValue::VARCHAR, v.boolValue::VARCHAR,
    to_base64(v.bytesValue), pb_array(v.arrayValue), pb_kvlist(v.kvlistValue));
CREATE MACRO pb_type(v) AS CASE
    WHEN v.stringValue IS NOT NULL THEN 's' WHEN v.intValue IS NOT NULL THEN 'i' WHEN v.doubleValue IS NOT NULL THEN 'd'
    WHEN v.boolValue IS NOT NULL THEN 'b' WHEN v.bytesValue IS NOT NULL THEN 'y' WHEN v.arrayValue IS NOT NULL THEN 'a'
    WHEN v.kvlistValue IS NOT NULL THEN 'k' ELSE 'n' END;
CREATE MACRO pb_shape(list) AS hash(list_transform(list, lambda a: hash(a.key, pb_type(a.value))));
CREATE MACRO pb_keys(list) AS list_transform(list, lambda a: a.key);
CREATE MACRO pb_vals(list) AS list_transform(list, lambda a: pb_text(a.value));
CREATE MACRO pb_types(list) AS array_to_string(list_transform(list, lambda a: pb_type(a.value)), '');
CREATE MACRO pb_pairs(list) AS coalesce(list_transform(list,
    lambda a: {'k': a.key, 'v': pb_text(a.value), 't': pb_type(a.value)}), []);
CREATE MACRO pb_kind(kind) AS CASE kind
    WHEN 1 THEN 'internal' WHEN 2 THEN 'server' WHEN 3 THEN 'client' WHEN 4 THEN 'producer' WHEN 5 THEN 'consumer'
    ELSE 'unspecified' END;
CREATE MACRO pb_status(code) AS CASE code WHEN 1 THEN 'ok' WHEN 2 THEN 'error' ELSE 'unset' END;
CREATE MACRO pb_severity(n) AS n;
CREATE MACRO pb_temporality(t) AS CASE t WHEN 1 THEN 'delta' WHEN 2 THEN 'cumulative' END;
-- A zero, an empty text and an empty list are not sent: they are as absent as where JSON leaves them out.
CREATE MACRO pb_given(number) AS nullif(number, 0);
CREATE MACRO pb_zero(number) AS number;
CREATE MACRO pb_name(text) AS nullif(text, '');
CREATE MACRO pb_listed(list) AS CASE WHEN len(list) > 0 THEN list END;
-- Only what is unsigned on the wire can be beyond a column.
CREATE MACRO pb_no_count(told) AS coalesce(told > 9223372036854775807, false);
CREATE MACRO pb_no_whole(told) AS false;
CREATE MACRO pb_no_integer(told) AS false;
CREATE MACRO pb_no_double(told) AS false;
