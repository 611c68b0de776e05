"""Read Python that may be hostile: parsed, never imported, never run.

LibCST's parser is native code and ends the process on deeply nested source, so CPython's own parser, which has limits,
looks first.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import libcst as cst
    from libcst.metadata import CodeRange

MAX_CHARACTERS = 1_000_000
MAX_DEPTH = 200
"""Nested nodes; LibCST's visitors recurse several Python frames for each."""


def parse(text: str) -> cst.Module | None:
    """The concrete syntax tree; None when `text` is too long, too deep, no Python of this interpreter, or cannot be
    written back as it stands (LibCST drops a backslash continuation before the first statement)."""
    import libcst as cst

    if not _harmless(text):
        return None
    try:
        module = cst.parse_module(text)
        return module if module.code == text else None
    except (cst.ParserSyntaxError, RecursionError):
        return None


def _harmless(text: str) -> bool:
    if len(text) > MAX_CHARACTERS:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            level: list[ast.AST] = [ast.parse(text)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return True
    return False


@dataclass(frozen=True, slots=True)
class Function:
    """One function of a file, lines counted from 1, decorators included."""

    file: str
    qualname: str
    """`Cart.total`, `outer.<locals>.inner`."""
    start_line: int
    end_line: int
    node: cst.FunctionDef = field(compare=False, repr=False)

    @property
    def name(self) -> str:
        """The last part of the qualified name, as a traceback may show it."""
        return self.qualname.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One parsed file: its functions, its imports, and where each node stands."""

    file: str
    text: str
    module: cst.Module
    positions: Mapping[cst.CSTNode, CodeRange]
    functions: tuple[Function, ...]
    imports: Mapping[str, str]
    """Local name to dotted name: `{"D": "decimal.Decimal"}`."""

    def lines(self, node: cst.CSTNode) -> tuple[int, int]:
        """First and last line of a node."""
        place = self.positions[node]
        return place.start.line, place.end.line

    def code(self, node: cst.CSTNode) -> str:
        """The node's text."""
        return self.module.code_for_node(node).strip()


class Tree:
    """The Python files of one revision, read and parsed once each when asked for."""

    def __init__(self, files: tuple[str, ...], read: Callable[[str], str]) -> None:
        self.files = frozenset(files)
        self._read = read
        self._parsed: dict[str, SourceFile | None] = {}

    def file(self, name: str) -> SourceFile | None:
        """A parsed file; None when the tree has none of that name or it cannot be read safely."""
        if name not in self._parsed:
            known = name in self.files and name.endswith(".py")
            self._parsed[name] = source_file(name, self._read(name)) if known else None
        return self._parsed[name]

    def function(self, file: str, name: str, line: int | None) -> Function | None:
        """The innermost function called `name` that holds `line`; without a line, the only one of that name."""
        parsed = self.file(file)
        named = [f for f in parsed.functions if f.name == name.rpartition(".")[2]] if parsed else []
        if line is None:
            return named[0] if len(named) == 1 else None
        holding = [f for f in named if f.start_line <= line <= f.end_line]
        return max(holding, key=lambda f: f.start_line, default=None)

    def module(self, dotted: str) -> str | None:
        """The one file that `import dotted` means, whatever folder the tree is started from."""
        path = dotted.replace(".", "/")
        for end in (f"{path}.py", f"{path}/__init__.py"):
            found = [f for f in self.files if f == end or f.endswith(f"/{end}")]
            if end in found:
                return end
            if len(found) == 1:
                return found[0]
        return None


def source_file(file: str, text: str) -> SourceFile | None:
    """`text` parsed, or None when it cannot be read safely."""
    from libcst.metadata import MetadataWrapper, PositionProvider

    module = parse(text)
    if module is None:
        return None
    try:
        wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
        positions = wrapper.resolve(PositionProvider)
        functions, imports = _scan(module, file, positions)
    except RecursionError:
        return None
    return SourceFile(file, text, module, positions, functions, imports)


def _scan(
    module: cst.Module, file: str, positions: Mapping[cst.CSTNode, CodeRange]
) -> tuple[tuple[Function, ...], dict[str, str]]:
    import libcst as cst
    from libcst.helpers import get_full_name_for_node

    package = ".".join(PurePosixPath(file).with_suffix("").parts)
    functions: list[Function] = []
    imports: dict[str, str] = {}

    def names(node: cst.Import | cst.ImportFrom, before: str) -> None:
        for alias in () if isinstance(node.names, cst.ImportStar) else node.names:
            name = get_full_name_for_node(alias.name) or ""
            local = get_full_name_for_node(alias.asname.name) if alias.asname else None
            if local or before:
                imports[local or name] = f"{before}{name}"
            else:
                imports[name.partition(".")[0]] = name.partition(".")[0]

    def visit(node: cst.CSTNode, prefix: str) -> None:
        for child in node.children:
            match child:
                case cst.FunctionDef():
                    qualname = f"{prefix}{child.name.value}"
                    first = positions[child.decorators[0] if child.decorators else child].start.line
                    functions.append(Function(file, qualname, first, positions[child].end.line, child))
                    visit(child, f"{qualname}.<locals>.")
                case cst.ClassDef():
                    visit(child, f"{prefix}{child.name.value}.")
                case cst.Import():
                    names(child, "")
                case cst.ImportFrom():
                    names(child, _import_base(child, package))
                case _:
                    visit(child, prefix)

    visit(module, "")
    return tuple(functions), imports


def _import_base(node: cst.ImportFrom, package: str) -> str:
    from libcst.helpers import get_full_name_for_node

    named = get_full_name_for_node(node.module) or "" if node.module else ""
    climbed = package.split(".")[: -len(node.relative)] if node.relative else []
    return "".join(f"{part}." for part in [*climbed, *named.split(".")] if part)
