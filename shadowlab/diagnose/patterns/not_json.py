"""A value of a type that the JSON encoder does not know."""

from __future__ import annotations

import re
from collections.abc import Iterator

from shadowlab.diagnose.patterns.base import Clue, Guess
from shadowlab.records import Failure

_MESSAGES = (
    re.compile(r"Object of type (?P<type>\w+) is not JSON serializable"),  # json
    re.compile(r"Type is not JSON serializable: (?P<type>[\w.]+)"),  # orjson
    re.compile(r"Encoding objects of type (?P<type>[\w.]+) is unsupported"),  # msgspec
)
_RULES = {
    "Decimal": "decimal-to-str", "UUID": "uuid-to-str", "set": "set-to-list", "frozenset": "set-to-list",
    "datetime": "datetime-to-str", "date": "datetime-to-str", "time": "datetime-to-str",
    "bytes": "bytes-to-str", "bytearray": "bytes-to-str",
}  # fmt: skip
"""What can be put in a value's place. Any other type may be an enum's; the replay says when it met none."""


def unencodable(failure: Failure | None) -> str | None:
    """The name of the type that could not be encoded, without its module; None when this is another failure."""
    for pattern in _MESSAGES if failure else ():
        found = pattern.search(failure.message) if failure else None
        if found:
            return found["type"].rpartition(".")[2]
    return None


def guess(clue: Clue) -> Iterator[Guess]:
    """One guess: a value of that type reached the encoder; with where the slice makes such values."""
    name, c = unencodable(clue.failure), clue.innermost
    if name is None or c is None:
        return
    made = tuple(_makers(clue, name))
    evidence = (f"{clue.failure.type}: {clue.failure.message}", f"raised under {clue.where}", *made)
    if not made:
        evidence += (f"the slice does not show where the {name} is made; it may come from the database or a library",)
    cause = f"a value of type {name} reaches the JSON encoder in {c.function.qualname}"
    yield Guess("value", cause, clue.location, evidence, clue.swaps(_RULES.get(name, "enum-to-value")))


def _makers(clue: Clue, name: str) -> Iterator[str]:
    """Lines of the slice that the failing value passes through and that name the type or a function returning it."""
    for c in clue.cuts:
        parsed = clue.tree.file(c.function.file)
        lines = parsed.text.splitlines() if parsed else []
        for number in sorted(c.flow.lines):
            if number <= len(lines) and re.search(rf"\b{re.escape(name)}\b", lines[number - 1]):
                yield f"{c.function.file}:{number} in {c.function.qualname} makes or names a {name}"
