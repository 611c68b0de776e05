"""What a pattern is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from shadowlab.diagnose.slices import Cut
from shadowlab.diagnose.syntax import Tree
from shadowlab.records import Failure, Location

if TYPE_CHECKING:
    import libcst as cst


@dataclass(frozen=True, slots=True)
class Clue:
    """A failure and the slice around it."""

    failure: Failure
    tree: Tree
    cuts: Sequence[Cut]
    """Innermost function first."""

    @property
    def innermost(self) -> Cut | None:
        """The function of the tree in which it failed."""
        return next((c for c in self.cuts if c.failing_line is not None), None)

    @property
    def location(self) -> Location | None:
        """Where it failed."""
        c = self.innermost
        return Location(file=c.function.file, line=c.failing_line or 0, function=c.function.qualname) if c else None

    @property
    def where(self) -> str:
        """`lib/serializer.py:45 in to_json`."""
        at = self.location
        return f"{at.file}:{at.line} in {at.function}" if at else "no file of the source"

    @property
    def arguments(self) -> tuple[str, ...]:
        """Parameters of the failing function that flow into its failing line."""
        c = self.innermost
        if c is None:
            return ()
        params = c.function.node.params
        named = [p.name.value for p in (*params.posonly_params, *params.params, *params.kwonly_params)]
        return tuple(name for name in named if name in c.flow.names)

    def swaps(self, rule: str, *, only: str | None = None, value: object = None) -> tuple[Swap, ...]:
        """`rule` on each argument of the failing function that matters, or on the `only` one."""
        c = self.innermost
        return tuple(
            Swap(c.function.file, c.function.qualname, name, rule, value)
            for name in (self.arguments if c else ())
            if c and only in (None, name)
        )

    def at_failing_line(self, kind: type[cst.CSTNode]) -> list[tuple[cst.CSTNode, str]]:
        """Nodes of `kind` on the failing line, with their text, outermost first."""
        c = self.innermost
        parsed = self.tree.file(c.function.file) if c else None
        if c is None or parsed is None or c.failing_line is None:
            return []
        found = [node for node in _walk(c.function.node) if isinstance(node, kind)]
        spans = [(node, *parsed.lines(node)) for node in found]
        return [(node, parsed.code(node)) for node, first, last in spans if first <= c.failing_line <= last]


@dataclass(frozen=True, slots=True)
class Swap:
    """An argument to replace in the replay whenever a function is called with it."""

    file: str
    function: str
    argument: str
    rule: str
    """One of `shadowlab.replay.inside.swap.RULES`."""
    value: object = None
    """What is put in its place, for rules that take one."""

    @property
    def words(self) -> str:
        """`decimal-to-str on payload of to_json`."""
        put = f" {self.value!r}" if self.rule in ("none-to-value", "set-value") else ""
        return f"{self.rule}{put} on {self.argument} of {self.function}"

    @property
    def substitute(self) -> dict[str, object]:
        """The replay's own words for it."""
        return {"file": self.file, "function": self.function, "argument": self.argument, "rule": self.rule,
                "value": self.value}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Guess:
    """One possible cause that no intervention has looked at yet."""

    kind: str
    cause: str
    location: Location | None
    evidence: tuple[str, ...]
    swaps: tuple[Swap, ...] = ()
    """Ways to put it to the test, the likeliest first."""


class Pattern(Protocol):
    """Knows one family of failures; says nothing of the others."""

    def __call__(self, clue: Clue) -> Iterator[Guess]:
        """Guesses, best first."""


def _walk(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    for child in node.children:
        yield child
        yield from _walk(child)
