"""Requests that a burning latency objective finds too slow: which traces to look at, though nothing in them fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from shadowlab.records import Objective
from shadowlab.triage import exemplars, shapes
from shadowlab.triage.arrays import array
from shadowlab.triage.burn import LONGEST
from shadowlab.triage.look import Look
from shadowlab.triage.slo import ObjectiveSpec
from shadowlab.triage.spans import BELOW, NEVER, Spans, among, distinct

Recordings = Mapping[str, tuple[str, ...]]
"""By trace."""
_LOOKED_AT = 200
"""The slowest requests of an objective, of which a few are shown."""


def slowest(
    con: Any,
    look: Look,
    specs: Sequence[ObjectiveSpec],
    measured: Sequence[Objective],
    broken: Any,
    passed: Callable[[], Recordings],
) -> tuple[Objective, ...]:
    """The objectives; those that burn for their latency with slow traces, and with quick ones to hold against them.

    The requests are those of the operation that most slow ones are of. `broken` tells the bad requests of the window,
    as `look.broken` gives it; `passed` the recordings of requests that passed: nobody is asked when nothing burns.
    """
    limits = {n: spec.good.max_duration_ns for n, spec in enumerate(specs) if spec.good and measured[n].alert}
    burning = {n: limit for n, limit in limits.items() if limit is not None}
    if not burning:
        return tuple(measured)
    recorded = {**passed(), **look.recorded}
    spans = look.seen.begun(look.low_ns - LONGEST, look.high_ns)
    taped = con.execute("SELECT hash(unnest($1::VARCHAR[])) AS tid", [list(recorded)]).fetchnumpy()["tid"]
    of, ids = array(broken.column("spec")), array(broken.column("sid"))
    found = {n: rows for n, limit in burning.items() if len(rows := _slow(look, spans, ids[of == n], limit))}
    ranked = {n: _ranked(spans, rows, taped) for n, rows in found.items()}
    operations = [look.seen.operations[spans.op[rows[0]]] for rows in ranked.values()]
    groups = [
        shapes.Group(op.service or "", op.name or "", spans.sid[rows])
        for op, rows in zip(operations, ranked.values(), strict=True)
    ]
    told = list(measured)
    for n, drawn in zip(
        ranked, shapes.draw(con, look.seen, groups, low_ns=look.low_ns, high_ns=look.high_ns), strict=True
    ):
        shown, controls = exemplars.slowest(drawn(), spans.tid[ranked[n]].tolist(), {*spans.tid[found[n]].tolist()})
        tapes = tuple(dict.fromkeys(id for trace in shown for id in recorded.get(trace, ())))
        told[n] = replace(told[n], exemplars=shown, controls=controls, recordings=tapes)
    return tuple(told)


def _slow(look: Look, spans: Spans, bad: Any, limit_ns: int) -> Any:
    """Places of the bad requests that took so long, of the operation that most of them are of."""
    import numpy as np

    long = (spans.end_ns != NEVER) & (spans.end_ns - spans.start_ns >= limit_ns)
    rows = np.flatnonzero(long)
    rows = rows[among(spans.sid[rows], distinct(bad))]
    many: Counter[tuple[str | None, str | None]] = Counter()
    for op, count in zip(*(each.tolist() for each in np.unique(spans.op[rows], return_counts=True)), strict=True):
        many[look.seen.operations[op][:2]] += count
    if not many:
        return rows
    most = min(many, key=lambda operation: (-many[operation], str(operation)))
    return rows[look.seen.among(lambda op: op[:2] == most)[spans.op[rows]]]


def _ranked(spans: Spans, rows: Any, taped: Any) -> Any:
    """The slowest of them, recorded ones first; those of traces that lack a span only where all do."""
    import numpy as np

    lasted = spans.end_ns[rows] - spans.start_ns[rows]
    rows = rows[np.lexsort((spans.sid[rows], -lasted, ~among(spans.tid[rows], distinct(taped))))][:_LOOKED_AT]
    inside = spans.take(among(spans.tid, distinct(spans.tid[rows])))
    orphans = inside.marked(BELOW) & ~among(inside.above, distinct(inside.sid))
    whole = ~among(spans.tid[rows], distinct(inside.tid[orphans]))
    return rows[whole] if whole.any() else rows
