-- Which errors dominate the last 30 minutes before the newest span: by service, span and deepest in-app frame.
WITH newest AS (SELECT max(start_ns) AS at_ns FROM part_spans),
     recent AS MATERIALIZED (
        SELECT trace_id, span_id, service, operation,
               regexp_extract_all(stack, '(?m)^[ \t]*(?:File "[^"\n]+", line \d+, in .+|at .+:\d+\)?|\S+\(.*\)\n\t\S+\.go:\d+)$')
                   AS frames
        FROM errors WHERE at_ns >= (SELECT at_ns FROM newest) - 30 * 60 * 1000000000::BIGINT),
     -- Spans of these traces begin no earlier than the traces do: what lies before is not read.
     asked AS (
        SELECT trace_id, span_id, any_value(coalesce(http_route, url_path)) AS path FROM part_spans
        WHERE start_ns >= (SELECT min(start_ns) FROM part_trace_parts SEMI JOIN recent USING (trace_id)) GROUP BY ALL),
     framed AS (
        SELECT r.*, a.path, CASE WHEN regexp_matches(frames[-1], 'site-packages|dist-packages|/lib/python|<frozen|node_modules|node:internal|\(java\.|at java\.|at jdk\.|at sun\.') THEN
               coalesce(list_filter(frames, lambda f: NOT regexp_matches(f, 'site-packages|dist-packages|/lib/python|<frozen|node_modules|node:internal|\(java\.|at java\.|at jdk\.|at sun\.'))[-1], frames[-1])
               ELSE frames[-1] END AS top_frame
        FROM recent r LEFT JOIN asked a ON a.trace_id = r.trace_id AND a.span_id = r.span_id)
SELECT service AS service_name, operation AS span_name, trim(top_frame) AS top_frame,
       count(*) AS errors,
       list_distinct(list(path))[:5] AS top_paths
FROM framed GROUP BY ALL ORDER BY errors DESC, service_name, span_name, top_frame LIMIT 20
