"""Answer calls of urllib3, and of what stands on it, from the request's tape, below its pools, retries and redirects.

What goes through requests is answered above it and never comes here.
"""

from __future__ import annotations

import builtins
import http
import http.client
import io
import re
import ssl
from collections.abc import Callable
from typing import Any

from .put import put
from .tape import Tape, broken, content_of, elapsed_ns, headers_of

_NUMBERED = re.compile(r"\[Errno (\d{1,9})\] (.*)", re.DOTALL)


def install(urllib3: Any, tape: Tape, advance: Callable[[int], None]) -> None:
    """Take the place of the one method that sends a request to a host; of version 2, as the recorder does."""

    def make_request(
        pool: Any, conn: Any, method: str, url: str, body: Any = None, headers: Any = None, retries: Any = None,
        *args: Any, response_conn: Any = None, preload_content: bool = True, **options: Any,
    ) -> Any:  # fmt: skip
        call = tape.answer(method, _address(pool, url), _sent(body))
        if call is None:
            raise urllib3.exceptions.NewConnectionError(conn, f"shadowlab: {tape.unrecorded[-1]}")
        advance(elapsed_ns(call))
        if error := broken(call):
            raise _failure(urllib3.exceptions, pool, conn, url, error)
        response = urllib3.HTTPResponse(
            body=io.BytesIO(content_of(call)),
            headers=urllib3.HTTPHeaderDict(headers_of(call)),
            status=call["status"],
            version=11,
            reason=_reason(call["status"]),
            preload_content=preload_content,
            connection=response_conn,
            retries=retries,
            request_method=method,
            request_url=url,
        )
        response._pool = pool
        return response

    if urllib3.__version__.partition(".")[0] != "1":
        put(urllib3.HTTPConnectionPool, _make_request=make_request)


def _address(pool: Any, url: str) -> str:
    """The whole URL, as the recorder writes it."""
    port = "" if pool.port in (None, {"http": 80, "https": 443}.get(pool.scheme)) else f":{pool.port}"
    return url if url.startswith(("http://", "https://")) else f"{pool.scheme}://{pool.host}{port}{url}"


def _sent(body: Any) -> bytes:
    """The body; one that is made while it is sent has no bytes."""
    if isinstance(body, str):
        return body.encode("latin-1", "replace")
    return bytes(body) if isinstance(body, (bytes, bytearray, memoryview)) else b""


def _failure(errors: Any, pool: Any, conn: Any, url: str, failure: dict[str, str]) -> Exception:
    """The recorded exception: what urllib3 makes of it is up to urllib3."""
    kind, message = _kind(errors, failure["type"]), failure.get("message", "")
    numbered = _NUMBERED.fullmatch(message)
    if issubclass(kind, OSError) and numbered:
        return kind(int(numbered[1]), numbered[2])
    # Their constructors put the pool's or the connection's name before the message, which has it.
    error = kind.__new__(kind)
    error.args = (message,)
    if isinstance(error, errors.HTTPError):
        vars(error).update(pool=pool, conn=conn, url=url, _message=message)
    try:
        str(error)
    except AttributeError:  # it tells of more than a message, which nobody wrote down
        return errors.ProtocolError(message)  # type: ignore[no-any-return]  # urllib3 is Any here
    return error


def _kind(errors: Any, name: str) -> type[Exception]:
    module, _, bare = name.rpartition(".")
    places = {"urllib3.exceptions": errors, "http.client": http.client, "ssl": ssl, "socket": builtins}
    found = getattr(places.get(module, builtins), bare, None)
    expected = (errors.HTTPError, http.client.HTTPException, OSError)
    if isinstance(found, type) and issubclass(found, expected):
        return found
    other: type[Exception] = errors.ProtocolError
    return other


def _reason(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""
