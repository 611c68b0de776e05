"""A key that a mapping does not hold."""

from __future__ import annotations

from collections.abc import Iterator

from shadowlab.diagnose.patterns.base import Clue, Guess


def guess(clue: Clue) -> Iterator[Guess]:
    """One guess for each subscript on the failing line that asks for the missing key."""
    import libcst as cst

    if clue.failure.type != "KeyError":
        return
    key = clue.failure.message
    raised = f"KeyError: {key}"
    subscripts = [text for _, text in clue.at_failing_line(cst.Subscript)]
    exact = [text for text in subscripts if key.strip("'\"") in text]
    for text in dict.fromkeys(exact or subscripts):
        yield Guess("value", f"`{text}` asks for {key}, which is not there, at {clue.where}", clue.location, (raised,))
    if not subscripts:
        yield Guess("value", f"{key} is missing from a mapping at {clue.where}", clue.location, (raised,))
