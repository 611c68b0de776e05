"""Take secrets out of commands of Redis and of their replies: what a value is stored under says what it is."""

from __future__ import annotations

import json
from typing import Any

from shadowlab_recorder.redaction import Redacted

_ONE = {"GET", "GETDEL", "GETEX", "GETSET", "HGET"}
_MANY = {"MGET", "HMGET"}


def cleaned(method: str, sent: bytes, answered: bytes, clean: Redacted) -> tuple[bytes, bytes]:
    """Arguments and reply without their secrets, as JSON as they came."""
    try:
        arguments, reply = json.loads(sent), json.loads(answered or b"null")
    except ValueError:  # cut
        return clean.body(sent), clean.body(answered)
    if method == "PIPELINE":
        replies = reply if isinstance(reply, list) and len(reply) == len(arguments) else None
        for place, command in enumerate(arguments):
            command[1:] = _arguments(str(command[0]).upper(), command[1:], clean)
            if replies:
                replies[place] = _reply(str(command[0]).upper(), command[1:], replies[place], clean)
    else:
        arguments, reply = _arguments(method, arguments, clean), _reply(method, arguments, reply, clean)
    return _spelled(arguments, clean), _spelled(reply, clean) if answered else answered


def _arguments(method: str, given: list[Any], clean: Redacted) -> list[Any]:
    """`HSET user:1 password ...`, `SET access_token ...`: a value comes after its name."""
    if method == "AUTH":
        return [_under("password", each, clean) for each in given]
    return [_under(given[n - 1] if n else "", each, clean) for n, each in enumerate(given)]


def _reply(method: str, given: list[Any], reply: Any, clean: Redacted) -> Any:
    names = given[1:] if method.startswith("H") else given
    if method in _ONE and names:
        return _under(names[0], reply, clean)
    if method in _MANY and isinstance(reply, list):
        return [_under(name, each, clean) for name, each in zip(names, reply, strict=False)]
    return reply


def _under(name: Any, value: Any, clean: Redacted) -> Any:
    """What stands under a name that is denied; JSON stays JSON, and is looked into like a body.

    A session is what the service goes on from, so it stays.
    """
    if not isinstance(name, str) or not isinstance(value, str) or not value or value[:1] in "{[":
        return value
    return clean.value(name, value) if clean.denied(name.lower().replace("session", "")) else value


def _spelled(value: Any, clean: Redacted) -> bytes:
    if isinstance(value, str):
        return _dumped(clean.cell("", value))
    return clean.body(_dumped(value))


def _dumped(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
