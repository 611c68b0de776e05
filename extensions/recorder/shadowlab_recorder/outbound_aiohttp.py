"""Note what a request asks of others through aiohttp's client."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

from shadowlab_recorder.outbound import answered, begin, broke, raw
from shadowlab_recorder.quiet import quietly
from shadowlab_recorder.tape import Exchange

_CODED = (b"content-encoding", b"content-length", b"transfer-encoding")


def watch(module: Any) -> None:
    """Wraps connecting, a request's sending, a response's start and reading: every hop of a redirect is its own call.

    A body that is read in pieces through `response.content` is not kept, which the recording says.
    """
    _hear_requests(module)
    _hear_answers(module.ClientResponse)


def _hear_requests(module: Any) -> None:
    connect, send = module.BaseConnector.connect, module.ClientRequest.send

    @functools.wraps(connect)
    async def noted_connect(self: Any, req: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = req._shadowlab = quietly(_begin, req)
        try:
            return await connect(self, req, *args, **kwargs)
        except asyncio.TimeoutError:
            # The session makes this of it.
            late = module.ConnectionTimeoutError(f"Connection timeout to host {req.url}")
            quietly(broke, exchange, late)
            raise
        except Exception as error:
            quietly(broke, exchange, error)
            raise

    @functools.wraps(send)
    async def noted_send(self: Any, conn: Any) -> Any:
        exchange = self.__dict__.pop("_shadowlab", None)
        try:
            response = await send(self, conn)
        except Exception as error:
            quietly(broke, exchange, error)
            raise
        response._shadowlab = exchange
        return response

    module.BaseConnector.connect, module.ClientRequest.send = noted_connect, noted_send


def _hear_answers(kind: Any) -> None:
    start, read, release = kind.start, kind.read, kind.release

    @functools.wraps(start)
    async def noted_start(self: Any, connection: Any) -> Any:
        exchange = getattr(self, "_shadowlab", None)
        try:
            response = await start(self, connection)
        except Exception as error:
            quietly(broke, exchange, error)
            raise
        quietly(answered, exchange, self.status, list(self.raw_headers))
        return response

    @functools.wraps(read)
    async def noted_read(self: Any) -> Any:
        try:
            body = await read(self)
        except Exception as error:
            quietly(broke, getattr(self, "_shadowlab", None), error)
            raise
        quietly(_read, self, body)
        return body

    @functools.wraps(release)
    def noted_release(self: Any) -> Any:
        quietly(_released, self)
        return release(self)

    kind.start, kind.read, kind.release = noted_start, noted_read, noted_release


def _read(response: Any, body: bytes) -> None:
    """The body as the service has it: decoded, so the header that names the coding goes."""
    exchange: Exchange | None = getattr(response, "_shadowlab", None)
    if exchange is None or exchange.body.ended:
        return
    exchange.body.add(body)
    exchange.body.ended = True
    exchange.touch()
    if any(name.lower() == b"content-encoding" for name, _ in exchange.headers):
        exchange.headers = [pair for pair in exchange.headers if pair[0].lower() not in _CODED]


def _released(response: Any) -> None:
    """A body of which the service read nothing was nothing to it."""
    exchange: Exchange | None = getattr(response, "_shadowlab", None)
    if exchange is not None and getattr(response.content, "_cursor", 1) == 0:
        exchange.body.ended = True


def _begin(request: Any) -> Exchange | None:
    body = request.body
    payload = getattr(body, "_value", body)
    sent: bytes | None = bytes(payload) if isinstance(payload, (bytes, bytearray, memoryview)) else None
    if payload is None or payload == b"":
        sent = b""
    elif isinstance(payload, str):
        sent = payload.encode(getattr(body, "encoding", None) or "utf-8")
    return begin("aiohttp", request.method, str(request.url), raw(request.headers), sent)
