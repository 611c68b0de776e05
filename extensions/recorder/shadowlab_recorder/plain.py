"""Python values as JSON."""

from __future__ import annotations

import base64
import datetime
import decimal
import math
import uuid
from collections.abc import Mapping
from typing import Any

_EXACT = 2**53
_DEPTH = 40


def plain(value: Any) -> tuple[Any, bool]:
    """A value as JSON can hold it, and whether JSON could hold all of it.

    Bytes become `{"base64": ...}`, integers beyond 2^53 `{"integer": ...}`; what JSON has no form for becomes a string
    of at most 200 characters, and the second part of the answer is False.
    """
    lost: list[None] = []
    return _plain(value, lost, 0), not lost


def _plain(value: Any, lost: list[None], depth: int) -> Any:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return int(value) if abs(value) <= _EXACT else {"integer": str(value)}
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if depth < _DEPTH:
        if isinstance(value, Mapping):
            return {_name(name, lost): _plain(each, lost, depth + 1) for name, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [_plain(each, lost, depth + 1) for each in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"base64": base64.b64encode(value).decode()}
    lost.append(None)
    if isinstance(value, (decimal.Decimal, uuid.UUID, datetime.date, datetime.time, float)):
        return str(value)
    return _printed(value)


def _name(key: Any, lost: list[None]) -> str:
    """A mapping's key as text: what is under `b"password"` must be found by its name."""
    if isinstance(key, str):
        return key
    lost.append(None)
    return key.decode("utf-8", "replace") if isinstance(key, bytes) else _printed(key)


def _printed(value: Any) -> str:
    try:
        return repr(value)[:200]
    except Exception:  # the service's own code, which may raise whatever it likes
        return f"<{type(value).__qualname__}>"
