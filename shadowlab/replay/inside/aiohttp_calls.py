"""Answer calls of aiohttp's client from the request's tape, below its sessions, redirects, middlewares and timeouts.

A connector gives a connection that leads nowhere; aiohttp writes its request into it, and reads from it what the tape
has. So cookies, retries, `raise_for_status` and errors are aiohttp's own.
"""

from __future__ import annotations

import asyncio
import http
import re
from collections.abc import Callable
from typing import Any

from .put import put
from .tape import Tape, broken, content_of, headers_of

_BRACKETS = re.compile(r"\[(.*)\]$", re.DOTALL)
_NUMBERED = re.compile(r"\[Errno (\d{1,9})\] (.*)", re.DOTALL)
_SOCKET = re.compile(r"Cannot connect to unix socket (\S+) ")


def install(aiohttp: Any, tape: Tape) -> None:
    """Take the place of the one method through which every connector reaches somebody."""
    answering = _protocol(aiohttp, tape)

    async def connect(connector: Any, request: Any, traces: Any = (), timeout: Any = None) -> _Connection:
        call = tape.answer(request.method, str(request.url), _sent(request))
        if call is None:
            raise _unreachable(aiohttp, request, f"shadowlab: {tape.unrecorded[-1]}")
        if not _reached(aiohttp, call):
            await tape.come(call)
            raise _failure(aiohttp, request, call["error"])
        return _Connection(connector, answering(request, call))

    put(aiohttp.BaseConnector, connect=connect)


class _Connection:
    """What a connector gives out; nobody else gets it afterwards."""

    def __init__(self, connector: Any, protocol: Any) -> None:
        self._connector = connector
        self.protocol = protocol
        self._callbacks: list[Callable[[], None]] = []

    @property
    def transport(self) -> Any:
        return None if self.protocol is None else self.protocol.transport

    @property
    def closed(self) -> bool:
        return self.protocol is None

    def add_callback(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def close(self) -> None:
        self.protocol = None
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    release = close


class _Nowhere(asyncio.Transport):
    """Takes every byte and sends none."""

    def write(self, data: Any) -> None:
        """Nothing is sent."""

    def writelines(self, pieces: Any) -> None:
        """Nothing is sent."""

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        """Nothing is open."""

    abort = close


def _protocol(aiohttp: Any, tape: Tape) -> type[Any]:
    """aiohttp's own protocol, with the recorded answer in the place of a parser."""
    from aiohttp.client_proto import ResponseHandler

    class Answering(ResponseHandler):
        def __init__(self, request: Any, call: dict[str, Any]) -> None:
            super().__init__(request.loop)
            self.transport = _Nowhere()
            self._asked, self._call = request, call

        def set_response_params(self, **parameters: Any) -> None:
            """There is nothing to parse."""

        def start_timeout(self) -> None:
            """A read that took too long was recorded so."""

        def pause_reading(self) -> None:
            """All of it is there."""

        def resume_reading(self, resume_parser: bool = True) -> None:
            """All of it is there."""

        async def read(self) -> Any:
            await tape.come(self._call)
            if error := broken(self._call):
                raise _failure(aiohttp, self._asked, error)
            return _message(self._call), _payload(aiohttp, self, self._asked, self._call)

    return Answering


def _message(call: dict[str, Any]) -> Any:
    from aiohttp import HttpVersion11, http_parser
    from multidict import CIMultiDict, CIMultiDictProxy

    headers = headers_of(call)
    return http_parser.RawResponseMessage(
        version=HttpVersion11,
        code=call["status"],
        reason=_reason(call["status"]),
        headers=CIMultiDictProxy(CIMultiDict(headers)),
        raw_headers=tuple((_raw(name), _raw(value)) for name, value in headers),
        should_close=False,
        compression=None,
        upgrade=False,
        chunked=False,
    )


def _payload(aiohttp: Any, protocol: Any, request: Any, call: dict[str, Any]) -> Any:
    stream = aiohttp.StreamReader(protocol, 2**16, loop=request.loop)
    if request.method != "HEAD":
        stream.feed_data(content_of(call))
    stream.feed_eof()
    return stream


def _sent(request: Any) -> bytes:
    """The body, as the recorder sees it; one that is made while it is sent has no bytes."""
    body = request.body
    payload = getattr(body, "_value", body)
    if isinstance(payload, str):
        return payload.encode(getattr(body, "encoding", None) or "utf-8")
    return bytes(payload) if isinstance(payload, (bytes, bytearray, memoryview)) else b""


def _reached(aiohttp: Any, call: dict[str, Any]) -> bool:
    """Whether the recorded call came as far as the other side."""
    never = (aiohttp.ClientConnectorError, aiohttp.ClientConnectorCertificateError, aiohttp.ConnectionTimeoutError)
    return not call.get("error") or not issubclass(_kind(aiohttp, call["error"]), never)


def _kind(aiohttp: Any, failure: dict[str, str]) -> type[Exception]:
    name = failure["type"].rpartition(".")[2]
    found = getattr(aiohttp.client_exceptions, name, None)
    if isinstance(found, type) and issubclass(found, (aiohttp.ClientError, asyncio.TimeoutError)):
        return found
    if name == "TimeoutError":
        return asyncio.TimeoutError
    other: type[Exception] = aiohttp.ClientConnectorError if "Connector" in name else aiohttp.ClientConnectionError
    return other


def _failure(aiohttp: Any, request: Any, failure: dict[str, str]) -> Exception:
    """The recorded exception, of the class that the service caught."""
    kind, message = _kind(aiohttp, failure), failure.get("message", "")
    if issubclass(kind, aiohttp.ClientResponseError):
        return kind(request.request_info, (), message=message)  # type: ignore[call-arg]  # as aiohttp's do
    if issubclass(kind, aiohttp.ClientConnectorCertificateError):
        return kind(request.connection_key, OSError(message))
    if issubclass(kind, aiohttp.ClientConnectorError):
        reason = _BRACKETS.search(message)
        path = [found[1]] if (found := _SOCKET.match(message)) else []
        return _unreachable(aiohttp, request, reason[1] if reason else message, kind, *path)
    numbered = _NUMBERED.fullmatch(message)
    if issubclass(kind, OSError) and numbered:
        return kind(int(numbered[1]), numbered[2])
    try:
        return kind(message) if message else kind()
    except TypeError:  # it tells more than a message, which nobody wrote down
        other: Exception = aiohttp.ClientConnectionError(message)
        return other


def _unreachable(aiohttp: Any, request: Any, reason: str, kind: Any = None, *path: str) -> Exception:
    """`path` is that of a socket, which its own class of error wants first."""
    cause = OSError(None, reason)
    try:
        made: Exception = (kind or aiohttp.ClientConnectorError)(*path, request.connection_key, cause)
    except TypeError:
        made = aiohttp.ClientConnectorError(request.connection_key, cause)
    return made


def _reason(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
