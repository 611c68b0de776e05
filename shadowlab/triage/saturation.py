"""Services that ran full: utilisation that reached its limit, queues that grew, by their own metrics.

A gauge counts when its name says what it measures (`…utilization`, `…queue…`; semantic conventions of OpenTelemetry),
when the points of the window lie above those of before (Mann and Whitney), and when they are high: nine tenths of what
there is, or three times as many waiting.
"""

from __future__ import annotations

from collections import defaultdict

from shadowlab.triage.facts import Facts
from shadowlab.triage.mann_whitney import p_value
from shadowlab.triage.tables import Store

ALPHA = 0.001
"""Chance of one wrongly named gauge, over all that are looked at."""
FULL = 0.9
GROWN = 3.0
_LEAST = 5
"""Points that a period must have."""

_POINTS = """
WITH named AS (
    SELECT service, name, at_ns > $low AS late, at_ns, value / CASE WHEN unit = '%' THEN 100 ELSE 1 END AS value,
           CASE WHEN regexp_matches(name, 'utili[sz]ation$|saturation$') THEN 'share' ELSE 'queue' END AS kind
    FROM metric_points
    WHERE at_ns > $first AND at_ns <= $high AND isfinite(value) AND service IS NOT NULL
      AND regexp_matches(name, 'utili[sz]ation$|saturation$|queue|backlog|pending|waiting|\\blag$'))
SELECT service, name, kind, list(value ORDER BY at_ns) FILTER (NOT late) AS early,
       list(value ORDER BY at_ns) FILTER (late) AS late
FROM named GROUP BY ALL ORDER BY service, name"""


def saturated(store: Store, seen: Facts, *, low_ns: int, high_ns: int) -> dict[str, list[str]]:
    """What ran full in the window, in words, by service; as long before the window is what was usual."""
    if not seen.within("point", 2 * low_ns - high_ns, high_ns):
        return {}
    rows = store.sql(_POINTS, {"first": 2 * low_ns - high_ns, "low": low_ns, "high": high_ns}).rows()
    told: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        early, late = row["early"] or [], row["late"] or []
        if min(len(early), len(late)) < _LEAST or p_value(late, early) * len(rows) > ALPHA:
            continue
        words = _words(row["kind"], sorted(early), sorted(late))
        if words:
            told[row["service"]].append(f"{row['name']} {words}")
    return told


def _words(kind: str, early: list[float], late: list[float]) -> str:
    before, high = early[len(early) // 2], late[-1 - len(late) // 20]
    if kind == "share" and high >= FULL:
        return f"reached {high:.0%} (before: {before:.0%})"
    if kind == "queue" and high >= 1 and late[len(late) // 2] >= GROWN * before:
        return f"grew from {before:,.0f} to {high:,.0f}"
    return ""
