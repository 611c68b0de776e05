-- Calls between two segments: `{stray}` has spans without their parents, `{home}` may have those. The traces that both
-- know say where in time to look.
INSERT INTO segment.edge_parts
WITH sought AS (SELECT * FROM {stray}.strays SEMI JOIN {home}.trace_parts USING (trace_id)),
     bounds AS (SELECT min(start_ns) AS low, max(end_ns) AS high FROM {home}.trace_parts SEMI JOIN sought USING (trace_id)),
     near AS (
        SELECT trace_id, span_id, service FROM {home}.spans
        WHERE (start_ns >= (SELECT low FROM bounds) AND start_ns <= (SELECT high FROM bounds)) OR start_ns IS NULL)
SELECT p.service, c.service, step, count(*), count_if(failed)
FROM sought c JOIN near p ON p.trace_id = c.trace_id AND p.span_id = c.parent_span_id
WHERE p.service <> c.service GROUP BY ALL ORDER BY ALL;
