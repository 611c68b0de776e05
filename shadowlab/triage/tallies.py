"""Requests summed by age: what every window, series and comparison of an objective is read from."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from shadowlab.telemetry import questions
from shadowlab.triage.arrays import array, arrow, texts
from shadowlab.triage.facts import Facts
from shadowlab.triage.selector import Condition
from shadowlab.triage.spans import BAD, Spans
from shadowlab.triage.tables import Rows, Store

_MOST_SLOTS = 1 << 20
"""Slots of services that are summed at once."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Requests of one objective, summed by age."""

    end_ns: int
    """When the youngest of them ended, at the latest."""
    step_ns: int
    """Length of the slots in which they are summed."""
    slots: Any
    """Age in steps, ascending (an array of integers)."""
    bad: Any
    total: Any
    """Weight of all slots up to each, so that a difference is a sum (arrays of floats that begin with 0)."""

    def between(self, low_ns: int, high_ns: int) -> tuple[float, float]:
        """Bad and all requests that ended after `low_ns` and not after `high_ns`, each a whole number of steps ago."""
        young, old = ((self.end_ns - at_ns) // self.step_ns for at_ns in (high_ns, low_ns))
        first, last = self.slots.searchsorted([young, old])
        return float(self.bad[last] - self.bad[first]), float(self.total[last] - self.total[first])


Asked = tuple[Condition, int, Sequence[int]]
"""A query of requests, when its youngest request ended, and the ages, in nanoseconds, that must be told apart."""


class Ask(Protocol):
    """Puts the question `slots` by service, to whomever."""

    def __call__(self, *, end_ns: int, step_ns: int, since_ns: int, until_ns: int) -> Rows:
        """Rows of `service`, `age_ns`, `bad`, `total`."""


def tallies(store: Store, asked: Sequence[Asked]) -> list[Tally]:
    """Tallies of several queries, in one statement."""
    parts, params = [], []
    for n, ((query, values), end_ns, ages) in enumerate(asked):
        text = questions.statement("slots", {"requests": query}, **_told(end_ns, ages))
        parts.append(f"SELECT {n} AS n, * FROM ({text})")
        params += values
    table = store.sql(" UNION ALL ".join(parts), params).arrow() if parts else None
    return [_tally(table, "n", n, end_ns, math.gcd(*ages)) for n, (_, end_ns, ages) in enumerate(asked)]


def of_services(ask: Ask, services: Collection[str], end_ns: int, ages: Sequence[int]) -> dict[str, Tally]:
    """Tallies of all requests of each service, in one answer."""
    table = ask(**_told(end_ns, ages)).arrow()
    return {service: _tally(table, "service", service, end_ns, math.gcd(*ages)) for service in services}


def of_facts(seen: Facts, services: Collection[str], end_ns: int, ages: Sequence[int]) -> dict[str, Tally]:
    """As `of_services`, from what is known of each span of a case."""

    step_ns, oldest = math.gcd(*ages), max(ages)
    slots = -(-oldest // step_ns)
    told: dict[str, Tally] = {}
    asked = [_slots(part.spans, *of, end_ns, step_ns, oldest)
             for part, of in zip(seen.parts, seen.requests, strict=True)]  # fmt: skip
    listed, some = sorted(services), max(1, _MOST_SLOTS // slots)
    for at in range(0, len(listed), some):
        told |= _summed(seen, asked, listed[at : at + some], end_ns, step_ns, slots)
    return told


Slots = tuple[Any, Any, Any, Any]
"""Of each request its age in steps, its operation, its weight, and that weight where it is bad."""


def _slots(spans: Spans, rows: Any, at_ns: Any, end_ns: int, step_ns: int, oldest_ns: int) -> Slots:
    inside = (at_ns > end_ns - oldest_ns) & (at_ns <= end_ns)
    rows, weight = rows[inside], spans.weight[rows[inside]]
    return (end_ns - at_ns[inside]) // step_ns, spans.op[rows], weight, weight * ((spans.marks[rows] & BAD) != 0)


def _summed(
    seen: Facts, asked: Sequence[Slots], listed: Sequence[str], end_ns: int, step_ns: int, slots: int
) -> dict[str, Tally]:
    """Tallies of some services, all their slots at once."""
    import numpy as np

    place = {service: n for n, service in enumerate(listed)}
    of = np.array([place.get(op.service or "", len(listed)) for op in seen.operations], dtype=np.int64)
    many, total, bad = (np.zeros((len(listed) + 1) * slots) for _ in range(3))  # the last is for other services
    for age, op, weight, failed in asked:
        key = of[op] * slots + age
        for sums, each in ((many, None), (total, weight), (bad, failed)):
            sums += np.bincount(key, each, len(sums))
    told = {}
    for n, service in enumerate(listed):
        own = slice(n * slots, (n + 1) * slots)
        held = np.flatnonzero(many[own])
        running = (np.append(0.0, np.cumsum(each[own][held])) for each in (bad, total))
        told[service] = Tally(end_ns, step_ns, held, *running)
    return told


def _told(end_ns: int, ages: Sequence[int]) -> dict[str, int]:
    """The parameters of the question; its slots are the longest that tell the ages apart."""
    return {"end_ns": end_ns, "step_ns": math.gcd(*ages), "since_ns": end_ns - max(ages), "until_ns": end_ns}


def _tally(table: Any, key: str, value: str | int, end_ns: int, step_ns: int) -> Tally:
    import numpy as np
    import pyarrow.compute as pc

    wanted = texts([value]) if isinstance(value, str) else arrow(np.array([value]))
    own = table.filter(pc.equal(table.column(key), wanted[0])).sort_by("age_ns")
    slots, bad, total = (array(own.column(name)) for name in ("age_ns", "bad", "total"))
    zero = np.zeros(1)
    sums = (np.concatenate([zero, np.cumsum(each)]) for each in (bad, total))
    return Tally(end_ns, step_ns, slots // step_ns, *sums)
