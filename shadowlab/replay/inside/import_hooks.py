"""Put a stand-in into a library as soon as the service has imported it, before it is used.

The recorder has a finder of this shape too (`shadowlab_recorder.importing`). Neither can have the other's: a service
installs the recorder alone, and a replay takes this folder, and nothing else of ours, behind its walls.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any


class ImportHooks(importlib.abc.MetaPathFinder):
    """Lets the others find the modules that are waited for, and calls `then(module)` once each is there."""

    def __init__(self, waiting: dict[str, Callable[[Any], None]]) -> None:
        self._waiting = waiting

    def install(self) -> None:
        sys.meta_path.insert(0, self)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name not in self._waiting:
            return None
        others = [finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec")]
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self._arrived)
        return spec

    def _arrived(self, module: ModuleType) -> None:
        """It was imported, and not only looked for."""
        then = self._waiting.pop(module.__name__, None)
        if then is not None:
            then(module)


class _Loader(importlib.abc.Loader):
    """A module's own loader, and what waits for it."""

    def __init__(self, loader: Any, then: Callable[[ModuleType], None]) -> None:
        self._loader = loader
        self._then = then

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
        self._then(module)
