"""Note what a request asks of others through urllib3, and so through requests and whatever else stands on it."""

from __future__ import annotations

import functools
import sys
from collections import OrderedDict
from time import monotonic
from typing import Any

from shadowlab_recorder.outbound import Whole, broke
from shadowlab_recorder.quiet import log_fault, quietly
from shadowlab_recorder.tape import Tape, recall


def watch(module: Any) -> None:
    """Wraps the one place where urllib3 sends a request to a host and takes its answer; each hop and try is a call."""
    pool = module.HTTPConnectionPool
    make_request, read, stream = pool._make_request, module.HTTPResponse.read, module.HTTPResponse.stream

    @functools.wraps(make_request)
    def _make_request(self: Any, conn: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        tape = recall()
        if tape is None or tape.closed:
            return make_request(self, conn, method, url, *args, **kwargs)
        body, headers = kwargs.get("body", args[0] if args else None), kwargs.get("headers", args[1:2] and args[1])
        exchange = _begin(tape, self, method, url, body, headers)
        try:
            response = make_request(self, conn, method, url, *args, **kwargs)
        except Exception as error:
            quietly(broke, exchange, error)
            raise
        if exchange is not None:
            _answered(exchange, response, method)
        return response

    @functools.wraps(read)
    def tee_read(self: Any, amt: int | None = None, *args: Any, **kwargs: Any) -> Any:
        """Notes decoded bytes, and says so by leaving out the header that names the coding."""
        exchange = getattr(self, "_shadowlab", None)
        if exchange is None or exchange.over:
            return read(self, amt, *args, **kwargs)
        try:
            piece = read(self, amt, *args, **kwargs)
        except Exception as error:
            quietly(broke, exchange, error)
            raise
        if exchange.plain and len(piece) == exchange.length and not exchange.in_pieces:
            exchange.over = True
            exchange.came(piece)
        else:
            quietly(_noted, exchange, piece, amt)
        return piece

    @functools.wraps(stream)
    def tee_stream(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = getattr(self, "_shadowlab", None)
        # What goes through read() is noted there, and its length tells where it ends.
        return stream(self, *args, **kwargs) if exchange is None or exchange.plain else _streamed(self, *args, **kwargs)

    def _streamed(self: Any, *args: Any, **kwargs: Any) -> Any:
        chunked = self.chunked and self.supports_chunked_reads()
        for piece in stream(self, *args, **kwargs):
            if chunked:  # the other way goes through read()
                quietly(_noted, self._shadowlab, piece, 1)
            yield piece
        quietly(_noted, self._shadowlab, b"", 1)

    pool._make_request = _make_request
    module.HTTPResponse.read = tee_read
    module.HTTPResponse.stream = tee_stream


class Sent(Whole):
    """An exchange of urllib3."""

    plain = False
    """Whether the answer says how long its body is, and the body is not coded."""
    length: int | None = None
    in_pieces = False
    over = False
    """Whether the whole body of the answer has been read."""

    @property
    def url(self) -> str:
        scheme, host, port, url = self._url
        place = "" if port in (None, {"http": 80, "https": 443}.get(scheme)) else f":{port}"
        return url if url.startswith(("http://", "https://")) else f"{scheme}://{host}{place}{url}"


def _begin(tape: Tape, pool: Any, method: str, url: str, body: Any, headers: Any) -> Sent | None:
    try:
        seq = tape.turn()
        if seq is None:
            return None
        exchange = Sent(seq, method, (pool.scheme, pool.host, pool.port, url), _kept(headers), tape)
        exchange.client = getattr(pool, "_shadowlab_client", None) or _client(pool)
        tape.outbound.append(exchange)
        if body is None or type(body) is bytes:
            exchange.went(body or b"")
        elif isinstance(body, str):
            exchange.went(body.encode("latin-1", "replace"))
        elif isinstance(body, (bytearray, memoryview)):
            exchange.went(bytes(body))
        else:
            exchange.request_body.size += 1  # it cannot be seen: it counts as cut
    except Exception as error:
        tape.outbound_lost = True
        log_fault(error, "an outbound call")
        return None
    return exchange


def _kept(headers: Any) -> tuple[Any, ...]:
    """Headers as they are now: those of requests, which lists them slowly, are asked for the pairs underneath."""
    store = getattr(headers, "_store", None)
    return tuple(store.values() if type(store) is OrderedDict else headers.items()) if headers else ()


def _client(pool: Any) -> str:
    """Who asks the pool: a session of requests has pools of its own."""
    pool._shadowlab_client = client = "requests" if "requests" in sys.modules and _from_requests() else "urllib3"
    return client


def _from_requests() -> bool:
    frame: Any = sys._getframe(4)
    for _ in range(6):
        if frame is None:
            return False
        if frame.f_globals.get("__name__", "").startswith("requests."):
            return True
        frame = frame.f_back
    return False


def _answered(exchange: Sent, response: Any, method: str) -> None:
    try:
        headers = response.headers
        exchange.status = status = response.status
        exchange.answer = tuple(headers.iteritems())  # its items() go through all of them twice
        exchange.ended = monotonic()
        exchange.length = length = response.length_remaining
        exchange.plain = length is not None and not response.chunked and "content-encoding" not in headers
        response._shadowlab = exchange
        if method == "HEAD" or status == 204 or status == 304:
            exchange.came(b"")
            exchange.over = True
        elif getattr(response, "_body", None) is not None:  # it was read when it was made
            _noted(exchange, response._body, None)
    except Exception as error:
        log_fault(error, "an answer")


def _noted(exchange: Sent, piece: bytes, amt: int | None) -> None:
    if exchange.over:
        return
    exchange.in_pieces = True
    body = exchange.body
    body.add(piece)
    exchange.touch()
    if amt is None or (not piece and amt != 0):
        exchange.over = body.ended = True
        coded = (b"content-encoding", b"content-length", b"transfer-encoding")
        if any(name.lower() == b"content-encoding" for name, _ in exchange.headers):
            exchange.headers = [pair for pair in exchange.headers if pair[0].lower() not in coded]
