-- The service map of one segment, from its spans alone. Ids are compared by their hash: twice as fast as by their text.
-- A child is here once for every span that has its parent's id: where ids come again, `edges_once.sql` counts instead.
-- A server's span without a parent may share its id with the client's that called it (Zipkin).
CREATE OR REPLACE TEMP TABLE edges_here AS
WITH children AS (
        SELECT hash(trace_id, coalesce(parent_span_id, span_id)) AS key, parent_span_id IS NULL AS shared, service,
            status = 'error' AS failed, {step} AS step
        FROM segment.spans WHERE {may_be_called}),
     parents AS (SELECT hash(trace_id, span_id) AS key, service, kind IN ('client', 'producer') AS calls FROM segment.spans)
SELECT p.service AS caller, c.service AS callee, step, count(*) AS calls, count_if(failed) AS errors
FROM children c LEFT JOIN parents p ON p.key = c.key AND (p.calls OR NOT c.shared) GROUP BY ALL;
