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
_askers: dict[int, tuple[Any, bool]] = {}
"""Code that has been seen to read for itself, by its id, and whether it is the service's."""
_keys: dict[str, Any] = {}
"""Names that are kept, and how the process spells them."""
_KEYS_LIMIT = 1024
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


class _Watched(_Environ):  # type: ignore[misc]  # os._Environ has no public name
    """`os.environ`, noting each name that a request asks for, whether it is set or not.

    A name is looked up in the bytes underneath at once, which takes less than `os.environ` itself does: what notes the
    name is paid with that. So is what lists all of them: requests does that four times for a call.
    """

    _listed: tuple[dict[Any, Any], dict[Any, Any]] = ({}, {})
    """What the process had when all were listed last, and what that is to the service."""

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

    def __delitem__(self, name: Any) -> None:
        self._listed = ({}, {})  # what is taken away is not held here either
        _Environ.__delitem__(self, name)

    def items(self) -> ItemsView[Any, Any]:
        """All of them as they are now, without being noted: who lists all of them asks for none."""
        return _all(self).items()

    def values(self) -> ValuesView[Any]:
        return _all(self).values()

    def copy(self) -> dict[Any, Any]:
        return _all(self).copy()


def _all(watched: Any) -> dict[Any, Any]:
    """All of them, worked out anew when one has changed; nobody may write into it."""
    spelled: dict[Any, Any]
    had, spelled = watched._listed
    if had != watched._data:
        had, key, value = watched._data.copy(), watched.decodekey, watched.decodevalue
        spelled = {key(name): value(each) for name, each in had.items()}
        watched._listed = had, spelled
    return spelled


def _found(watched: Any, name: Any) -> Any:
    """The value as the process has it, None when there is none."""
    key = _keys.get(name)
    if key is None:
        key = watched.encodekey(name)
        if len(_keys) < _KEYS_LIMIT and _NAME.fullmatch(name):
            _keys[name] = key
    found = watched._data.get(key)
    tape = recall()
    if tape is not None and not tape.closed:
        asks = sys._getframe(2)
        known = _askers.get(id(asks.f_code))
        read, is_set = tape.environment_read, found is not None
        if (known is None or known[1]) and read.get(name) not in (True, is_set):
            if known is None or name not in _keys:
                _note(tape, name, is_set, asks)
            else:
                read[name] = is_set
    return found


def _note(tape: Tape, name: str, is_set: bool, asks: Any) -> None:
    frame = asks
    while (module := frame.f_globals.get("__name__")) in ("os", "collections.abc") and frame.f_back is not None:
        frame = frame.f_back
    services = not str(module).startswith(_OURS)
    if services and _NAME.fullmatch(name):
        tape.environment_read[name] = is_set
    if frame is asks and len(_askers) < _KEYS_LIMIT:
        _askers[id(frame.f_code)] = (frame.f_code, services)


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
