"""Tracebacks of Python: chains that are printed root first, and groups with their margins."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from shadowlab.triage.frames import Line, Link
from shadowlab.triage.names import clean, head_of

_PY = re.compile(r'^[ |+]*File "([^"\n]+)", line (\d+), in ([^\n]+)\n?(?:[ |]{4,}(?!File ")([^\n]+))?', re.MULTILINE)
_PY_LINK = re.compile(
    r"\n(?: *\n)? *(The above exception was the direct cause of the following exception|"
    r"During handling of the above exception, another exception occurred):\n"
)
_PY_GROUPS = 10
"""As many levels of groups as Python prints."""
_PY_GROUP = re.compile(r"^( *)\+-\+-+ 1 -+\n", re.MULTILINE)


def python(text: str, groups: int = _PY_GROUPS) -> Iterator[Link]:
    """Chained parts are printed root first; only an explicit cause (`raise … from …`) keeps the chain going.

    What a group holds first follows it like a cause, where it holds others down to `groups` levels.
    """
    parts = _PY_LINK.split(text)
    yield from _part(parts[-1], groups)
    for at in range(len(parts) - 2, 0, -2):
        if not parts[at].startswith("The above"):
            return
        yield from _part(parts[at - 1], groups)


def _part(text: str, groups: int) -> Iterator[Link]:
    held = _PY_GROUP.search(text) if groups else None
    if held is None:
        yield _one(text)
        return
    yield _one(re.sub(r"^  [|+] ", "", text[: held.start()], flags=re.MULTILINE))
    margin = held[1] + "  "
    first = text[held.end() :].split(f"\n{margin}+--", 1)[0]
    yield from python(re.sub(rf"^{margin}\| ?", "", first, flags=re.MULTILINE), groups - 1)


def _one(text: str) -> Link:
    frames, end = _lines(text[: _last_code(text)])
    tail = [
        line
        for line in text[end:].splitlines()
        if line.strip(' |^~"') and not line.startswith(("    ", "  [", '  File "'))
    ]
    kind, message = head_of("\n".join(tail).strip())
    return Link(kind, message, frames)


def _last_code(text: str) -> int:
    """Where the code of the last frame ends; what stands below is the exception's own."""
    below = text.find("\n", max(text.rfind('File "'), 0)) + 1
    if text[below : below + 4].strip(" |") == "":
        below = text.find("\n", below)
    return below if below > 0 else len(text)


@lru_cache(maxsize=1_024)
def _lines(text: str) -> tuple[tuple[Line, ...], int]:
    """The frames, and where the last one ends."""
    frames, end = [], 0
    for found in _PY.finditer(text):
        code = found[4].strip() if found[4] else None
        # An exception's own line is indented less than code; carets and tildes are no code.
        frames.append(
            Line(found[1], clean(found[3].strip()), int(found[2]), code if code and code.strip("^~ ") else None)
        )
        end = found.end()
    return tuple(frames), end
