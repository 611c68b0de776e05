"""Note what a request asks of others through urllib3, and so through requests and whatever else stands on it."""

from __future__ import annotations

import functools
import sys
from typing import Any

from shadowlab_recorder.outbound import answered, begin, broke, raw
from shadowlab_recorder.quiet import quietly
from shadowlab_recorder.tape import Exchange


def watch(module: Any) -> None:
    """Wraps the one place where urllib3 sends a request to a host and takes its answer; each hop and try is a call."""
    pool = module.HTTPConnectionPool
    make_request, read, stream = pool._make_request, module.HTTPResponse.read, module.HTTPResponse.stream

    @functools.wraps(make_request)
    def _make_request(self: Any, conn: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        body, headers = kwargs.get("body", args[0] if args else None), kwargs.get("headers", args[1:2] and args[1])
        exchange = quietly(_begin, self, method, url, body, headers)
        try:
            response = make_request(self, conn, method, url, *args, **kwargs)
        except Exception as error:
            quietly(broke, exchange, error)
            raise
        if exchange is not None:
            quietly(answered, exchange, response.status, response.headers)
            response._shadowlab = exchange
            exchange.body.ended = method == "HEAD" or response.status in (204, 304)
            if getattr(response, "_body", None) is not None:  # it was read when it was made
                quietly(_noted, response, response._body, None)
        return response

    @functools.wraps(read)
    def tee_read(self: Any, amt: int | None = None, *args: Any, **kwargs: Any) -> Any:
        """Notes decoded bytes, and says so by leaving out the header that names the coding."""
        try:
            piece = read(self, amt, *args, **kwargs)
        except Exception as error:
            quietly(broke, getattr(self, "_shadowlab", None), error)
            raise
        quietly(_noted, self, piece, amt)
        return piece

    @functools.wraps(stream)
    def tee_stream(self: Any, *args: Any, **kwargs: Any) -> Any:
        chunked = self.chunked and self.supports_chunked_reads()
        for piece in stream(self, *args, **kwargs):
            if chunked:  # the other way goes through read()
                quietly(_noted, self, piece, 1)
            yield piece
        quietly(_noted, self, b"", 1)

    pool._make_request = _make_request
    module.HTTPResponse.read = tee_read
    module.HTTPResponse.stream = tee_stream


def _begin(pool: Any, method: str, url: str, body: Any, headers: Any) -> Exchange | None:
    port = "" if pool.port in (None, {"http": 80, "https": 443}.get(pool.scheme)) else f":{pool.port}"
    address = url if "://" in url else f"{pool.scheme}://{pool.host}{port}{url}"
    sent: bytes | None = b"" if body is None else body.encode("latin-1", "replace") if isinstance(body, str) else None
    if isinstance(body, (bytes, bytearray, memoryview)):
        sent = bytes(body)
    client = "requests" if "requests" in sys.modules and _from_requests() else "urllib3"
    return begin(client, method, address, raw(headers), sent)


def _from_requests() -> bool:
    frame: Any = sys._getframe(3)
    for _ in range(6):
        if frame is None:
            return False
        if frame.f_globals.get("__name__", "").startswith("requests."):
            return True
        frame = frame.f_back
    return False


def _noted(response: Any, piece: bytes, amt: int | None) -> None:
    exchange = getattr(response, "_shadowlab", None)
    if exchange is None or exchange.body.ended:
        return
    exchange.body.add(piece)
    exchange.touch()
    if amt is None or (not piece and amt != 0):
        exchange.body.ended = True
        coded = (b"content-encoding", b"content-length", b"transfer-encoding")
        if any(name.lower() == b"content-encoding" for name, _ in exchange.headers):
            exchange.headers = [pair for pair in exchange.headers if pair[0].lower() not in coded]
