"""Work out what a request did only when somebody asks: of most requests nobody does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def later(make: Callable[[Any], Any]) -> Any:
    """An attribute of a class that `make(instance)` gives when it is first asked for; it can be set, too."""
    return _Later(make)


class _Later:
    """Threads that meet in it get the same value."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._make = make

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        return instance.__dict__.setdefault(self._name, self._make(instance))
