"""Note what a request asks of others through httpx."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator
from time import monotonic
from typing import Any

from shadowlab_recorder.body import Body
from shadowlab_recorder.outbound import Whole, broke
from shadowlab_recorder.quiet import log_fault, quietly
from shadowlab_recorder.tape import Tape, recall


def watch(httpx: Any) -> None:
    """Wraps httpx's two network transports, once, and the reading of a whole response.

    At the transport every hop of a redirect is an exchange of its own, and bodies are what is on the wire.
    """
    if not hasattr(httpx.HTTPTransport.handle_request, "_shadowlab"):
        _wrap_transports(httpx)
        _wrap_reading(httpx.Response)


def _wrap_transports(httpx: Any) -> None:
    sync_handle = httpx.HTTPTransport.handle_request
    async_handle = httpx.AsyncHTTPTransport.handle_async_request
    tee = _tee(httpx)

    @functools.wraps(sync_handle)
    def handle_request(self: Any, request: Any) -> Any:
        tape = recall()
        if tape is None or tape.closed:
            return sync_handle(self, request)
        exchange = _begin(httpx, tape, request, tee)
        try:
            response = sync_handle(self, request)
        except Exception as error:
            quietly(broke, exchange, error)
            raise
        return response if exchange is None else _answered(exchange, response, tee)

    @functools.wraps(async_handle)
    async def handle_async_request(self: Any, request: Any) -> Any:
        tape = recall()
        if tape is None or tape.closed:
            return await async_handle(self, request)
        exchange = _begin(httpx, tape, request, tee)
        try:
            response = await async_handle(self, request)
        except Exception as error:
            quietly(broke, exchange, error)
            raise
        return response if exchange is None else _answered(exchange, response, tee)

    handle_request._shadowlab = True  # type: ignore[attr-defined]  # the mark that watch() looks for
    httpx.HTTPTransport.handle_request = handle_request
    httpx.AsyncHTTPTransport.handle_async_request = handle_async_request


def _wrap_reading(kind: Any) -> None:
    """Who reads a response at once gets its body in one piece, which is kept then; no piece has to go by an ear."""
    read, aread = kind.read, kind.aread

    @functools.wraps(read)
    def noted_read(self: Any) -> Any:
        exchange = _unread(self)
        if exchange is None:
            return read(self)
        try:
            content = read(self)
        except Exception as error:
            quietly(broke, exchange, error)
            raise
        exchange.came(content)
        return content

    @functools.wraps(aread)
    async def noted_aread(self: Any) -> Any:
        exchange = _unread(self)
        if exchange is None:
            return await aread(self)
        try:
            content = await aread(self)
        except Exception as error:
            quietly(broke, exchange, error)
            raise
        exchange.came(content)
        return content

    kind.read, kind.aread = noted_read, noted_aread


def _unread(response: Any) -> Sent | None:
    """The exchange of a response of which nothing was read yet, and whose bytes are the body as it is on the wire."""
    if recall() is None:
        return None
    try:
        bound = response.stream
        tee: Any = getattr(bound, "_stream", None)
        exchange = getattr(tee, "shadowlab_exchange", None)
        if exchange is None or response.is_stream_consumed or response.is_closed:
            return None
        for header in exchange.answer:
            if header[1] == b"content-encoding":
                return None
        bound._stream = tee.inner  # there is nothing more for an ear to hear
    except Exception as error:
        log_fault(error, "read")
        return None
    return exchange  # type: ignore[no-any-return]  # httpx is Any here


class Sent(Whole):
    """An exchange of httpx."""

    client = "httpx"


def _kept(headers: Any) -> tuple[Any, ...]:
    """Headers as they are now: name, name in lower case and value of each; most are never looked at."""
    pairs = getattr(headers, "_list", None)
    return tuple(((name, name.lower(), value) for name, value in headers.raw) if pairs is None else pairs)


def _begin(httpx: Any, tape: Tape, request: Any, tee: Any) -> Sent | None:
    """An exchange on the tape, None when there are too many."""
    try:
        seq = tape.turn()
        if seq is None:
            return None
        exchange = Sent(seq, request.method, request.url, _kept(request.headers), tape)
        tape.outbound.append(exchange)
        try:
            content = request.content
        except httpx.RequestNotRead:
            request.stream = tee(request.stream, exchange.request_body, None)
            return exchange
        exchange.went(content)
    except Exception as error:
        tape.outbound_lost = True
        log_fault(error, "an outbound call")
        return None
    return exchange


def _answered(exchange: Sent, response: Any, tee: Any) -> Any:
    """The response with an ear at its stream: every piece still reaches the caller as it comes."""
    try:
        exchange.status = response.status_code
        exchange.answer = _kept(response.headers)
        exchange.ended = monotonic()
        response.stream = tee(response.stream, None, exchange)
    except Exception as error:
        log_fault(error, "an answer")
    return response


def _tee(httpx: Any) -> Any:
    """A class of streams that hand on every piece and keep a copy; made here because httpx may not be installed."""

    class Tee(httpx.SyncByteStream, httpx.AsyncByteStream):  # type: ignore[misc]  # httpx is Any here
        def __init__(self, stream: Any, body: Body | None, exchange: Sent | None) -> None:
            self.inner = stream
            self._body = body
            self.shadowlab_exchange = exchange

        def __iter__(self) -> Iterator[bytes]:
            body = self._heard()
            try:
                for piece in self.inner:
                    body.add(piece)
                    yield piece
                self._end(body)
            except Exception as error:
                quietly(broke, self.shadowlab_exchange, error)
                raise

        async def __aiter__(self) -> AsyncIterator[bytes]:
            body = self._heard()
            try:
                async for piece in self.inner:
                    body.add(piece)
                    yield piece
                self._end(body)
            except Exception as error:
                quietly(broke, self.shadowlab_exchange, error)
                raise

        def close(self) -> None:
            self.inner.close()

        async def aclose(self) -> None:
            await self.inner.aclose()

        def _heard(self) -> Body:
            if self._body is not None:
                return self._body
            assert self.shadowlab_exchange is not None
            made: Body = self.shadowlab_exchange.body
            return made

        def _end(self, body: Body) -> None:
            body.ended = True
            if self.shadowlab_exchange is not None:
                self.shadowlab_exchange.touch()

    return Tee
