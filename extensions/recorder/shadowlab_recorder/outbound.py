"""What the ears at the clients share: an exchange on the current tape, its answer, its failure."""

from __future__ import annotations

import time
from typing import Any

from shadowlab_recorder.body import Body
from shadowlab_recorder.later import later
from shadowlab_recorder.quiet import log, log_fault
from shadowlab_recorder.raised import message
from shadowlab_recorder.tape import Exchange, RawHeaders, Tape, current


class Whole(Exchange):
    """An exchange whose parts stay as its client has them until the recording is written, which is seldom.

    Bodies that are one piece are kept by reference; those in pieces, or too large, go into `request_body` and `body`.
    """

    request_body = later(lambda each: each.made_of(each.sent))
    body = later(lambda each: each.made_of(each.content))
    request_headers = later(lambda each: raw((pair[0], pair[-1]) for pair in each.asked))
    headers = later(lambda each: raw((pair[0], pair[-1]) for pair in each.answer))

    def __init__(self, seq: int, method: str, url: Any, asked: tuple[Any, ...], tape: Tape) -> None:
        self.seq = seq
        self.method = method
        self._url = url
        self.asked = asked
        self.answer: tuple[Any, ...] = ()
        """Headers of the request and of the answer: tuples that begin with a name and end with a value."""
        self.sent: bytes | None = None
        self.content: bytes | None = None
        """The bodies of the request and of the answer, where they were one piece."""
        self.status = None
        self.limit = tape.limits.body
        self.room = tape.room
        self.started, self.ended = time.monotonic(), 0.0

    def made_of(self, piece: bytes | None) -> Body:
        made = Body(self.limit, self.room if piece is None else None)
        if piece is not None:
            made.add(piece)
            made.ended = True
        return made

    def fits(self, piece: bytes) -> bool:
        """Whether a body is kept whole by a reference to it."""
        size, room = len(piece), self.room
        if size > self.limit or type(piece) is not bytes:
            return False
        if room.used + size <= room.granted:
            room.used += size
            return True
        return room.take(size) == size

    def went(self, content: bytes) -> None:
        """This is the body of the request."""
        if self.fits(content):
            self.sent = content
        else:
            self.request_body.add(content)
            self.request_body.ended = True

    def came(self, content: bytes) -> None:
        """The answer's body was read at once."""
        try:
            if self.fits(content):
                self.content = content
            else:
                self.body.add(content)
                self.body.ended = True
            self.ended = time.monotonic()
        except Exception as error:
            log_fault(error, "an answer")


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
