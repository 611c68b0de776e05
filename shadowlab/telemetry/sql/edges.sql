-- The service map of one segment, from its spans alone. Ids are compared by their hash: twice as fast as by their text.
-- A child is here once for every span that has its parent's id: where ids come again, `edges_once.sql` counts instead.
CREATE OR REPLACE TEMP TABLE edges_here AS
WITH children AS (
        SELECT hash(trace_id, parent_span_id) AS key, service, status = 'error' AS failed, {step} AS step
        FROM segment.spans WHERE parent_span_id IS NOT NULL),
     parents AS (SELECT hash(trace_id, span_id) AS key, service FROM segment.spans)
SELECT p.service AS caller, c.service AS callee, step, count(*) AS calls, count_if(failed) AS errors
FROM children c LEFT JOIN parents p ON p.key = c.key GROUP BY ALL;
