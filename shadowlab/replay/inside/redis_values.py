"""Arguments and replies of Redis, as a recording holds them and as redis-py gives them."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable, Sequence
from typing import Any

HEADER = "shadowlab-reply"
"""Of a recorded reply: the shape that JSON forgets, as the recorder writes it."""
_EXACT = 2**53
_KINDS: dict[str, Callable[[list[Any]], Any]] = {"list": list, "tuple": tuple, "set": set}
_CUT = "redacted"


def encoded(arguments: Sequence[Any]) -> bytes:
    """The arguments of a command, or the commands of a pipeline, byte for byte as the recorder writes them."""
    value = _plain(list(arguments))
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def same_key(call: dict[str, Any], body: bytes) -> bool:
    """Whether a recorded command is about the same key, a pipeline about the same commands and keys."""
    try:
        recorded = call["request_body"]
        recorded = json.loads(recorded) if call["request_body_encoding"] == "utf-8" else recorded
        return _key(recorded) == _key(json.loads(body)) or _CUT in json.dumps(_key(recorded))
    except (KeyError, TypeError, ValueError, RecursionError):
        return False


def reply(content: bytes, shape: str | None, *, text: bool, error: Callable[[str, str], Exception]) -> Any:
    """What redis-py gave: `shape` is the header's value, `text` whether the client decodes, where there is no header.

    `error(type, message)` makes an exception that stood among the replies of a pipeline. Raises `ValueError` in words
    when the reply is none that a recorder wrote.
    """
    try:
        value = json.loads(content or b"null")
        with contextlib.suppress(json.JSONDecodeError):
            return _made(value, json.loads(shape or ""), error)
        return _exact(value) if text else _bytes(value)  # nobody wrote its shape down, or it was redacted
    except (ValueError, TypeError, LookupError, RecursionError):
        raise ValueError("the recorded reply cannot be read") from None


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        with contextlib.suppress(UnicodeDecodeError):
            return value.decode()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value) if abs(value) <= _EXACT else {"integer": str(value)}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, (bool, str, float)) else repr(value)[:200]


def _key(arguments: list[Any]) -> Any:
    if arguments and all(isinstance(each, list) for each in arguments):
        return [each[:2] for each in arguments]
    return arguments[:1]


def _made(value: Any, shape: Any, error: Callable[[str, str], Exception]) -> Any:
    if shape == "bytes":
        return _bytes(value)
    if not isinstance(shape, list) or not shape:
        return _exact(value)
    if shape[0] == "error":
        return error(str(shape[1]), str(value))
    if shape[0] == "dict" and isinstance(value, dict):
        names = [_made(name, each, error) for name, each in zip(value, _each(shape[1], len(value)), strict=False)]
        values = [_made(v, each, error) for v, each in zip(value.values(), _each(shape[2], len(value)), strict=False)]
        return dict(zip(names, values, strict=False))
    if shape[0] in _KINDS and isinstance(value, list):
        return _KINDS[shape[0]]([_made(v, s, error) for v, s in zip(value, _each(shape[1:], len(value)), strict=False)])
    return _exact(value)


def _each(shapes: list[Any], count: int) -> list[Any]:
    """A shape for each of `count` values, where one may stand for all."""
    return shapes * count if len(shapes) == 1 else shapes


def _bytes(value: Any) -> Any:
    """Text as bytes, in lists and objects too."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, list):
        return [_bytes(each) for each in value]
    if isinstance(value, dict) and value.keys() == {"base64"}:
        return base64.b64decode(str(value["base64"]))
    if isinstance(value, dict) and value.keys() != {"integer"}:
        return {_bytes(name): _bytes(each) for name, each in value.items()}
    return _exact(value)


def _exact(value: Any) -> Any:
    """Values with the integers that JSON's readers would round."""
    if isinstance(value, dict) and value.keys() == {"integer"}:
        return int(str(value["integer"]))
    if isinstance(value, dict):
        return {name: _exact(each) for name, each in value.items()}
    return [_exact(each) for each in value] if isinstance(value, list) else value
