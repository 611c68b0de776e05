"""What the requests of an operation look like: failing and passing ones, each as a set of `attribute=value` pairs.

An operation with more passing requests than `MOST` is thinned by a hash of their ids, which no order and no outcome of
anything can sway. Attributes of the request's own span and resource come as they are; those of the service's other
spans and quiet logs (below a warning: louder ones restate the failure) and its feature flags in the same trace too;
those of the trace's root in another service after that service's name. All groups are drawn at once: their requests
lie in the same spans, often in the same traces.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shadowlab.telemetry.questions.requests import FAILED
from shadowlab.triage.burn import LONGEST
from shadowlab.triage.drawn import Drawn, split
from shadowlab.triage.scene import Store, keep

MOST = 2_000

_ASKED = "asked AS (SELECT unnest($groups) AS n, unnest($services) AS service, unnest($names) AS name)"
_NAMED = "service IN (SELECT unnest($services)) AND name IN (SELECT unnest($names))"

# (1) the requests of each group
_CHOSEN = f"""
WITH {_ASKED},
broken AS (SELECT DISTINCT unnest($of) AS n, unnest($traces) AS trace_id, unnest($spans) AS span_id),
own AS (
    SELECT service, name, trace_id, span_id, coalesce(end_ns, start_ns) AS at_ns, {{weight}} AS weight,
           {FAILED} AS failed, resource_attributes
    FROM spans
    WHERE {_NAMED} AND start_ns > $low - {LONGEST} AND start_ns <= $high
      AND coalesce(end_ns, start_ns) > $low AND coalesce(end_ns, start_ns) <= $high),
told AS (
    SELECT own.* EXCLUDE (service, name), a.n, b.n IS NOT NULL AS failing
    FROM own JOIN asked a USING (service, name)
    LEFT JOIN broken b ON b.n = a.n AND b.trace_id = own.trace_id AND b.span_id = own.span_id)
SELECT n, trace_id, span_id, at_ns, weight, failing, resource_attributes FROM told WHERE failing OR NOT failed
QUALIFY row_number() OVER (PARTITION BY n, failing ORDER BY hash(trace_id, span_id), trace_id, span_id) <= {MOST}"""

# (2) what the traces' spans, quiet logs and flags say, each pair once a trace and service
_SAID = """
WITH told AS (
    SELECT trace_id, service, coalesce(parent_span_id, '') = '' AS root, attributes FROM spans
    WHERE start_ns > $first AND start_ns <= $high AND trace_id IN (SELECT unnest($traces))
      AND (service IN (SELECT unnest($services)) OR coalesce(parent_span_id, '') = '')
    UNION ALL
    SELECT trace_id, service, false, attributes FROM logs
    WHERE at_ns > $first AND at_ns <= $high AND service IN (SELECT unnest($services))
      AND trace_id IN (SELECT unnest($traces)) AND coalesce(severity_number, 0) < 13
    UNION ALL
    SELECT trace_id, service, false, MAP {'feature_flag.' || attributes['feature_flag.key']: coalesce(
        attributes['feature_flag.result.variant'], attributes['feature_flag.variant'],
        attributes['feature_flag.result.value'])}
    FROM events
    WHERE at_ns > $first AND at_ns <= $high AND service IN (SELECT unnest($services))
      AND trace_id IN (SELECT unnest($traces))
      AND name LIKE 'feature_flag%' AND attributes['feature_flag.key'] IS NOT NULL
    UNION ALL
    SELECT trace_id, service, false, MAP {'feature_flag.' || attributes['feature_flag.key']: coalesce(
        attributes['feature_flag.result.variant'], attributes['feature_flag.result.value'])}
    FROM logs
    WHERE at_ns > $first AND at_ns <= $high AND service IN (SELECT unnest($services))
      AND trace_id IN (SELECT unnest($traces))
      AND event_name LIKE 'feature_flag%' AND attributes['feature_flag.key'] IS NOT NULL),
entries AS (SELECT trace_id, service, root, unnest(map_entries(attributes)) AS e FROM told)
SELECT DISTINCT trace_id, service, root, e.key AS key, left(e.value, 200) AS value FROM entries
WHERE e.value IS NOT NULL"""

# (3) which makes the pairs of each request; what restates the failure is looked for among the names, once each
_PAIRS = """
WITH told AS (
    SELECT n, rid, unnest(map_entries(resource_attributes)) AS e FROM drawn),
of_resources AS (SELECT n, rid, e.key AS key, left(e.value, 200) AS value FROM told WHERE e.value IS NOT NULL),
quiet AS (
    SELECT key FROM (SELECT DISTINCT key FROM said UNION SELECT DISTINCT key FROM of_resources)
    WHERE NOT regexp_matches(key, $restating) OR starts_with(key, 'feature_flag.'))
SELECT n, rid, key, value FROM of_resources SEMI JOIN quiet USING (key)
UNION
SELECT d.n, d.rid, CASE WHEN s.service = a.service THEN '' ELSE s.service || ': ' END || s.key, s.value
FROM said s SEMI JOIN quiet USING (key) JOIN drawn d USING (trace_id)
JOIN asked a ON a.n = d.n AND (a.service = s.service OR s.root)
WHERE s.service IS NOT NULL"""

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


def draw(con: Any, store: Store, groups: Sequence[Group], *, low_ns: int, high_ns: int, weight: str) -> list[Drawn]:
    """What each group is compared by: its failing requests and passing ones of the same operation and window.

    `weight` is SQL for the requests that a span stands for. Makes tables `asked`, `drawn` and `said_of` in the scene.
    """
    if not groups:
        return []
    asked = {
        "groups": list(range(len(groups))),
        "services": [g.service for g in groups],
        "names": [g.name for g in groups],
    }
    failing = {
        "of": [n for n, g in enumerate(groups) for _ in g.traces],
        "traces": [trace for g in groups for trace in g.traces],
        "spans": [span for g in groups for span in g.spans],
    }
    bounds = {"low": low_ns, "high": high_ns}
    chosen = store.sql(_CHOSEN.format(weight=weight), {**asked, **failing, **bounds}).arrow()
    rid = "row_number() OVER (PARTITION BY n ORDER BY at_ns, trace_id, span_id) - 1 AS rid"
    keep(con, "drawn", chosen, f"{rid}, hash(trace_id) AS tid, *")
    con.execute(f"CREATE OR REPLACE TABLE asked AS WITH {_ASKED} SELECT * FROM asked", asked)
    traces = [row[0] for row in con.execute("SELECT DISTINCT trace_id FROM drawn").fetchall()]
    wide = {"first": low_ns - 2 * LONGEST, "high": high_ns, "traces": traces, "services": asked["services"]}
    con.register("said", store.sql(_SAID, wide).arrow())
    requests = con.sql("SELECT n, trace_id, tid, at_ns, failing, weight FROM drawn ORDER BY n, rid").to_arrow_table()
    pairs = con.sql(_PAIRS, params={"restating": RESTATING.pattern}).to_arrow_table()
    con.unregister("said")
    return split(con, requests, pairs, len(groups))
