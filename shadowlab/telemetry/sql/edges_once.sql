-- Calls between services among {spans}, where several spans may have one id. A child has one caller: its own service when
-- that is among its parents, else one that was called itself (Zipkin's client and server share an id), else the first by name.
-- A server's span without a parent has for one a client's that shares its id.
SELECT parent.service AS caller, callee, step, count(*) AS calls, count_if(failed) AS errors
FROM (
    SELECT c.service AS callee, c.step, c.failed,
        min({'other': p.service <> c.service, 'caller': NOT p.called, 'service': p.service}) AS parent
    FROM {spans} c JOIN {spans} p ON p.key = c.parent_key AND (p.calls OR NOT c.shared)
    WHERE c.service IS NOT NULL AND p.service IS NOT NULL GROUP BY c.row_id, c.service, c.step, c.failed)
WHERE parent.other GROUP BY ALL
