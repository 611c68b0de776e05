"""Replace one argument of one function while a request runs: the smallest change that can prove a cause."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import enum
import os
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from .outcome import function_of


class Swapped:
    """How often the value was really replaced by another one."""

    def __init__(self) -> None:
        self.times = 0


@contextlib.contextmanager
def applied(swap: dict[str, Any] | None, tree: str) -> Iterator[Swapped]:
    """While the block runs, `swap["argument"]` of `swap["function"]` in `swap["file"]` is changed by `swap["rule"]`.

    A trace function sees every call, whoever bound the function early; CPython writes its changes of a frame's
    locals back before the first line runs.
    """
    swapped = Swapped()
    if not swap:
        yield swapped
        return
    file, rule = os.path.join(tree, swap["file"]), RULES[swap["rule"]]
    function, argument = swap["function"], swap["argument"]

    def trace(frame: FrameType, event: str, arg: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename == file and function in (code.co_name, function_of(code)):
            _change(frame, argument, rule, swap.get("value"), swapped)

    sys.settrace(trace)
    threading.settrace(trace)
    try:
        yield swapped
    finally:
        sys.settrace(None)
        threading.settrace(None)


def _change(frame: FrameType, argument: str, rule: Rule, given: Any, swapped: Swapped) -> None:
    if argument not in frame.f_locals:
        return
    before = frame.f_locals[argument]
    after = _walk(before, rule, given)
    if after is not before:
        frame.f_locals[argument] = after
        swapped.times += 1


def _walk(value: Any, rule: Rule, given: Any, depth: int = 0) -> Any:
    """The value with the rule applied everywhere inside; the very same object when nothing changed."""
    changed = rule(value, given)
    if changed is not value or depth > 50:
        return changed
    if isinstance(value, dict):
        items = {key: _walk(item, rule, given, depth + 1) for key, item in value.items()}
        return items if any(items[key] is not value[key] for key in value) else value
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        parts = [_walk(item, rule, given, depth + 1) for item in value]
        same = all(new is old for new, old in zip(parts, value, strict=True))
        return value if same else type(value)(parts)
    return value


Rule = Callable[[Any, Any], Any]


def _of(kind: Any, change: Callable[[Any], Any]) -> Rule:
    return lambda value, given: change(value) if isinstance(value, kind) else value


RULES: dict[str, Rule] = {
    "decimal-to-str": _of(decimal.Decimal, str),
    "decimal-to-float": _of(decimal.Decimal, float),
    "datetime-to-str": _of((datetime.datetime, datetime.date, datetime.time), lambda value: value.isoformat()),
    "uuid-to-str": _of(uuid.UUID, str),
    "enum-to-value": _of(enum.Enum, lambda value: value.value),
    "set-to-list": _of((set, frozenset), lambda value: sorted(value, key=repr)),
    "bytes-to-str": _of((bytes, bytearray), lambda value: value.decode("utf-8", "replace")),
    "none-to-value": lambda value, given: given if value is None else value,
    "set-value": lambda value, given: given,
}
"""What an intervention may do to a value; names are the contract with `shadowlab.diagnose`."""
