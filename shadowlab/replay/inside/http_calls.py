"""Answer calls of httpx, requests and urllib from the request's tape, at their transports.

Their redirects, cookies, authentication and `raise_for_status` are their own.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any

from .put import put
from .tape import Tape, broken, content_of, elapsed_ns, error_kind, headers_of

_Advance = Callable[[int], None]


class Clients:
    """Those clients that the service has imported; `advance` lets virtual time pass, in nanoseconds."""

    def __init__(self, tape: Tape, advance: _Advance) -> None:
        self._waiting: dict[str, Callable[[], None]] = {
            "httpx": lambda: _httpx(tape, advance),
            "requests": lambda: _requests(tape, advance),
            "urllib.request": lambda: _urllib(tape, advance),
            "ssl": _no_certificates,
        }

    def install(self) -> None:
        """Take the place of the transports of what was imported since the last call."""
        for name in [name for name in self._waiting if name in sys.modules]:
            self._waiting.pop(name)()


def _httpx(tape: Tape, advance: _Advance) -> None:
    import httpx

    def respond(request: Any, body: bytes) -> Any:
        call = tape.answer(request.method, str(request.url), body)
        if call is None:
            raise httpx.ConnectError(f"shadowlab: {tape.unrecorded[-1]}", request=request)
        return call

    def made(request: Any, call: dict[str, Any]) -> Any:
        if error := broken(call):
            kind = error_kind(httpx, error, httpx.RequestError, httpx.ConnectError)
            raise kind(error.get("message", ""), request=request)  # type: ignore[call-arg]  # as httpx's do
        return httpx.Response(call["status"], headers=headers_of(call), content=content_of(call), request=request)

    def handle(transport: Any, request: Any) -> Any:
        call = respond(request, request.read())
        advance(elapsed_ns(call))
        return made(request, call)

    async def handle_async(transport: Any, request: Any) -> Any:
        call = respond(request, await request.aread())
        await tape.come(call)
        return made(request, call)

    put(httpx.HTTPTransport, handle_request=handle)
    put(httpx.AsyncHTTPTransport, handle_async_request=handle_async)


def _requests(tape: Tape, advance: _Advance) -> None:
    import requests

    def send(adapter: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        call = tape.answer(request.method, request.url, _sent(request.body))
        if call is None:
            raise requests.ConnectionError(f"shadowlab: {tape.unrecorded[-1]}", request=request)
        advance(elapsed_ns(call))
        if error := broken(call):
            kind = error_kind(requests.exceptions, error, requests.RequestException, requests.ConnectionError)
            raise kind(error.get("message", ""))
        response = requests.Response()
        response.status_code = call["status"]
        response.headers.update(headers_of(call))
        response._content = content_of(call)
        response.url, response.request = request.url, request
        response.encoding = requests.utils.get_encoding_from_headers(response.headers)
        return response

    put(requests.adapters.HTTPAdapter, send=send)


def _urllib(tape: Tape, advance: _Advance) -> None:
    import email.message
    import urllib.error
    import urllib.request
    import urllib.response

    def do_open(handler: Any, http_class: Any, request: Any, **kwargs: Any) -> Any:
        call = tape.answer(request.get_method(), request.full_url, _sent(request.data))
        if call is None:
            raise urllib.error.URLError(f"shadowlab: {tape.unrecorded[-1]}")
        advance(elapsed_ns(call))
        if error := broken(call):
            raise urllib.error.URLError(error.get("message", ""))
        headers = email.message.Message()
        for name, value in headers_of(call):
            headers[name] = value
        response = urllib.response.addinfourl(io.BytesIO(content_of(call)), headers, request.full_url, call["status"])
        response.msg = ""  # type: ignore[attr-defined]  # urllib's error processor reads it
        return response

    put(urllib.request.AbstractHTTPHandler, do_open=do_open)


def _sent(body: Any) -> bytes:
    """The body; one that is made while it is sent, a file or an iterator, has no bytes."""
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, (bytes, bytearray, memoryview)) else b""


def _no_certificates() -> None:
    """Skip loading certificate bundles: nothing can be reached, and each client would spend 27 ms on it."""
    import ssl

    nothing = lambda *args, **kwargs: None  # noqa: E731  # it stands for two methods
    put(ssl.SSLContext, load_verify_locations=nothing, load_default_certs=nothing)
