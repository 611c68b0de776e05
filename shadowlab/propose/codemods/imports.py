"""Add one import where the file's own order wants it (isort's defaults, as ruff checks them)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import libcst as cst


def local_name(imports: dict[str, str], module: str, name: str) -> str | None:
    """What `module.name` is called in a file with these imports, None when it is not imported."""
    for local, dotted in imports.items():
        if dotted == f"{module}.{name}":
            return local
    return next((f"{local}.{name}" for local, dotted in imports.items() if dotted == module), None)


def add_import(body: Sequence[cst.BaseStatement], module: str, name: str, *, beside: str) -> list[cst.BaseStatement]:
    """`body` with `from module import name` in the block of imports that holds the import of `beside`.

    A one-line `from module import …` gets the name added; otherwise a line is put behind the plain imports, in
    alphabetical order. Without such a block the line follows the docstring and `from __future__`.
    """
    import libcst as cst

    statements = list(body)
    for n, statement in enumerate(statements):
        imported = _from(statement)
        if imported is None or _module(imported) != module or imported.lpar is not None:
            continue
        if not isinstance(imported.names, cst.ImportStar):
            statements[n] = _with_name(statement, imported, name)
            return statements
    line: cst.BaseStatement = cst.parse_statement(f"from {module} import {name}")
    at, alone = _position(statements, module, beside)
    if alone and isinstance(line, cst.SimpleStatementLine):
        line = line.with_changes(leading_lines=[cst.EmptyLine(indent=False)] if at else [])
    if at < len(statements) and not alone:
        line, statements[at] = _take_lead(line, statements[at])
    statements.insert(at, line)
    return statements


def _take_lead(line: cst.BaseStatement, follower: cst.BaseStatement) -> tuple[cst.BaseStatement, cst.BaseStatement]:
    """A line put at the head of a block takes over the empty lines before it; comments stay with their import."""
    lead = list(getattr(follower, "leading_lines", ()))
    empty = [part for part in lead if part.comment is None]
    if len(empty) != len(lead) or not empty or _from(follower) is None:
        return line, follower
    return line.with_changes(leading_lines=empty), follower.with_changes(leading_lines=[])


def _position(statements: list[cst.BaseStatement], module: str, beside: str) -> tuple[int, bool]:
    """Where the line goes, and whether it stands there without a block."""
    for block in _blocks(statements):
        if any(beside in _imported(statements[n]) for n in block):
            later = [n for n in block if (found := _from(statements[n])) and _module(found).lower() > module.lower()]
            return (later[0] if later else block[-1] + 1), False
    first = 0
    for n, statement in enumerate(statements):
        if _is_docstring(statement) or "__future__" in _imported(statement):
            first = n + 1
    return first, True


def _blocks(statements: list[cst.BaseStatement]) -> list[list[int]]:
    """Positions of import lines that follow each other without an empty line."""
    blocks: list[list[int]] = []
    for n, statement in enumerate(statements):
        if not _imported(statement):
            continue
        apart = any(line.comment is None for line in getattr(statement, "leading_lines", ()))
        if blocks and blocks[-1][-1] == n - 1 and not apart:
            blocks[-1].append(n)
        else:
            blocks.append([n])
    return blocks


def _imported(statement: cst.BaseStatement) -> tuple[str, ...]:
    """Modules that a top-level line imports."""
    import libcst as cst
    from libcst.helpers import get_full_name_for_node

    match statement:
        case cst.SimpleStatementLine(body=[cst.Import() as found]):
            return tuple(get_full_name_for_node(alias.name) or "" for alias in found.names)
        case cst.SimpleStatementLine(body=[cst.ImportFrom() as found]):
            return (_module(found),)
        case _:
            return ()


def _from(statement: cst.BaseStatement) -> cst.ImportFrom | None:
    import libcst as cst

    match statement:
        case cst.SimpleStatementLine(body=[cst.ImportFrom() as found]):
            return found
        case _:
            return None


def _module(found: cst.ImportFrom) -> str:
    from libcst.helpers import get_full_name_for_node

    return "." * len(found.relative) + ((get_full_name_for_node(found.module) or "") if found.module else "")


def _is_docstring(statement: cst.BaseStatement) -> bool:
    import libcst as cst

    match statement:
        case cst.SimpleStatementLine(body=[cst.Expr(value=cst.SimpleString() | cst.ConcatenatedString())]):
            return True
        case _:
            return False


def _with_name(statement: cst.BaseStatement, found: cst.ImportFrom, name: str) -> cst.BaseStatement:
    import libcst as cst
    from libcst.helpers import get_full_name_for_node

    if isinstance(found.names, cst.ImportStar):
        return statement
    names = [*found.names, cst.ImportAlias(cst.Name(name))]
    names.sort(key=lambda alias: _order(get_full_name_for_node(alias.name) or ""))
    comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    joined = [
        a.with_changes(comma=comma if n < len(names) - 1 else cst.MaybeSentinel.DEFAULT) for n, a in enumerate(names)
    ]
    return statement.with_changes(body=[found.with_changes(names=joined)])


def _order(name: str) -> tuple[int, str]:
    """isort's `order_by_type`: CONSTANTS, Classes, functions."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2), name.lower()
