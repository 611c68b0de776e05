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
    """Functions of the slice that say they return the type, and lines on the value's way that name it.

    A function that says it returns something else is left out: it may use the type, and hands on another.
    """
    for c in clue.cuts:
        parsed = clue.tree.file(c.function.file)
        returns = c.function.node.returns
        if parsed is None:
            continue
        if c.failing_line is None and returns is not None:
            if _names(name, parsed.code(returns.annotation)):
                yield f"{c.function.file}:{c.function.start_line} {c.function.qualname} returns a {name}"
            continue
        lines = parsed.text.splitlines()
        for number in sorted(n for n in c.flow.lines if n <= len(lines)):
            if _names(name, lines[number - 1]):
                yield f"{c.function.file}:{number} in {c.function.qualname} makes or names a {name}"


def _names(name: str, text: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", text) is not None
