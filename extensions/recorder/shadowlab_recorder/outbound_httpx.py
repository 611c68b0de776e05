"""Note what a request asks of others through httpx."""

from __future__ import annotations

import functools
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

from shadowlab_recorder.body import Body
from shadowlab_recorder.fixture import message
from shadowlab_recorder.tape import Exchange, current

_log = logging.getLogger("shadowlab_recorder")


def watch(httpx: Any) -> None:
    """Wraps httpx's two network transports, once.

    At the transport every hop of a redirect is an exchange of its own, and bodies are what is on the wire.
    """
    if not hasattr(httpx.HTTPTransport.handle_request, "_shadowlab"):
        _wrap(httpx)


def _wrap(httpx: Any) -> None:
    sync_handle = httpx.HTTPTransport.handle_request
    async_handle = httpx.AsyncHTTPTransport.handle_async_request
    tee = _tee(httpx)

    @functools.wraps(sync_handle)
    def handle_request(self: Any, request: Any) -> Any:
        exchange = _begin(httpx, request, tee)
        try:
            response = sync_handle(self, request)
        except Exception as error:
            _broke(exchange, error)
            raise
        return _answered(exchange, response, tee)

    @functools.wraps(async_handle)
    async def handle_async_request(self: Any, request: Any) -> Any:
        exchange = _begin(httpx, request, tee)
        try:
            response = await async_handle(self, request)
        except Exception as error:
            _broke(exchange, error)
            raise
        return _answered(exchange, response, tee)

    handle_request._shadowlab = True  # type: ignore[attr-defined]  # the mark that watch() looks for
    httpx.HTTPTransport.handle_request = handle_request
    httpx.AsyncHTTPTransport.handle_async_request = handle_async_request


def _begin(httpx: Any, request: Any, tee: Any) -> Exchange | None:
    """An exchange on the current tape, None outside of a request."""
    tape = current()
    if tape is None:
        return None
    try:
        exchange = tape.exchange("httpx", request.method, request.url, request.headers.raw)
        if exchange is not None:
            _note_body(httpx, request, exchange.request_body, tee)
    except Exception as error:
        tape.outbound_lost = True
        _log.warning("shadowlab-recorder: an outbound call is not recorded: %s", type(error).__name__)
        return None
    return exchange


def _note_body(httpx: Any, request: Any, body: Body, tee: Any) -> None:
    try:
        body.add(request.content)
        body.ended = True
    except httpx.RequestNotRead:
        request.stream = tee(request.stream, body, None)


def _broke(exchange: Exchange | None, error: Exception) -> None:
    if exchange is not None:
        kind = type(error)
        exchange.error = (f"{kind.__module__}.{kind.__qualname__}", message(error))
        exchange.touch()


def _answered(exchange: Exchange | None, response: Any, tee: Any) -> Any:
    """The response with an ear at its stream: every piece still reaches the caller as it comes."""
    if exchange is not None:
        exchange.status = int(response.status_code)
        exchange.headers = response.headers.raw
        exchange.touch()
        response.stream = tee(response.stream, exchange.body, exchange)
    return response


def _tee(httpx: Any) -> Any:
    """A class of streams that hand on every piece and keep a copy; made here because httpx may not be installed."""

    class Tee(httpx.SyncByteStream, httpx.AsyncByteStream):  # type: ignore[misc]  # httpx is Any here
        def __init__(self, stream: Any, body: Body, exchange: Exchange | None) -> None:
            self._stream = stream
            self._body = body
            self._exchange = exchange

        def __iter__(self) -> Iterator[bytes]:
            try:
                for piece in self._stream:
                    self._body.add(piece)
                    yield piece
                self._end()
            except Exception as error:
                _broke(self._exchange, error)
                raise

        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                async for piece in self._stream:
                    self._body.add(piece)
                    yield piece
                self._end()
            except Exception as error:
                _broke(self._exchange, error)
                raise

        def close(self) -> None:
            self._stream.close()

        async def aclose(self) -> None:
            await self._stream.aclose()

        def _end(self) -> None:
            self._body.ended = True
            if self._exchange is not None:
                self._exchange.touch()

    return Tee
