-- Spans whose parent is not in the segment.
INSERT INTO segment.strays
SELECT trace_id, parent_span_id, service, {step}, status = 'error'
FROM segment.spans c ANTI JOIN (SELECT hash(trace_id, span_id) AS key FROM segment.spans) p
  ON p.key = hash(c.trace_id, c.parent_span_id)
WHERE parent_span_id IS NOT NULL ORDER BY ALL;
