"""Do something to a library when, and only when, the service imports it."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
import threading
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from shadowlab_recorder.quiet import quietly

_waiting: dict[str, list[Callable[[Any], None]]] = {}
_placed: set[tuple[str, str]] = set()
_local = threading.local()


def when_imported(name: str, then: Callable[[Any], None]) -> None:
    """Calls `then(module)` now if the module is there, else right after its import; once in a process."""
    mark = (name, f"{then.__module__}.{then.__qualname__}")
    if mark in _placed:
        return
    _placed.add(mark)
    if name in sys.modules:
        quietly(then, sys.modules[name])
        return
    _waiting.setdefault(name, []).append(then)
    if not any(isinstance(each, _Finder) for each in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """Lets the others find a module that is waited for, and wraps its loader."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in _waiting or getattr(_local, "busy", None) == name:
            return None
        _local.busy = name
        try:
            spec = importlib.util.find_spec(name)
        finally:
            _local.busy = None
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, name)
        return spec


class _Loader(importlib.abc.Loader):
    """The module's own loader, and what waits for it afterwards."""

    def __init__(self, loader: Any, name: str) -> None:
        self._loader = loader
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        for then in _waiting.pop(self._name, []):
            quietly(then, module)
