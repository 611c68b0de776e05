"""Which environment variables a request reads."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from typing import Any

from shadowlab_recorder.tape import current

_Environ: Any = type(os.environ)
_get = _Environ.__getitem__
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


class _Quiet(Mapping[Any, Any]):
    """The same variables, read without being noted: who lists all of them asks for none."""

    def __init__(self, watched: Any) -> None:
        self._watched = watched

    def __getitem__(self, name: Any) -> Any:
        return _Environ.__getitem__(self._watched, name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._watched)

    def __len__(self) -> int:
        return len(self._watched)


class _Watched(_Environ):  # type: ignore[misc]  # os._Environ has no public name
    """`os.environ`, noting each name that a request asks for, whether it is set or not."""

    def __getitem__(self, name: Any) -> Any:
        tape = current()
        if tape is None or not isinstance(name, str) or _is_instrumentation() or tape.environment_read.get(name):
            return _get(self, name)
        if _NAME.fullmatch(name):
            tape.environment_read.setdefault(name, False)
        value = _get(self, name)
        if name in tape.environment_read:
            tape.environment_read[name] = True
        return value

    def items(self) -> ItemsView[Any, Any]:
        return _Quiet(self).items()

    def values(self) -> ValuesView[Any]:
        return _Quiet(self).values()

    def copy(self) -> dict[Any, Any]:
        return dict(_Quiet(self))


def _is_instrumentation() -> bool:
    """Whether OpenTelemetry's code or ours is what reads: the service did not ask."""
    frame: Any = sys._getframe(2)
    while (name := frame.f_globals.get("__name__")) in ("os", "collections.abc") and frame.f_back is not None:
        frame = frame.f_back
    return str(name).startswith(("opentelemetry.", "shadowlab_recorder."))


def watch() -> None:
    """Notes reads from now on, also through names that were bound before (`from os import environ`)."""
    if type(os.environ) is _Environ:
        os.environ.__class__ = _Watched


def values(names: tuple[str, ...]) -> dict[str, str]:
    """The listed variables that are set."""
    wrong = [name for name in names if not _NAME.fullmatch(name)]
    if wrong:
        raise ValueError(f"environment names {wrong[0]!r}: letters, digits and underscores only")
    return {name: os.environ[name] for name in names if name in os.environ}
