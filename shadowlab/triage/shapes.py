"""What the requests of one operation look like: failing and passing ones, each as a set of `attribute=value` pairs.

An operation with more passing requests than `MOST` is thinned by a hash of their ids, which no order and no outcome of
anything can sway. Attributes of the request's own span and resource come as they are; those of the service's other
spans and quiet logs (below a warning: louder ones restate the failure) and its feature flags in the same trace too;
those of the trace's root in another service after that service's name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from shadowlab.telemetry.questions.requests import FAILED
from shadowlab.triage.burn import LONGEST
from shadowlab.triage.scene import Store, keep

MOST = 2_000

_CHOSEN = f"""
WITH own AS (
    SELECT trace_id, span_id, coalesce(end_ns, start_ns) AS at_ns, attributes, resource_attributes,
           {{weight}} AS weight,
           (trace_id, span_id) IN (SELECT (t, s) FROM (SELECT unnest($traces) AS t, unnest($spans) AS s)) AS failing,
           {FAILED} AS failed
    FROM spans
    WHERE service = $service AND name = $name AND start_ns > $low - {LONGEST} AND start_ns <= $high
      AND coalesce(end_ns, start_ns) > $low AND coalesce(end_ns, start_ns) <= $high)
SELECT * EXCLUDE failed FROM own WHERE failing OR NOT failed
QUALIFY row_number() OVER (PARTITION BY failing ORDER BY hash(trace_id, span_id), trace_id, span_id) <= {MOST}
ORDER BY at_ns, trace_id, span_id"""

# (2) what the traces' other spans, quiet logs and flags say, each pair once a trace
_OTHERS = """
WITH told AS (
    SELECT trace_id, service, attributes FROM spans
    WHERE start_ns > $first AND start_ns <= $high AND trace_id IN (SELECT unnest($traces))
      AND (service = $service OR coalesce(parent_span_id, '') = '')
    UNION ALL
    SELECT trace_id, service, attributes FROM logs
    WHERE at_ns > $first AND at_ns <= $high AND service = $service AND trace_id IN (SELECT unnest($traces))
      AND coalesce(severity_number, 0) < 13
    UNION ALL
    SELECT trace_id, service, MAP {'feature_flag.' || attributes['feature_flag.key']: coalesce(
        attributes['feature_flag.result.variant'], attributes['feature_flag.variant'],
        attributes['feature_flag.result.value'])}
    FROM events
    WHERE at_ns > $first AND at_ns <= $high AND service = $service AND trace_id IN (SELECT unnest($traces))
      AND name LIKE 'feature_flag%' AND attributes['feature_flag.key'] IS NOT NULL),
entries AS (
    SELECT trace_id, unnest(map_entries(attributes)) AS e, CASE WHEN service = $service THEN '' ELSE service || ': ' END
           AS place FROM told)
SELECT DISTINCT trace_id, place || e.key AS key, left(e.value, 200) AS value FROM entries
WHERE e.value IS NOT NULL AND NOT regexp_matches(e.key, $restating)"""

_PAIRS = """
CREATE OR REPLACE TEMP TABLE pairs AS
WITH entries AS (
    SELECT rid, unnest(map_entries(attributes)) AS e FROM chosen
    UNION ALL SELECT rid, unnest(map_entries(resource_attributes)) FROM chosen)
SELECT rid, e.key AS key, left(e.value, 200) AS value FROM entries
WHERE e.value IS NOT NULL AND NOT regexp_matches(e.key, $restating)
UNION SELECT rid, key, value FROM others JOIN chosen USING (trace_id)"""

RESTATING = re.compile(
    r"^(?:error|exception|otel\.status|http\.response|rpc\.response|shadowlab|sampling)\b"
    r"|status[._]?(?:code|message|text)?$|(?:^|[._])(?:exception|error|fail(?:ed|ure)?|outcome|result|success)(?:[._]|$)"
    r"|stack_?trace|^code\.(?:line|stack)|^(?:thread|network|net|client)\.(?:id|peer\.port|host\.port)$|^client\.port$"
    r"|^(?:log|level|severity)\b|exit[._]code$"
)
"""Attributes that merely say again that the request failed, and connection numbers; set aside, never tested."""


@dataclass(frozen=True, slots=True)
class Group:
    """Failing requests of one operation, by their span's ids."""

    service: str
    name: str
    traces: tuple[str, ...]
    spans: tuple[str, ...]
    low_ns: int
    high_ns: int
    weight: str
    """SQL for the requests that a span stands for."""


def draw(con: Any, store: Store, group: Group) -> None:
    """Make tables `chosen` (a request each: `rid, failing, weight`) and `pairs` (`rid, key, value`) in a scene."""
    params = {"traces": list(group.traces), "spans": list(group.spans), "service": group.service, "name": group.name}
    bounds = {"low": group.low_ns, "high": group.high_ns}
    keep(
        con,
        "chosen",
        store.sql(_CHOSEN.format(weight=group.weight), {**params, **bounds}).arrow(),
        "row_number() OVER () - 1 AS rid, *",
        temporary=True,
    )
    traces = [row[0] for row in con.execute("SELECT DISTINCT trace_id FROM chosen").fetchall()]
    told = {"restating": RESTATING.pattern}
    wide = {"traces": traces, "service": group.service, "first": group.low_ns - 2 * LONGEST, "high": group.high_ns}
    keep(con, "others", store.sql(_OTHERS, {**wide, **told}).arrow(), temporary=True)
    con.execute(_PAIRS, told)
