-- The service map of one segment, from its spans alone. Ids are compared by their hash: twice as fast as by their text.
CREATE OR REPLACE TEMP TABLE edges_here AS
WITH children AS (
        SELECT hash(trace_id, parent_span_id) AS key, service, status = 'error' AS failed, {step} AS step
        FROM segment.spans WHERE parent_span_id IS NOT NULL),
     parents AS (SELECT hash(trace_id, span_id) AS key, service FROM segment.spans)
SELECT p.key IS NULL AS astray, p.service AS caller, c.service AS callee, step, count(*) AS calls, count_if(failed) AS errors
FROM children c LEFT JOIN parents p ON p.key = c.key GROUP BY ALL;

INSERT INTO segment.edge_parts
SELECT * EXCLUDE (astray) FROM edges_here WHERE caller <> callee ORDER BY ALL;
