"""The honest answer when no pattern knows a failure: where it showed, and nothing about why."""

from __future__ import annotations

from collections.abc import Iterator

from shadowlab.diagnose.patterns.base import Clue, Guess


def guess(clue: Clue) -> Iterator[Guess]:
    """One guess that names the place and claims no cause."""
    failure = clue.failure
    evidence = (f"{failure.type}: {failure.message}", "no pattern knows this error; the place is where it showed")
    if clue.location is None:
        yield Guess("value", f"{failure.type} outside the source: no frame is in-app", None, evidence)
    else:
        yield Guess("value", f"an input of {clue.where} that it does not expect", clue.location, evidence)
