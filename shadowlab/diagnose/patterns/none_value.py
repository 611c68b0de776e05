"""None where something was expected."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from shadowlab.diagnose.patterns.base import Clue, Guess

if TYPE_CHECKING:
    import libcst as cst

_ATTRIBUTE = re.compile(r"'NoneType' object has no attribute '(?P<name>\w+)'")
_OTHER = re.compile(r"'NoneType' object (?:is not|does not|cannot)|(?:operand|not supported).*'NoneType'")


def guess(clue: Clue) -> Iterator[Guess]:
    """One guess for each expression on the failing line that may have been None."""
    attribute = _ATTRIBUTE.search(clue.failure.message)
    if clue.failure.type not in ("AttributeError", "TypeError"):
        return
    if attribute is None and not _OTHER.search(clue.failure.message):
        return
    raised = f"{clue.failure.type}: {clue.failure.message}"
    suspects = tuple(_bases(clue, attribute["name"])) if attribute else ()
    for text in dict.fromkeys(suspects):
        stand_in = _stand_in(attribute["name"]) if attribute else None
        swaps = clue.swaps("none-to-value", only=text, value=stand_in) if stand_in is not None else ()
        yield Guess("value", f"`{text}` is None at {clue.where}", clue.location, (raised,), swaps)
    if not suspects:
        yield Guess("value", f"something is None at {clue.where}", clue.location, (raised,))


def _bases(clue: Clue, name: str) -> Iterator[str]:
    """What stands before `.name` on the failing line."""
    import libcst as cst

    for node, _ in clue.at_failing_line(cst.Attribute):
        if isinstance(node, cst.Attribute) and node.attr.value == name:
            yield _text(node.value)


def _stand_in(name: str) -> object:
    """An empty value that has the attribute; None when no plain one has."""
    empties: tuple[object, ...] = ("", {}, [])
    return next((empty for empty in empties if hasattr(empty, name)), None)


def _text(node: cst.BaseExpression) -> str:
    import libcst as cst

    return cst.Module(body=[]).code_for_node(node).strip()
