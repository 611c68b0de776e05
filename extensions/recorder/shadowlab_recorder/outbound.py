"""What the ears at the clients share: an exchange on the current tape, its answer, its failure."""

from __future__ import annotations

from typing import Any

from shadowlab_recorder.fixture import message
from shadowlab_recorder.quiet import log
from shadowlab_recorder.tape import Exchange, RawHeaders, current


def begin(client: str, method: str, url: str, headers: RawHeaders, body: bytes | None = b"") -> Exchange | None:
    """An exchange with the request's whole body (None: it cannot be seen); None outside of a recorded request."""
    tape = current()
    if tape is None:
        return None
    try:
        exchange = tape.exchange(client, method, url, headers)
        if exchange is not None and body is not None:
            exchange.request_body.add(body)
        if exchange is not None:
            exchange.request_body.ended = body is not None
            exchange.request_body.size += body is None
    except Exception as error:
        tape.outbound_lost = True
        log.warning("shadowlab-recorder: an outbound call is not recorded: %s", type(error).__name__)
        return None
    return exchange


def broke(exchange: Exchange | None, error: BaseException) -> None:
    """The caller got an exception."""
    if exchange is not None:
        kind = type(error)
        exchange.error = (f"{kind.__module__}.{kind.__qualname__}", message(error))
        exchange.touch()


def answered(exchange: Exchange | None, status: int, headers: Any, body: bytes | None = None) -> None:
    """The status and headers of the answer, and its body when it is whole already."""
    if exchange is not None:
        exchange.status = status
        exchange.headers = raw(headers)
        if body is not None:
            exchange.body.add(body)
            exchange.body.ended = True
        exchange.touch()


def raw(headers: Any) -> RawHeaders:
    """Headers of any client as bytes."""
    pairs = headers.items() if hasattr(headers, "items") else headers or ()
    return [(_bytes(name), _bytes(value)) for name, value in pairs]


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")
