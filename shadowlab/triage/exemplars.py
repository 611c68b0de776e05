"""Which failing requests to look at: few, and of different shapes, the ones that can be replayed first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from shadowlab.triage.scene import dicts

MOST = 5
_LEAST = 3
_TELLING = """
WITH sized AS (SELECT key, value, count(*) AS n FROM pairs SEMI JOIN chosen c ON c.rid = pairs.rid GROUP BY ALL),
shown AS (
    FROM chosen WHERE trace_id IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY failing ORDER BY hash(trace_id), rid) <= 500),
telling AS (
    SELECT key, value FROM sized WHERE n >= 2
    QUALIFY count(*) OVER (PARTITION BY key) BETWEEN 2 AND 40)
SELECT c.rid, c.trace_id, c.at_ns, c.failing, list([t.key, t.value] ORDER BY t.key, t.value) AS shape
FROM shown c LEFT JOIN (SELECT pairs.* FROM pairs SEMI JOIN telling USING (key, value)) t USING (rid)
GROUP BY ALL ORDER BY c.rid"""

Shape = frozenset[tuple[str, str]]


def choose(
    con: Any, recorded: Collection[str], *, whole: Mapping[str, bool], most: int = MOST
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Trace ids of failing requests that cover their shapes, and of a passing neighbour for each.

    Greedy over attribute pairs that more than one request has: a recorded trace that shows something new comes first,
    then any trace that does; between equals whole traces win, then recent ones.
    """
    shapes: dict[bool, dict[str, tuple[Shape, int]]] = defaultdict(dict)
    for row in dicts(con, _TELLING):
        shape = frozenset((key, value) for key, value in (row["shape"] or ()) if key is not None)
        shapes[row["failing"]][row["trace_id"]] = (shape, row["at_ns"])
    chosen = _cover(shapes[True], recorded, whole, most)
    passing = {trace: shape for trace, (shape, _) in shapes[False].items()}
    return chosen, _neighbours([shapes[True][trace][0] for trace in chosen], passing)


def _cover(
    failing: Mapping[str, tuple[Shape, int]], recorded: Collection[str], whole: Mapping[str, bool], most: int
) -> tuple[str, ...]:
    covered: set[tuple[str, str]] = set()
    chosen: list[str] = []
    left = set(failing)
    while left and len(chosen) < most:
        best = max(left, key=lambda trace: _worth(trace, *failing[trace], covered, recorded, whole))
        if not failing[best][0] - covered and len(chosen) >= _LEAST:
            break
        chosen.append(best)
        left.remove(best)
        covered |= failing[best][0]
    return tuple(chosen)


def _worth(
    trace: str,
    shape: Shape,
    at_ns: int,
    covered: set[tuple[str, str]],
    recorded: Collection[str],
    whole: Mapping[str, bool],
) -> tuple[bool, int, bool, bool, int, str]:
    new = len(shape - covered)
    telling = bool(new) or not covered
    return trace in recorded and telling, new, trace in recorded, whole.get(trace, True), at_ns, trace


def _neighbours(shapes: list[Shape], passing: Mapping[str, Shape]) -> tuple[str, ...]:
    """For each failing shape the passing trace that shares most with it."""
    told: list[str] = []
    for shape in shapes:
        free = [trace for trace in sorted(passing) if trace not in told]
        if free:
            told.append(max(free, key=lambda trace: (_alike(shape, passing[trace]), trace)))
    return tuple(told)


def _alike(one: Shape, other: Shape) -> float:
    return len(one & other) / (len(one | other) or 1)
