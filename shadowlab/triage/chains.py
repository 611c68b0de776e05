"""What a stack says of a chain of exceptions: the deepest own function, the way there, and its root."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from shadowlab.triage import frames, stacks
from shadowlab.triage.tables import signature


class Chain(NamedTuple):
    """What all stacks say that differ in messages, lines and addresses alone."""

    own: str = ""
    """The deepest function of the service's own, else of any; "" where none is shown."""
    path: str = ""
    """A hash of the way there."""
    wrapped: bool = False
    """Whether the root is another exception than the one that was thrown."""
    causes: tuple[str, ...] = ()
    """Types of what it was raised from."""
    root_type: str = ""
    root_message: str = ""


UNREAD = Chain()


def chain(text: str, prefixes: tuple[str, ...]) -> Chain:
    """What a stack says; `UNREAD` when nobody knows how to read it."""
    stack = stacks.parse(text)
    if stack is None:
        return UNREAD
    own, path = _way(tuple(link.frames for link in stack.chain), prefixes)
    root = stack.chain[-1]
    return Chain(
        own=own,
        path=path,
        wrapped=len(stack.chain) > 1 and bool(root.type or root.message),
        causes=tuple(link.type for link in stack.chain[1:] if link.type),
        root_type=root.type,
        root_message=root.message,
    )


@lru_cache(maxsize=4_096)
def _way(chain: tuple[tuple[frames.Line, ...], ...], prefixes: tuple[str, ...]) -> tuple[str, str]:
    """The deepest own function of a chain, and a hash of all that led there."""
    own = [[f for f in lines if frames.in_app(f.file, f.function, prefixes)] for lines in chain]
    deepest = next((lines[-1] for lines in reversed(own) if lines), None)
    deepest = deepest or next((lines[-1] for lines in reversed(chain) if lines), None)
    path = [frames.place(f.file, f.function) for lines in own for f in lines]
    told = signature([p for n, p in enumerate(path) if n == 0 or path[n - 1] != p])
    return frames.place(deepest.file, deepest.function) if deepest else "", told
