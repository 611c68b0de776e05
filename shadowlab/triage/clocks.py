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

from shadowlab.triage.tables import dicts

_LEAST_CALLS = 10
_LEAST_NS = 500_000_000
"""A clock that is off by less disturbs no answer that is given in seconds."""

# Of all calls' bounds, two in a hundred may be wrong: a clock that was just set, a span that was ended late.
_PAIRS = """
SELECT p.service AS caller, c.service AS callee, count(*) AS calls,
       quantile_disc(c.end_ns - p.end_ns, 0.98) AS low, quantile_disc(c.start_ns - p.start_ns, 0.02) AS high
FROM sampled c JOIN sampled p ON p.sid = c.parent
WHERE p.service <> c.service AND c.kind = 'server' AND p.kind <> 'producer'
GROUP BY ALL HAVING count(*) >= $least ORDER BY ALL"""


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


def clocks(con: Any) -> dict[str, Clock]:
    """The clocks that are proved to be off by half a second and more, by service; reads table `sampled` of a scene."""
    steps = defaultdict(list)
    for row in dicts(con, _PAIRS.replace("$least", str(_LEAST_CALLS))):
        low, high = sorted((row["low"], row["high"]))
        ahead = 0 if low <= 0 <= high else (low + high) // 2
        steps[row["caller"]].append((row["callee"], Clock(ahead, (high - low) // 2, row["calls"])))
        steps[row["callee"]].append((row["caller"], Clock(-ahead, (high - low) // 2, row["calls"])))
    told: dict[str, Clock] = {}
    for component in _components(steps):
        usual = _usual(component)
        told |= {
            name: Clock(clock.ahead_ns - usual, clock.within_ns, clock.calls)
            for name, clock in component.items()
            if abs(clock.ahead_ns - usual) >= max(_LEAST_NS, 2 * clock.within_ns)
        }
    return told


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
