"""Find the commit whose parent passes and that fails, in few replays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shadowlab.diagnose.trials import Ending
from shadowlab.records import Commit

Probe = Callable[[str], Ending]
"""Replays the failing recordings at a revision; asked again it answers from memory."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Where along a chain of commits the failure begins, as far as the replays show."""

    chain: tuple[Commit, ...]
    """Oldest first, each the parent of the next; the last one fails."""
    low: int
    """Position of the newest commit seen without the failure; -1 is the revision before the chain."""
    high: int
    """Position of the oldest commit seen with it."""
    low_ending: Ending
    """`same` says that the failure is older than the whole chain."""

    @property
    def culprit(self) -> Commit | None:
        """The commit that fails and whose parent passes; None while several remain or the parent did not run."""
        return self.chain[self.high] if self.high - self.low == 1 and self.low_ending == "passes" else None

    @property
    def remaining(self) -> tuple[Commit, ...]:
        """The commits among which the failure begins; empty when it is older."""
        return () if self.low_ending == "same" else self.chain[self.low + 1 : self.high + 1]


def turn(chain: Sequence[Commit], probe: Probe, *, first: Sequence[str] = ()) -> Turn | None:
    """Where the failure begins on `chain`, whose last commit fails; None when the chain has nothing before it.

    Looks at the revisions named in `first` (likely culprits, likeliest first) and their parents, then at what came
    before the chain, then halves. A revision that shows neither the failure nor a pass, since it does not start or
    fails otherwise, is stepped around; when nothing else is left the turn stays open.
    """
    chain = tuple(chain)
    if not chain or chain[0].parent is None:
        return None
    places = {commit.revision: n for n, commit in enumerate(chain)}
    order = [n for revision in first if revision in places for n in (places[revision] - 1, places[revision])]
    low, high = -1, len(chain) - 1
    ending: Ending | None = None
    skipped: set[int] = set()
    while True:
        left = [n for n in range(low + 1, high) if n not in skipped]
        near = [n for n in order if n in left or (n == low == -1 and ending is None)]
        if ending is None and not near:
            near = [-1]
        if not near and not left:
            return Turn(chain, low, high, ending or "other")
        middle = near[0] if near else min(left, key=lambda n: abs(2 * n - low - high))
        seen = probe(chain[middle].revision if middle >= 0 else chain[0].parent)
        if middle == -1:
            ending = seen
            if seen == "same":
                return Turn(chain, low, high, seen)
        elif seen == "passes":
            low, ending = middle, seen
        elif seen == "same":
            high = middle
        else:
            skipped.add(middle)


def first_parents(commits: Sequence[Commit], tip: str) -> tuple[Commit, ...]:
    """The chain of first parents that ends at `tip`, oldest first, within `commits`."""
    by_revision = {commit.revision: commit for commit in commits}
    chain: list[Commit] = []
    at: str | None = tip
    while at in by_revision:
        chain.append(by_revision[at])
        at = by_revision[at].parent
    return tuple(reversed(chain))
