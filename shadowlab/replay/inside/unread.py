"""Refuse what a service reads of a body beyond what it had read when it was recorded: nobody knows what is there."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

WHY = "the service reads the request's body, which it had not read when it was recorded"
Refuse = Callable[[str], None]
"""Remembers what was refused, and why."""


def messages(request: dict[str, Any], body: bytes) -> list[dict[str, Any]]:
    """The body for an ASGI application, in the pieces in which it came; the rest of it is announced, if it has one."""
    lengths, made, at = list(request["pieces"]) or [len(body)], [], 0
    for length in lengths:
        made.append({"type": "http.request", "body": body[at : at + length], "more_body": True})
        at += length
    if not request["unread"]:
        made[-1]["more_body"] = False
    return made if body or not request["unread"] else []


def stream(request: dict[str, Any], body: bytes, refuse: Refuse) -> io.BufferedIOBase:
    """The body as `wsgi.input`."""
    return io.BufferedReader(_Kept(body, refuse)) if request["unread"] else io.BytesIO(body)


def beyond(refuse: Refuse) -> OSError:
    """What a service gets that reads too far."""
    refuse(WHY)
    return OSError(WHY)


class _Kept(io.RawIOBase):
    """A stream that has no end, only a place from which on it is not known."""

    def __init__(self, body: bytes, refuse: Refuse) -> None:
        self._rest = io.BytesIO(body)
        self._refuse = refuse

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._rest.readinto(buffer)
        if not count and len(buffer):
            raise beyond(self._refuse)
        return count
