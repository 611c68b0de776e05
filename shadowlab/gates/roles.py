"""Whose file is it: the service's, a new test's, or the judge's own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.machinery import PathFinder
from pathlib import PurePosixPath

from shadowlab import protected
from shadowlab.gates.patch import Change
from shadowlab.source import Service


class Role(StrEnum):
    """What a changed file is to the gates."""

    CHANGE = "change"
    """Part of the fix: it is judged, and counted."""
    TEST = "new test"
    """Brought by the candidate, run apart from the service's own tests."""
    JUDGE = "judge's own"
    """Decides what passes: it is split off and shown, and the candidate is refused."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One changed file and whose it is."""

    change: Change
    role: Role
    reason: str = ""


_TEST_MATERIAL = (".json", ".jsonl", ".txt", ".csv", ".md")


def parted(changes: tuple[Change, ...], service: Service, path: Sequence[str]) -> tuple[Part, ...]:
    """Each change with its role; `path` are the folders in which the service's packages lie."""
    return tuple(_part(change, service, path) for change in changes)


def _part(change: Change, service: Service, importable: Sequence[str]) -> Part:
    path = PurePosixPath(change.path)
    if change.note:
        return Part(change=change, role=Role.JUDGE, reason=f"{change.note}: only lines of plain text are taken")
    if _is_judges(path, service):
        return Part(change=change, role=Role.JUDGE, reason="decides how the service is tested, built or released")
    if protected.is_test(path):
        return _test(change, path)
    hidden = _hides(path, importable) if change.kind == "added" else None
    if hidden:
        return Part(change=change, role=Role.JUDGE, reason=f"hides the module {hidden}")
    return Part(change=change, role=Role.CHANGE)


def _is_judges(path: PurePosixPath, service: Service) -> bool:
    own = {PurePosixPath(lock) for lock in (service.lock, service.tests_lock) if lock}
    return path in own or protected.is_protected(path)


def _test(change: Change, path: PurePosixPath) -> Part:
    if change.kind != "added":
        return Part(change=change, role=Role.JUDGE, reason=f"an existing test was {change.kind}")
    empty_package = path.name == "__init__.py" and not change.added
    if protected.matches(path.name, protected.TEST_NAMES) or path.suffix in _TEST_MATERIAL or empty_package:
        return Part(change=change, role=Role.TEST)
    return Part(change=change, role=Role.JUDGE, reason="is no test, yet would be loaded beside the tests")


def _hides(path: PurePosixPath, importable: Sequence[str]) -> str | None:
    """The installed or built-in module that a new top-level file would hide."""
    top = path.parts[0].removesuffix(".py")
    if len(path.parts) == 1 and path.suffix != ".py":
        return None
    installed = [folder for folder in importable if folder.endswith(("site-packages", "dist-packages"))]
    known = top in sys.stdlib_module_names or PathFinder.find_spec(top, installed) is not None
    return top if known else None
