"""The words of gRPC: status codes and metadata, as a recording holds them and as grpcio gives them."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

_HTTP = (200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401)
"""The status that stands for each code (google/rpc/code.proto)."""
_CODES = {str(number): number for number in range(len(_HTTP))}
CANCELLED, UNKNOWN, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 1, 2, 12, 13, 14
_SCHEME = re.compile(r"^(?:dns|ipv4|ipv6|passthrough|xds):(?://[^/]*/)?")


class Pair(NamedTuple):
    """One entry of metadata."""

    key: str
    value: str | bytes


class Ended(NamedTuple):
    """How a call ended."""

    code: int
    details: str
    trailing: tuple[Pair, ...]
    body: bytes


def url(target: str | bytes, method: str | bytes) -> str:
    """`grpc://host:port/package.Service/Method`, as the recorder writes it."""
    target = target.decode() if isinstance(target, bytes) else target
    method = method.decode() if isinstance(method, bytes) else method
    return f"grpc://{_SCHEME.sub('', target).replace('unix:', 'unix')}{method}"


def http_status(code: int) -> int:
    """The HTTP status that stands for a code; 500 for one that gRPC does not know."""
    return _HTTP[code] if 0 <= code < len(_HTTP) else 500


def ended(call: dict[str, Any], body: bytes) -> Ended:
    """What a recorded call came to; one that had not ended when the request had was taken back."""
    headers = [(str(name), str(value)) for name, value in call.get("headers", ())]
    trailers = dict(headers)
    code = trailers.get("grpc-status", "")
    number = _CODES.get(code, UNKNOWN) if code else UNAVAILABLE if call.get("error") else CANCELLED
    if not code and call.get("status") is not None:
        number = 0
    details = trailers.get("grpc-message") or (call.get("error") or {}).get("message", "")
    return Ended(number, details if number else "", metadata(headers), body)


def metadata(headers: Iterable[tuple[str, str]]) -> tuple[Pair, ...]:
    """Headers as metadata, without those that tell the status; `-bin` as bytes."""
    return tuple(
        Pair(name, _bytes(value) if name.endswith("-bin") else value)
        for name, value in headers
        if name not in ("grpc-status", "grpc-message")
    )


def headers(code: int, details: str, trailing: Iterable[Any]) -> list[tuple[str, str]]:
    """The status and the metadata after it, as a recording holds them."""
    pairs = [("grpc-status", str(code))] + ([("grpc-message", details)] if details else [])
    return [*pairs, *((pair[0], _text(pair[1])) for pair in trailing or ())]


def _bytes(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:  # it was redacted
        return value.encode()


def _text(value: Any) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
