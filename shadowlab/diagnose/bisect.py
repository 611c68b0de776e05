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

    Looks at the revisions named in `first` (likely culprits) and their parents before it halves. A revision that shows
    neither the failure nor a pass, since it does not start or fails otherwise, is stepped around; when nothing else is
    left the turn stays open.
    """
    chain = tuple(chain)
    if not chain or chain[0].parent is None:
        return None
    low, high, ending = -1, len(chain) - 1, probe(chain[0].parent)
    if ending == "same":
        return Turn(chain, low, high, ending)
    skipped: set[int] = set()
    hints = [n for n, commit in enumerate(chain) if commit.revision in first]
    hints = [n for hint in hints for n in (hint - 1, hint)]
    while True:
        left = [n for n in range(low + 1, high) if n not in skipped]
        if not left:
            return Turn(chain, low, high, ending)
        near = [n for n in hints if n in left]
        middle = near[0] if near else min(left, key=lambda n: abs(2 * n - low - high))
        match probe(chain[middle].revision):
            case "passes":
                low, ending = middle, "passes"
            case "same":
                high = middle
            case _:
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
