"""Cut the source down to the functions on the way to the failure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shadowlab.diagnose.flow import Flow, backwards, returned
from shadowlab.diagnose.syntax import Function, SourceFile, Tree
from shadowlab.records import Frame, Slice

MAX_SLICES = 16
MAX_CALL_DEPTH = 3


@dataclass(frozen=True, slots=True)
class Cut:
    """One function of the slice, and which of its lines touch the failing value."""

    function: Function
    flow: Flow
    failing_line: int | None
    """The line that the stack names; None for a function that had returned by then."""

    @property
    def place(self) -> tuple[str, str]:
        """File and qualified name."""
        return self.function.file, self.function.qualname


def cut(tree: Tree, frames: Sequence[Frame]) -> tuple[Cut, ...]:
    """The functions of the in-app `frames` (outermost first), innermost first, then what made the failing value.

    A called function belongs when its result flows, by names, into the line that a frame stands on. At most
    `MAX_SLICES` functions, `MAX_CALL_DEPTH` calls away from the stack.
    """
    on_stack = [c for frame in reversed(frames) if frame.in_app and (c := _of_frame(tree, frame))]
    found = {c.place: c for c in on_stack}
    level = list(found.values())
    for _ in range(MAX_CALL_DEPTH):
        level = [c for caller in level for c in _called(tree, caller) if c.place not in found]
        for c in level:
            if len(found) < MAX_SLICES:
                found.setdefault(c.place, c)
    return tuple(found.values())


def slices(tree: Tree, cuts: Sequence[Cut]) -> tuple[Slice, ...]:
    """The cuts as records, with their source."""
    return tuple(_slice(tree, c) for c in cuts)


def _slice(tree: Tree, c: Cut) -> Slice:
    parsed = tree.file(c.function.file)
    lines = parsed.text.splitlines(keepends=True) if parsed else []
    return Slice(
        file=c.function.file, function=c.function.qualname,
        start_line=c.function.start_line, end_line=c.function.end_line,
        source="".join(lines[c.function.start_line - 1 : c.function.end_line]), failing_line=c.failing_line,
    )  # fmt: skip


def _of_frame(tree: Tree, frame: Frame) -> Cut | None:
    parsed = tree.file(frame.file)
    function = tree.function(frame.file, frame.function, frame.line)
    if parsed is None or function is None:
        return None
    line = frame.line or function.start_line
    return Cut(function, backwards(parsed, function, line), frame.line)


def _called(tree: Tree, caller: Cut) -> Iterator[Cut]:
    parsed = tree.file(caller.function.file)
    for call in caller.flow.calls if parsed else ():
        for function in _resolve(tree, parsed, caller.function, call) if parsed else ():
            home = tree.file(function.file)
            if home:
                yield Cut(function, returned(home, function), None)


def _resolve(tree: Tree, parsed: SourceFile, caller: Function, call: str) -> Iterator[Function]:
    """The functions of the tree that a dotted call may mean: local, imported, a method of the same class, or the
    only method of that name in this file and the files that it imports."""
    head, _, rest = call.partition(".")
    name = call.rpartition(".")[2]
    if not rest and head not in parsed.imports:
        yield from _named(parsed, head)
        yield from _named(parsed, f"{head}.__init__")
    elif head in parsed.imports:
        yield from _imported(tree, f"{parsed.imports[head]}.{rest}" if rest else parsed.imports[head])
    elif head == "self" and "." in caller.qualname and rest == name:
        yield from _named(parsed, f"{caller.qualname.rpartition('.')[0]}.{name}")
    else:
        near = [parsed, *(f for dotted in parsed.imports.values() if (f := _file(tree, dotted)))]
        methods = {f for home in near for f in home.functions if f.qualname.endswith(f".{name}")}
        yield from methods if len(methods) == 1 else ()


def _imported(tree: Tree, dotted: str) -> Iterator[Function]:
    module, _, name = dotted.rpartition(".")
    home = tree.module(module) if module else None
    parsed = tree.file(home) if home else None
    if parsed:
        yield from _named(parsed, name)
        yield from _named(parsed, f"{name}.__init__")


def _file(tree: Tree, dotted: str) -> SourceFile | None:
    home = tree.module(dotted) or tree.module(dotted.rpartition(".")[0])
    return tree.file(home) if home else None


def _named(parsed: SourceFile, qualname: str) -> Iterator[Function]:
    yield from (f for f in parsed.functions if f.qualname == qualname)
