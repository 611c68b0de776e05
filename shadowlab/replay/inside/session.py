"""A requests-like session for plain functions, answered from the tape."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from .tape import Tape, content_of, headers_of


class Answered:
    """What a call got: `status_code`, `headers`, `content`, `text`, `ok`, `json()`, `raise_for_status()`."""

    def __init__(self, url: str, call: dict[str, Any]) -> None:
        self.url = url
        self.status_code: int = call["status"]
        self.headers = dict(headers_of(call))
        self.content = content_of(call)

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    @property
    def ok(self) -> bool:
        return self.status_code < 400

    def json(self) -> Any:
        return json.loads(self.content)

    def raise_for_status(self) -> None:
        if not self.ok:
            raise OSError(f"{self.status_code} for {self.url}")


class Session:
    """`get`, `post`, `put`, `patch`, `delete`, `head`, `options`, `request`."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self.headers: dict[str, str] = {}

    def request(
        self, method: str, url: str, *, params: Any = None, data: Any = None, json: Any = None, **rest: Any
    ) -> Answered:
        """The recorded answer; raises ConnectionError that lists the nearest recorded calls."""
        if params:
            url = f"{url}{'&' if '?' in url else '?'}{urlencode(params, doseq=True)}"
        call = self._tape.answer(method, url, _sent(data, json))
        if call is None:
            raise ConnectionError(f"shadowlab: {self._tape.unrecorded[-1]}")
        if call.get("error"):
            raise ConnectionError(f"{call['error']['type']}: {call['error'].get('message', '')}")
        return Answered(url, call)

    def __getattr__(self, name: str) -> Any:
        if name not in ("get", "post", "put", "patch", "delete", "head", "options"):
            raise AttributeError(name)
        return lambda url, **rest: self.request(name.upper(), url, **rest)


def _sent(data: Any, document: Any) -> bytes:
    if document is not None:
        return json.dumps(document).encode()
    if isinstance(data, dict):
        return urlencode(data, doseq=True).encode()
    return data.encode() if isinstance(data, str) else bytes(data or b"")
