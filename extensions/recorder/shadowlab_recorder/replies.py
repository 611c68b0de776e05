"""Replies of Redis as JSON, and what JSON forgets of them: bytes, tuples, sets, keys in bytes, errors in a list."""

from __future__ import annotations

import json
from typing import Any

HEADER = "shadowlab-reply"
"""The header of the recorded answer that holds the shape, as JSON.

A shape is null (as JSON has it), `"bytes"`, `["error", type]`, `[kind, shape, ...]` with kind `list`, `tuple` or `set`
and either one shape for all or one for each, or `["dict", [shapes of keys], [shapes of values]]`.
"""
LOST = "lost"
"""In the place of a shape: JSON does not hold it."""


def readable(value: Any) -> Any:
    """Bytes as text where they are text, in lists and objects too; an exception as what it says."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    if isinstance(value, BaseException):
        return str(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [readable(each) for each in value]
    if isinstance(value, dict):
        return {str(readable(name)): readable(each) for name, each in value.items()}
    return value


def shape(value: Any) -> Any:
    """What of the value its JSON does not say."""
    if isinstance(value, bytes):
        return "bytes"
    if isinstance(value, BaseException):
        raised = type(value)
        return ["error", f"{raised.__module__}.{raised.__qualname__}"]
    for kind in (list, tuple, set):
        if isinstance(value, kind):
            inner = _together([shape(each) for each in value])
            return None if kind is list and inner in ([], [None]) else [kind.__name__, *inner]
    if isinstance(value, dict):
        keys = _together([_key(name) for name in value])
        values = _together([shape(each) for each in value.values()])
        return None if {*map(str, keys), *map(str, values)} <= {"None"} else ["dict", keys, values]
    return None


def _key(name: Any) -> str | None:
    if isinstance(name, str):
        return None
    if isinstance(name, bytes) and isinstance(readable(name), str):
        return "bytes"
    return LOST


def written(value: Any) -> bytes:
    """A shape as a header's value."""
    return json.dumps(value, separators=(",", ":")).encode()


def _together(shapes: list[Any]) -> list[Any]:
    """One for all, where all are the same."""
    return shapes[:1] if all(each == shapes[0] for each in shapes) else shapes
