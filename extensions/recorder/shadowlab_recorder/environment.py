"""Which environment variables a request reads."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import ItemsView, ValuesView
from typing import Any

from shadowlab_recorder.tape import Tape, recall

_Environ: Any = type(os.environ)
_OURS = ("opentelemetry.", "shadowlab_recorder.")
"""Instrumentation: what it reads, the service did not ask for."""
_theirs: dict[int, Any] = {}
"""Code of it that has been seen to read, by its id."""
_keys: dict[str, Any] = {}
"""Names, and how the process spells them."""
_KEYS_LIMIT = 1024
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


class _Watched(_Environ):  # type: ignore[misc]  # os._Environ has no public name
    """`os.environ`, noting each name that a request asks for, whether it is set or not.

    A name is looked up in the bytes underneath at once, which takes less than `os.environ` itself does: what notes the
    name is paid with that.
    """

    def __getitem__(self, name: Any) -> Any:
        found = _found(self, name)
        if found is None:
            return _Environ.__getitem__(self, name)  # raises what it raises
        return self.decodevalue(found)

    def get(self, name: Any, default: Any = None) -> Any:
        found = _found(self, name)
        return default if found is None else self.decodevalue(found)

    def __contains__(self, name: Any) -> bool:
        return _found(self, name) is not None

    def items(self) -> ItemsView[Any, Any]:
        """All of them as they are now, without being noted: who lists all of them asks for none."""
        return self.copy().items()

    def values(self) -> ValuesView[Any]:
        return self.copy().values()

    def copy(self) -> dict[Any, Any]:
        key, value = self.decodekey, self.decodevalue
        return {key(name): value(told) for name, told in self._data.items()}


def _found(watched: Any, name: Any) -> Any:
    """The value as the process has it, None when there is none."""
    key = _keys.get(name)
    if key is None:
        key = watched.encodekey(name)
        if len(_keys) < _KEYS_LIMIT:
            _keys[name] = key
    found = watched._data.get(key)
    tape = recall()
    if tape is not None and not tape.closed and tape.environment_read.get(name) not in (True, found is not None):
        _note(tape, name, found is not None)
    return found


def _note(tape: Tape, name: str, is_set: bool) -> None:
    frame: Any = sys._getframe(3)
    if id(frame.f_code) in _theirs:
        return
    asks = frame
    while (module := frame.f_globals.get("__name__")) in ("os", "collections.abc") and frame.f_back is not None:
        frame = frame.f_back
    if not str(module).startswith(_OURS):
        if _NAME.fullmatch(name):
            tape.environment_read[name] = is_set
    elif frame is asks:
        _theirs[id(frame.f_code)] = frame.f_code


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
