"""Which names inside one function the failing line depends on, and which calls made them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shadowlab.diagnose.syntax import Function, SourceFile

if TYPE_CHECKING:
    import libcst as cst


@dataclass(frozen=True, slots=True)
class Flow:
    """What a line of a function depends on, backwards; names only, so it may say too much, seldom too little."""

    names: frozenset[str]
    lines: frozenset[int]
    """The failing line and the lines that made its names."""
    calls: tuple[str, ...]
    """Dotted names of the calls on those lines, nearest to the failing line first."""


def backwards(parsed: SourceFile, function: Function, line: int) -> Flow:
    """What line `line` of `function` depends on inside the function (Weiser 1981, by names, without control flow)."""
    steps = list(_steps(parsed, function))
    at_line = [step for step in steps if step.first <= line <= step.last]
    names = {name for step in at_line for name in step.reads | step.writes}
    chosen = {id(step): step for step in at_line}
    grew = True
    while grew:
        grew = False
        for step in steps:
            if id(step) not in chosen and step.writes & names and step.first <= line:
                chosen[id(step)] = step
                names |= step.reads
                grew = True
    nearest = sorted(chosen.values(), key=lambda step: abs(line - step.first))
    calls = dict.fromkeys(call for step in nearest for call in step.calls)
    lines = frozenset(n for step in chosen.values() for n in range(step.first, step.last + 1))
    return Flow(frozenset(names), lines, tuple(calls))


def returned(parsed: SourceFile, function: Function) -> Flow:
    """What the function's results depend on: all of its `return` and `yield` lines taken together."""
    import libcst as cst

    flows = [
        backwards(parsed, function, parsed.lines(node)[0])
        for node in _inside(function.node)
        if isinstance(node, cst.Return | cst.Yield)
    ]
    return Flow(
        frozenset().union(*(flow.names for flow in flows)),
        frozenset().union(*(flow.lines for flow in flows)),
        tuple(dict.fromkeys(call for flow in flows for call in flow.calls)),
    )


@dataclass(frozen=True, slots=True)
class _Step:
    first: int
    last: int
    reads: frozenset[str]
    writes: frozenset[str]
    calls: tuple[str, ...]


def _steps(parsed: SourceFile, function: Function) -> Iterator[_Step]:
    import libcst as cst

    for node in _inside(function.node):
        match node:
            case cst.Assign():
                yield _step(parsed, node, [t.target for t in node.targets], node.value)
            case cst.AnnAssign() | cst.AugAssign():
                yield _step(parsed, node, [node.target], node.value)
            case cst.NamedExpr():
                yield _step(parsed, node, [node.target], node.value)
            case cst.For():
                yield _step(parsed, node.iter, [node.target], node.iter)
            case cst.CompFor():
                yield _step(parsed, node.iter, [node.target], node.iter)
            case cst.WithItem():
                yield _step(parsed, node, [node.asname.name] if node.asname else [], node.item)
            case cst.If() | cst.While():
                yield _step(parsed, node.test, [], node.test)
            case cst.Return() | cst.Raise() | cst.Assert():
                yield _step(parsed, node, [], node)
            case cst.Expr():
                yield _step(parsed, node, _mutated(node), node.value)
            case _:
                pass


def _mutated(node: cst.Expr) -> list[cst.CSTNode]:
    """`body.update(x)` and `rows.append(x)` change what stands before the last dot."""
    import libcst as cst

    call = node.value.expression if isinstance(node.value, cst.Await) else node.value
    if isinstance(call, cst.Call) and isinstance(call.func, cst.Attribute):
        return [call.func.value]
    return []


def _step(parsed: SourceFile, node: cst.CSTNode, targets: list[cst.CSTNode], value: cst.CSTNode | None) -> _Step:
    first, last = parsed.lines(node)
    writes = frozenset(name for target in targets for name in _base_names(target))
    reads = frozenset(_names(value)) if value else frozenset()
    return _Step(first, last, reads, writes, tuple(_calls(value)) if value else ())


def _base_names(target: cst.CSTNode) -> list[str]:
    """`charge.total`, `body["total"]` and `(a, b)` write to `charge`, `body`, `a` and `b`."""
    import libcst as cst

    match target:
        case cst.Name():
            return [target.value]
        case cst.Attribute() | cst.Subscript() | cst.StarredElement() | cst.Element():
            return _base_names(target.value)
        case cst.Tuple() | cst.List():
            return [name for element in target.elements for name in _base_names(element)]
        case _:
            return []


def _names(node: cst.CSTNode) -> Iterator[str]:
    """Names that an expression reads; attribute names and keyword names are no variables."""
    import libcst as cst

    match node:
        case cst.Name():
            yield node.value
        case cst.Attribute():
            yield from _names(node.value)
        case cst.Arg():
            yield from _names(node.value)
        case _:
            for child in node.children:
                yield from _names(child)


def _calls(node: cst.CSTNode) -> Iterator[str]:
    import libcst as cst
    from libcst.helpers import get_full_name_for_node

    if isinstance(node, cst.Call):
        name = get_full_name_for_node(node.func)
        if name:
            yield name
    for child in node.children:
        yield from _calls(child)


def _inside(function: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """The nodes of a function's body, not those of functions and classes defined in it."""
    import libcst as cst

    for child in function.children:
        yield child
        if not isinstance(child, cst.FunctionDef | cst.ClassDef | cst.Lambda):
            yield from _inside(child)
