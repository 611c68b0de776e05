"""Say what came of a request in plain values: the exception with its in-tree frames, the body, what was changed."""

from __future__ import annotations

import base64
import re
import traceback
from types import CodeType, TracebackType
from typing import Any

_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,16}\b")
_LONGEST_MESSAGE = 20_000
_LARGEST_BODY = 16 << 20
_DEEPEST = 200


class Places:
    """Folder names that differ from run to run, and the names that stand for them."""

    def __init__(self, tree: str, work: str) -> None:
        self.tree = tree.rstrip("/") + "/"
        self._names = ((tree.rstrip("/"), "<tree>"), (work.rstrip("/"), "<work>"))

    def text(self, text: str) -> str:
        """Text with this run's folders and addresses taken out."""
        for place, name in self._names:
            text = text.replace(place, name)
        return _ADDRESS.sub("0x<address>", text)[:_LONGEST_MESSAGE]

    def content(self, content: bytes) -> bytes:
        """A body with this run's folders taken out."""
        for place, name in self._names:
            content = content.replace(place.encode(), name.encode())
        return content


def error_of(exc: BaseException | None, places: Places) -> dict[str, Any] | None:
    """An exception as `type, message, frames`, with what it was raised from in `causes`."""
    if exc is None:
        return None
    error = _one(exc, places)
    causes: list[dict[str, Any]] = []
    seen, cause = {id(exc)}, _cause(exc)
    while cause is not None and id(cause) not in seen and len(causes) < 10:
        causes.append(_one(cause, places))
        seen.add(id(cause))
        cause = _cause(cause)
    return {**error, "causes": causes}


def answer_of(answer: dict[str, Any], places: Places) -> dict[str, Any]:
    """An answer as JSON values."""
    body = places.content(answer["body"])
    return {
        "status": answer["status"],
        "headers": [[name.lower(), places.text(value)] for name, value in answer["headers"]],
        "body": base64.b64encode(body[:_LARGEST_BODY]).decode(),
        "error": error_of(answer["error"], places),
    }


def _one(exc: BaseException, places: Places) -> dict[str, Any]:
    try:
        message = str(exc)
    except Exception as broken:
        message = f"(its text cannot be made: {type(broken).__name__})"
    return {"type": name_of(type(exc)), "message": places.text(message), "frames": _frames(exc.__traceback__, places)}


def name_of(kind: type) -> str:
    """An exception's name as OpenTelemetry writes it: with its module, except for built-in ones."""
    return kind.__qualname__ if kind.__module__ in ("builtins", "") else f"{kind.__module__}.{kind.__qualname__}"


def function_of(code: CodeType) -> str:
    """A function's qualified name; Pythons before 3.11 know its bare name only."""
    return getattr(code, "co_qualname", code.co_name)


def _frames(found: TracebackType | None, places: Places) -> list[dict[str, Any]]:
    frames = []
    for frame, line in traceback.walk_tb(found):
        file = frame.f_code.co_filename
        if file.startswith(places.tree) and "-packages/" not in file:
            frames.append({"file": file[len(places.tree) :], "function": function_of(frame.f_code), "line": line})
    return frames[-_DEEPEST:]


def _cause(exc: BaseException) -> BaseException | None:
    if exc.__cause__ is not None:
        return exc.__cause__
    return None if exc.__suppress_context__ else exc.__context__
