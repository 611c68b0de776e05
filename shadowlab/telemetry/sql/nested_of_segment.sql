-- The few spans with events or links, with the identity that each was given where it is stored: nothing else has its id and
-- time, and to make the identity anew would read all that is staged of them.
SELECT stored.row_id, trace_id, few.span_id, o.service, {name} AS name, o.service_version, {events} AS events, {links} AS links
FROM few_spans few JOIN (SELECT span_id, start_ns, row_id FROM segment.spans {during}) stored
    ON stored.span_id = few.span_id AND stored.start_ns IS NOT DISTINCT FROM few.start_ns
LEFT JOIN origin o ON o.raw = few.raw
