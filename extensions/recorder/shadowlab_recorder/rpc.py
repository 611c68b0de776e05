"""What both sides of a gRPC call share: its status in numbers, its metadata as headers, its messages' class."""

from __future__ import annotations

import base64
from typing import Any

from shadowlab_recorder.tape import RawHeaders

_HTTP = (200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401)
"""The status that stands for each of gRPC's codes (google/rpc/code.proto); those of 500 and more are the server's."""
UNKNOWN, INTERNAL = 2, 13


def http_status(code: int) -> int:
    """The HTTP status that stands for a code; 500 for one that gRPC does not know."""
    return _HTTP[code] if 0 <= code < len(_HTTP) else 500


def number(code: Any) -> int:
    """A `grpc.StatusCode`, or a number, as a number; none is OK."""
    value = getattr(code, "value", code)
    return int(value[0] if isinstance(value, tuple) else value or 0)


def words(details: Any) -> str:
    """What grpcio gives as bytes in one place and as text in another, as text."""
    return details.decode("utf-8", "replace") if isinstance(details, bytes) else str(details or "")


def headers(metadata: Any, code: int | None = None, details: Any = "") -> RawHeaders:
    """Metadata as it is on the wire: values of names that end in `-bin` in base64; the status before it."""
    pairs: RawHeaders = [] if code is None else [(b"grpc-status", str(code).encode())]
    if details:
        pairs.append((b"grpc-message", words(details).encode("utf-8", "surrogatepass")))
    return [*pairs, *(_header(pair[0], pair[1]) for pair in metadata or ())]


def _header(name: Any, value: Any) -> tuple[bytes, bytes]:
    name = name if isinstance(name, str) else name.decode("latin-1")
    value = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
    return name.encode("latin-1"), base64.b64encode(value) if name.endswith("-bin") else value


def form(message: Any) -> Any:
    """The class of a Protocol Buffers message, by which its fields can be told later; None for anything else."""
    kind = type(message)
    return kind if hasattr(kind, "FromString") and hasattr(kind, "DESCRIPTOR") else None
