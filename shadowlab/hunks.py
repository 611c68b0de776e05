"""Walk a unified diff line by line, and know where each line stands: in the diff, before the change, and after it.

>>> [line.kind for line in walk("@@ -1 +1 @@\\n-a\\n+b\\n")]
['hunk', 'removed', 'added']
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from shadowlab import errors

Kind = Literal["outside", "hunk", "same", "removed", "added", "note"]
"""`outside`: headers between hunks; `hunk`: its `@@` line; `note`: `\\ No newline at end of file`."""

_HUNK = re.compile(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@(.*)")
_KINDS: dict[str, Kind] = {" ": "same", "": "same", "-": "removed", "+": "added"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a diff."""

    number: int
    """In the diff, from 1."""
    kind: Kind
    text: str
    """Inside of a hunk without its sign, of a hunk's line what follows the second `@@`, else the whole line."""
    old: int = 0
    """Its number before the change (where it would stand, for an added one); of a hunk's line where the hunk begins."""
    new: int = 0
    """The same after the change."""
    count: int = 0
    """Of a hunk's line: how many lines it has after the change."""


def walk(diff: str, *, strict: bool = True) -> Iterator[Line]:
    """The lines of a unified diff. What looks like a header inside of a hunk is a line of the hunk.

    Raises `PatchError` when a hunk holds other lines than its head says; with `strict` off it ends there instead.
    """
    old = new = old_left = new_left = 0
    number, lines = 0, diff.removesuffix("\n").split("\n") if diff else []
    for number, line in enumerate(lines, 1):
        inside = old_left > 0 or new_left > 0
        if line.startswith("\\"):
            yield Line(number, "note", line[1:], old, new)
            continue
        kind = _KINDS.get(line[:1]) if inside else None
        if inside and kind is None:
            if strict:
                raise errors.PatchError(
                    f"line {number} of the diff does not belong in its hunk: {line[:80]!r}",
                    hint="the hunk is shorter than its header says; `git diff` writes one",
                )
            old_left = new_left = 0
        if kind is not None:
            yield Line(number, kind, line[1:], old, new)
            old, old_left = (old + 1, old_left - 1) if kind != "added" else (old, old_left)
            new, new_left = (new + 1, new_left - 1) if kind != "removed" else (new, new_left)
        elif head := _HUNK.match(line):
            old, new = int(head[1]), int(head[3])
            old_left, new_left = (int(count) if count else 1 for count in (head[2], head[4]))
            yield Line(number, "hunk", head[5], old, new, new_left)
        else:
            yield Line(number, "outside", line, old, new)
    if strict and (old_left > 0 or new_left > 0):
        raise errors.PatchError(
            "the diff ends inside a hunk, which is shorter than its header says",
            hint="it was cut; write it again with `git diff`",
        )
