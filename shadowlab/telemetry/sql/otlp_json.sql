-- OTLP/JSON values. Ids come in hex of either case, or in base64 (the plain protobuf mapping); all zeros is no id.
CREATE MACRO hex_id(id) AS nullif(nullif(CASE WHEN ends_with(id, '=') THEN lower(hex(from_base64(id))) ELSE lower(id) END, ''),
    '0000000000000000');
CREATE MACRO hex_trace(id) AS nullif(hex_id(id), '00000000000000000000000000000000');
CREATE MACRO any_text(v) AS coalesce(v.stringValue, v.intValue, TRY_CAST(v.doubleValue AS DOUBLE)::VARCHAR, v.boolValue,
    v.bytesValue, plain_json(v.arrayValue::VARCHAR), plain_json(v.kvlistValue::VARCHAR), v.doubleValue);
CREATE MACRO any_type(v) AS CASE
    WHEN v.stringValue IS NOT NULL THEN 's' WHEN v.intValue IS NOT NULL THEN 'i' WHEN v.doubleValue IS NOT NULL THEN 'd'
    WHEN v.boolValue IS NOT NULL THEN 'b' WHEN v.bytesValue IS NOT NULL THEN 'y' WHEN v.arrayValue IS NOT NULL THEN 'a'
    WHEN v.kvlistValue IS NOT NULL THEN 'k' ELSE 'n' END;
CREATE MACRO keys_in(list) AS list_transform(list, lambda a: a.key);
CREATE MACRO vals_in(list) AS list_transform(list, lambda a: any_text(a.value));
CREATE MACRO types_in(list) AS array_to_string(list_transform(list, lambda a: any_type(a.value)), '');
CREATE MACRO pairs_in(list) AS list_transform(list_filter(list, lambda a: a.key IS NOT NULL),
    lambda a: {'k': a.key, 'v': any_text(a.value), 't': any_type(a.value)});
CREATE MACRO is_odd(text, number) AS text IS NOT NULL AND text <> '' AND number IS NULL;
