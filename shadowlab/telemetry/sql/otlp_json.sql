-- OTLP/JSON as the collector, the SDKs and protobuf's own printer write it: enums by number or name, ids in hex or base64.
CREATE MACRO hex_id(id) AS CASE
    WHEN id IS NULL OR id = '' OR regexp_full_match(id, '0+') THEN NULL
    WHEN length(id) IN (12, 24) AND regexp_full_match(id, '[A-Za-z0-9+/]+=+') THEN lower(hex(from_base64(id)))
    ELSE lower(id) END;
CREATE MACRO any_text(v) AS coalesce(v.stringValue, v.intValue, v.doubleValue::DOUBLE::VARCHAR, v.boolValue, v.bytesValue,
    plain_json(v.arrayValue::VARCHAR), plain_json(v.kvlistValue::VARCHAR));
CREATE MACRO any_type(v) AS CASE
    WHEN v.stringValue IS NOT NULL THEN 's' WHEN v.intValue IS NOT NULL THEN 'i' WHEN v.doubleValue IS NOT NULL THEN 'd'
    WHEN v.boolValue IS NOT NULL THEN 'b' WHEN v.bytesValue IS NOT NULL THEN 'y' WHEN v.arrayValue IS NOT NULL THEN 'a'
    WHEN v.kvlistValue IS NOT NULL THEN 'k' ELSE 'n' END;
CREATE MACRO attributes_of(list) AS coalesce(list_transform(list_filter(list, lambda a: a.key IS NOT NULL),
    lambda a: {'k': a.key, 'v': redacted_value(a.key, any_text(a.value)), 't': any_type(a.value)}), []);
CREATE MACRO span_kind(kind) AS CASE lower(replace(kind, 'SPAN_KIND_', ''))
    WHEN '1' THEN 'internal' WHEN '2' THEN 'server' WHEN '3' THEN 'client' WHEN '4' THEN 'producer' WHEN '5' THEN 'consumer'
    WHEN 'internal' THEN 'internal' WHEN 'server' THEN 'server' WHEN 'client' THEN 'client'
    WHEN 'producer' THEN 'producer' WHEN 'consumer' THEN 'consumer' ELSE 'unspecified' END;
CREATE MACRO span_status(code) AS CASE lower(replace(code, 'STATUS_CODE_', ''))
    WHEN '1' THEN 'ok' WHEN 'ok' THEN 'ok' WHEN '2' THEN 'error' WHEN 'error' THEN 'error' ELSE 'unset' END;
CREATE MACRO temporality_of(t) AS CASE lower(replace(t, 'AGGREGATION_TEMPORALITY_', ''))
    WHEN '1' THEN 'delta' WHEN 'delta' THEN 'delta' WHEN '2' THEN 'cumulative' WHEN 'cumulative' THEN 'cumulative' END;
CREATE MACRO severity_of(n) AS coalesce(TRY_CAST(n AS INTEGER), list_position(
    ['TRACE', 'TRACE2', 'TRACE3', 'TRACE4', 'DEBUG', 'DEBUG2', 'DEBUG3', 'DEBUG4', 'INFO', 'INFO2', 'INFO3', 'INFO4',
     'WARN', 'WARN2', 'WARN3', 'WARN4', 'ERROR', 'ERROR2', 'ERROR3', 'ERROR4', 'FATAL', 'FATAL2', 'FATAL3', 'FATAL4'],
    replace(n, 'SEVERITY_NUMBER_', '')));
