-- The spans of the traces that this segment shares with those before it; these traces' own times say where to look.
CREATE OR REPLACE TEMP TABLE shared_spans AS
WITH bounds AS (SELECT min(start_ns) AS low, max(end_ns) AS high FROM ({known_parts}) SEMI JOIN shared_traces USING (trace_id)),
     told AS (
        SELECT true AS fresh, {columns} FROM segment.spans
        UNION ALL
        SELECT false, * FROM ({known_spans})
        WHERE (start_ns >= (SELECT low FROM bounds) AND start_ns <= (SELECT high FROM bounds)) OR start_ns IS NULL)
SELECT fresh, {keyed} FROM told SEMI JOIN shared_traces USING (trace_id);

-- A map of all of them, less what was counted of either alone: an edge is a sum over segments, and may be less than zero here.
INSERT INTO segment.edge_parts
SELECT caller, callee, step, sum(sign * calls), sum(sign * errors) FROM (
    SELECT 1 AS sign, * FROM ({all}) UNION ALL SELECT -1, * FROM ({fresh}) UNION ALL SELECT -1, * FROM ({known}))
GROUP BY ALL HAVING sum(sign * calls) <> 0 OR sum(sign * errors) <> 0 ORDER BY ALL;

DROP TABLE shared_spans;
