-- Which errors dominate the last 30 minutes before the newest span: by service, span and deepest in-app frame.
WITH newest AS (SELECT max(start_ns) AS at_ns FROM spans),
     recent AS (
        SELECT e.*, s.http_route, s.url_path,
               regexp_extract_all(e.stack, '(?m)^[ \t]*(?:File "[^"]+", line \d+, in .+|at .+\(.+:\d+\)|at .+:\d+(?::\d+)?|\S+\(.*\)\n\t\S+\.go:\d+)$')
                   AS frames
        FROM errors e LEFT JOIN spans s ON s.trace_id = e.trace_id AND s.span_id = e.span_id
        WHERE e.at_ns >= (SELECT at_ns FROM newest) - 30 * 60 * 1000000000::BIGINT),
     framed AS (
        SELECT *, list_filter(frames, lambda f: NOT regexp_matches(
               f, 'site-packages|dist-packages|/lib/python|<frozen|node_modules|node:internal|\(java\.|at java\.|at jdk\.|at sun\.'))
               AS in_app
        FROM recent)
SELECT service AS service_name, operation AS span_name,
       trim(coalesce(in_app[-1], frames[-1])) AS top_frame,
       count(*) AS errors,
       list_distinct(list(coalesce(http_route, url_path)))[:5] AS top_paths
FROM framed GROUP BY ALL ORDER BY errors DESC, service_name, span_name, top_frame LIMIT 20
