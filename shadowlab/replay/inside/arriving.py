"""Put a stand-in into a library as soon as the service has imported it, before it is used."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any


class Arrivals(importlib.abc.MetaPathFinder):
    """Lets the others find the modules that are waited for, and calls `then(module)` once each is there."""

    def __init__(self, waiting: dict[str, Callable[[Any], None]]) -> None:
        self._waiting = waiting
        self._busy = ""

    def install(self) -> None:
        sys.meta_path.insert(0, self)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in self._waiting or self._busy == name:
            return None
        self._busy = name
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._busy = ""
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self._waiting.pop(name))
        return spec


class _Loader(importlib.abc.Loader):
    """A module's own loader, and what waits for it."""

    def __init__(self, loader: Any, then: Callable[[Any], None]) -> None:
        self._loader = loader
        self._then = then

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._then(module)
