"""Where in the graph it starts: services ranked by the broken requests that their own errors explain."""

from __future__ import annotations

from typing import Any

from shadowlab.records import Blamed
from shadowlab.triage.scene import dicts

_BLAME = """
WITH root AS (SELECT c.eid, c.root, r.service AS cause FROM charged c JOIN signed r ON r.eid = c.root),
broken AS (SELECT b.cause_eid, b.weight, s.service FROM breaks b JOIN signed s ON s.eid = b.cause_eid),
own AS (
    SELECT s.service, count(*) AS events, count(*) FILTER (root.root <> s.eid) AS passed_on,
           count(*) FILTER (root.root = s.eid) AS caused
    FROM signed s JOIN root USING (eid) WHERE s.at_ns > ? AND s.at_ns <= ? GROUP BY s.service)
SELECT own.*, coalesce((SELECT sum(weight) FROM broken b WHERE b.service = own.service), 0) AS broken
FROM own ORDER BY service"""


def blame(con: Any, *, low_ns: int, high_ns: int) -> tuple[Blamed, ...]:
    """Services with errors in the window, by the share of broken requests that start with them; ties keep equal scores.

    Where no objective is broken, the share of errors that were not passed on counts instead, at a tenth.
    """
    rows = dicts(con, _BLAME, [low_ns, high_ns])
    broken, caused = sum(row["broken"] for row in rows), sum(row["caused"] for row in rows)
    told = []
    for row in rows:
        score = row["broken"] / broken if broken else 0.1 * row["caused"] / (caused or 1)
        evidence = [f"{row['caused']:,} errors start here"] if row["caused"] else []
        if row["broken"]:
            evidence.insert(0, f"its errors break {row['broken']:,.0f} requests of the objectives")
        if row["passed_on"]:
            evidence.append(f"{row['passed_on']:,} errors are passed on from below")
        told.append(Blamed(service=row["service"] or "", score=round(score, 6), evidence=tuple(evidence)))
    return tuple(sorted(told, key=lambda b: (-b.score, b.service)))
