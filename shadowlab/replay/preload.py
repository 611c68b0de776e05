"""Which installed modules a service imports anyway: a fork server may import them once for many trees.

Only packages that the service's lock names, only modules that its own code imports: what is loaded, and in which order,
depends on the tree alone, so that a first run and a later one start from the same.
"""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import re
from collections.abc import Sequence
from pathlib import Path

from shadowlab.replay.environments.locks import normal

_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==", re.MULTILINE)
_MOST_FILES = 500


def modules(tree: Path, lock: str | None, path: Sequence[str]) -> tuple[str, ...]:
    """Names of modules, sorted; none without a lock. `path` says where its packages lie."""
    place = (tree / lock).resolve() if lock else None
    if place is None or not place.is_relative_to(tree.resolve()) or not place.is_file():
        return ()
    names = sorted(_PIN.findall(place.read_text(encoding="utf-8", errors="replace")))
    pinned = _packages(tuple(names), tuple(path))
    found: set[str] = set()
    for file in sorted(tree.rglob("*.py"))[:_MOST_FILES]:
        if not file.is_symlink() and "tests" not in file.relative_to(tree).parts:
            found |= _imported(file.read_bytes())
    own = {path.stem for path in tree.iterdir()}
    return tuple(sorted(name for name in found if name.partition(".")[0] in pinned - own))


@functools.lru_cache
def _packages(names: tuple[str, ...], path: tuple[str, ...]) -> set[str]:
    """Regular packages and modules that these distributions install."""
    wanted, found = {normal(name) for name in names}, set()
    for each in importlib.metadata.distributions(path=list(path)):
        if normal(each.metadata["Name"]) in wanted:
            tops = {file.parts[0] for file in each.files or () if file.suffix == ".py"}
            found |= {
                top.removesuffix(".py")
                for top in tops
                if top.endswith(".py") or Path(str(each.locate_file(top)), "__init__.py").exists()
            }
    return found


@functools.lru_cache(maxsize=2048)
def _imported(source: bytes) -> frozenset[str]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return frozenset(found)
