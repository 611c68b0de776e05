"""What an exception tells: its type, its words, and where it came from."""

from __future__ import annotations

from pathlib import Path
from traceback import walk_tb
from types import TracebackType
from typing import Any

_HERE = str(Path(__file__).parent)


def failure(error: BaseException, trace: TracebackType | None = None) -> dict[str, Any]:
    """Type, message and frames of an exception, outermost frame first, without the recorder's own."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    walked = ((frame.f_code, line) for frame, line in walk_tb(trace or error.__traceback__))
    frames = [
        {"file": code.co_filename, "function": code.co_name, "line": line}
        for code, line in walked
        if not code.co_filename.startswith(_HERE)
    ]
    return {"type": name, "message": message(error), "frames": frames}


def message(error: BaseException) -> str:
    """What the exception says, at most 2,000 characters; an exception that cannot be printed says so."""
    try:
        return str(error)[:2000]
    except Exception:  # the service's own code, which may raise whatever it likes
        return "<its message cannot be printed>"
