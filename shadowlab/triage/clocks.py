"""How far each service's clock is from the others', from calls alone.

An answer cannot begin before its call, nor end after it (Cristian 1989): so a callee's clock is ahead of its caller's
by no more than its spans begin late, and by no less than they end late. Over all calls between two services that leaves
an interval; where zero lies in it, nothing is said to be wrong. The clock that most services agree with is taken as
right.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shadowlab.triage.sampled import Sampled
from shadowlab.triage.spans import distinct

_LEAST_CALLS = 10
_LEAST_NS = 500_000_000
"""A clock that is off by less disturbs no answer that is given in seconds."""

_WRONG = 2
"""Of a hundred calls' bounds, so many may be wrong: a clock that was just set, a span that was ended late."""


@dataclass(frozen=True, slots=True)
class Clock:
    """A service's clock against the one that most services have."""

    ahead_ns: int
    """What must be taken off its stamps."""
    within_ns: int
    """How far the true figure may be from that."""
    calls: int
    """Calls that it is known from."""

    def right(self, at_ns: int) -> int:
        """A stamp of this clock, corrected."""
        return at_ns - self.ahead_ns


RIGHT = Clock(0, 0, 0)


def clocks(sampled: Sampled) -> dict[str, Clock]:
    """The clocks that are proved to be off by half a second and more, by service."""
    steps = defaultdict(list)
    for (caller, callee), late, early in _bounds(sampled):
        low, high = sorted((_bound(late, 100 - _WRONG), _bound(early, _WRONG)))
        ahead = 0 if low <= 0 <= high else (low + high) // 2
        steps[caller].append((callee, Clock(ahead, (high - low) // 2, len(late))))
        steps[callee].append((caller, Clock(-ahead, (high - low) // 2, len(late))))
    told: dict[str, Clock] = {}
    for component in _components(steps):
        usual = _usual(component)
        told |= {
            name: Clock(clock.ahead_ns - usual, clock.within_ns, clock.calls)
            for name, clock in component.items()
            if abs(clock.ahead_ns - usual) >= max(_LEAST_NS, 2 * clock.within_ns)
        }
    return told


def _bounds(sampled: Sampled) -> Iterable[tuple[tuple[str, str], Any, Any]]:
    """By how much answers end later, and begin later, than their calls, of every two services."""
    import numpy as np

    ops = sampled.operations
    answers = np.array([op.kind == "server" and op.service is not None for op in ops], dtype=bool)
    asks = np.array([op.kind not in ("producer", None) and op.service is not None for op in ops], dtype=bool)
    child = np.flatnonzero(sampled.parent >= 0)
    above = sampled.parent[child]
    told = answers[sampled.op[child]] & asks[sampled.op[above]]
    child, above = child[told], above[told]
    names = sorted({op.service or "" for op in ops})
    rank = {name: n for n, name in enumerate(names)}
    service = np.array([rank[op.service or ""] for op in ops], dtype=np.int64)[sampled.op]
    key = service[above] * len(names) + service[child]
    late, early = (each[child] - each[above] for each in (sampled.end_ns, sampled.start_ns))
    for pair in distinct(key[service[above] != service[child]]).tolist():
        of = key == pair
        if of.sum() >= _LEAST_CALLS:
            yield (names[pair // len(names)], names[pair % len(names)]), np.sort(late[of]), np.sort(early[of])


def _bound(ordered: Any, hundredths: int) -> int:
    """The smallest that so many hundredths are no larger than."""
    return int(ordered[max(0, -(-hundredths * len(ordered) // 100) - 1)])


def _components(steps: Mapping[str, Sequence[tuple[str, Clock]]]) -> Iterable[dict[str, Clock]]:
    """Services that calls connect, each with its clock against the first of them."""
    left = sorted(steps)
    while left:
        found = {left[0]: RIGHT}
        queue = [left[0]]
        while queue:
            at = queue.pop(0)
            for name, step in sorted(steps[at], key=lambda s: (-s[1].calls, s[0])):
                if name not in found:
                    here = found[at]
                    found[name] = Clock(
                        here.ahead_ns + step.ahead_ns, here.within_ns + step.within_ns, here.calls or step.calls
                    )
                    queue.append(name)
        yield found
        left = [name for name in left if name not in found]


def _usual(component: Mapping[str, Clock]) -> int:
    """The figure that most of them agree with, to the second; the smaller of equally common ones."""
    counts: dict[int, list[int]] = defaultdict(list)
    for clock in component.values():
        counts[round(clock.ahead_ns / 1e9)].append(clock.ahead_ns)
    best = max(counts.values(), key=lambda found: (len(found), -abs(found[0])))
    return sorted(best)[len(best) // 2]


def notes(found: Mapping[str, Clock]) -> list[str]:
    """What a reader must know of clocks that are off."""
    return [
        f"the clock of {name} is {abs(clock.ahead_ns) / 1e9:,.1f} s {'ahead' if clock.ahead_ns > 0 else 'behind'} "
        f"(± {clock.within_ns / 1e9:,.3f} s, from {clock.calls:,} calls): onsets and changes are told in the time that "
        "most services have"
        for name, clock in sorted(found.items())
    ]
