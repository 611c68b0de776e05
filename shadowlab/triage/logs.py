"""Log records without an exception as groups: masked as messages are, whatever their order.

Groups of the window are set against the same length of time before it. Those that became more common come first; what
is as it was comes last. Only masked texts are kept.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from shadowlab.records import LogGroup
from shadowlab.triage import mask
from shadowlab.triage.facts import Facts
from shadowlab.triage.tables import Store, signature
from shadowlab.triage.words import one_each

VERSION = 4
"""Of the rules for log records; a group's fingerprint depends on it."""
MOST_TEXTS = 100_000
"""Different texts that are looked at; of more, those whose hashes are smallest."""
MOST = 12

_LEVELS = ((21, "fatal"), (17, "error"), (13, "warn"), (9, "info"), (5, "debug"), (1, "trace"))

_RECORDS = f"""
WITH records AS (
    SELECT trace_id, coalesce(service, '') AS service, body, coalesce(severity_number, 0) AS level, at_ns > $low AS late
    FROM logs
    WHERE at_ns > $first AND at_ns <= $high AND body <> '' AND attributes['exception.type'] IS NULL
      AND attributes['exception.stacktrace'] IS NULL),
bodies AS (SELECT DISTINCT body AS text FROM records ORDER BY hash(body), body LIMIT {MOST_TEXTS}),
masked AS ({mask.query("bodies")}),
failed AS (SELECT DISTINCT trace_id FROM errors WHERE at_ns > $low AND at_ns <= $high)
SELECT r.service, m.template, max(r.level) AS level, count(*) FILTER (r.late) AS late,
       count(*) FILTER (NOT r.late) AS early, count(DISTINCT r.trace_id) FILTER (r.late) AS traces,
       count(f.trace_id) FILTER (r.late) AS failing
FROM records r JOIN masked m ON m.text = r.body LEFT JOIN failed f ON f.trace_id = r.trace_id
GROUP BY ALL ORDER BY ALL"""


def groups(store: Store, seen: Facts, *, first_ns: int, low_ns: int, high_ns: int) -> tuple[LogGroup, ...]:
    """Groups of the records after `low_ns` and until `high_ns`; those after `first_ns` are what was before."""
    if not seen.within("log", low_ns, high_ns):
        return ()
    rows = store.sql(_RECORDS, {"first": first_ns, "low": low_ns, "high": high_ns}).rows()
    found = [row for row in _merged(rows) if row["late"]]
    share = (high_ns - low_ns) / max(1, high_ns - first_ns)
    found.sort(key=lambda row: (-_risen(row, share), -row["level"], -row["late"], row["service"], row["template"]))
    return tuple(_group(row) for row in found[:MOST])


def _merged(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Templates of one service that say the same about other things are one."""
    texts: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        texts[row["service"]].add(row["template"])
    into = {service: one_each(templates) for service, templates in texts.items()}
    told: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        key = row["service"], into[row["service"]][row["template"]]
        kept = told.setdefault(key, {"service": key[0], "template": key[1], "level": 0})
        kept["level"] = max(kept["level"], row["level"])
        for name in ("late", "early", "traces", "failing"):
            kept[name] = kept.get(name, 0) + row[name]
    return list(told.values())


def _risen(row: Mapping[str, Any], share: float) -> float:
    """Log likelihood ratio of a rate that rose against one that did not; 0 for one that fell (Dunning 1993)."""
    late, early = row["late"], row["early"]
    expected = (late + early) * share
    if late <= expected:
        return 0.0
    ratio = late * math.log(late / expected)
    fell = early * math.log(early / (late + early - expected)) if early else 0.0
    return float(round(ratio + fell, 3))


def _group(row: Mapping[str, Any]) -> LogGroup:
    return LogGroup(
        fingerprint=signature(["log", VERSION, row["service"], row["template"]]),
        service=row["service"],
        template=row["template"],
        severity=next((word for least, word in _LEVELS if row["level"] >= least), ""),
        events=row["late"],
        before=row["early"],
        traces=row["traces"],
        failing=row["failing"],
    )
