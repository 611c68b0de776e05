-- Which errors dominate the last 30 minutes before the newest span: by service, span and deepest in-app frame.
-- Python prints the deepest frame last, other runtimes first, after their last cause.
WITH newest AS (SELECT max(start_ns) AS at_ns FROM part_spans),
     recent AS MATERIALIZED (
        SELECT trace_id, span_id, service, operation, contains(stack, 'File "') AS deepest_last,
               regexp_extract_all(
                   CASE WHEN contains(stack, E'\nCaused by: ') THEN string_split(stack, E'\nCaused by: ')[-1] ELSE stack END,
                   '(?m)^[ \t]*(?:File "[^"\n]+", line \d+, in .+|at .+:\d+\)?|\S+\(.*\)\n\t\S+\.go:\d+)(?: \+0x[0-9a-f]+)?$')
                   AS frames
        FROM errors WHERE at_ns >= (SELECT at_ns FROM newest) - 30 * 60 * 1000000000::BIGINT),
     -- Spans of these traces begin no earlier than the traces do: what lies before is not read.
     asked AS (
        SELECT trace_id, span_id, any_value(coalesce(http_route, url_path)) AS path
        FROM part_spans SEMI JOIN recent USING (trace_id, span_id)
        WHERE start_ns >= (SELECT min(start_ns) FROM part_trace_parts SEMI JOIN recent USING (trace_id)) GROUP BY ALL),
     placed AS (SELECT *, CASE WHEN deepest_last THEN frames[-1] ELSE frames[1] END AS deepest FROM recent),
     framed AS (
        SELECT p.*, a.path, CASE WHEN regexp_matches(deepest, 'site-packages|dist-packages|/lib/python|<frozen|node_modules|node:internal|at (?:[\w.@-]*/)?(?:java|jdk|sun)\.|/src/runtime/|/pkg/mod/') THEN
               coalesce(list_filter(frames, lambda f: NOT regexp_matches(f, 'site-packages|dist-packages|/lib/python|<frozen|node_modules|node:internal|at (?:[\w.@-]*/)?(?:java|jdk|sun)\.|/src/runtime/|/pkg/mod/'))[CASE WHEN deepest_last THEN -1 ELSE 1 END], deepest)
               ELSE deepest END AS top_frame
        FROM placed p LEFT JOIN asked a ON a.trace_id = p.trace_id AND a.span_id = p.span_id)
SELECT service AS service_name, operation AS span_name, trim(top_frame, E' \t') AS top_frame,
       count(*) AS errors,
       list_distinct(list(path))[:5] AS top_paths
FROM framed GROUP BY ALL ORDER BY errors DESC, service_name, span_name, top_frame LIMIT 20
