"""OTLP/HTTP on tornado: `/v1/traces`, `/v1/logs`, `/v1/metrics`, with `/healthz` and `/metrics` beside."""

from __future__ import annotations

import ssl
from typing import Any, Final

import msgspec
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, HTTPError, RequestHandler, stream_request_body

from shadowlab.telemetry.receiver import answers
from shadowlab.telemetry.receiver.bodies import Encoding, Parsed, Signal
from shadowlab.telemetry.receiver.intake import Intake
from shadowlab.telemetry.receiver.refusal import Refused

_DISCARDED: Final = 4
"""A body this many times too large is read to its end, so that the client hears why; a larger one is cut off."""
_SLOWEST_S: Final = 60.0


def serve(intake: Intake, host: str, port: int, tls: ssl.SSLContext | None) -> tuple[HTTPServer, int]:
    """Listen; gives the server and its port. Raises `OSError` when the address cannot be had."""
    routes: list[Any] = [(rf"/v1/({signal})", _Export, {"intake": intake}) for signal in Signal]
    routes += [(rf"/({page})", _Page, {"intake": intake}) for page in ("healthz", "metrics")]
    application = Application(routes, default_handler_class=_Nowhere, log_function=_silent)
    server = HTTPServer(
        application,
        ssl_options=tls,
        max_body_size=intake.limits.body * _DISCARDED,
        max_header_size=64 << 10,
        idle_connection_timeout=300,
        body_timeout=_SLOWEST_S,
    )
    sockets = bind_sockets(port, host)
    server.add_sockets(sockets)
    return server, int(sockets[0].getsockname()[1])


def _silent(handler: RequestHandler) -> None:
    """Requests are counted, not logged: a path or a header may hold a secret."""


class _Plain(RequestHandler):
    """No HTML, no version of the server, no trace of a fault."""

    def set_default_headers(self) -> None:
        self.set_header("Server", "shadowlab")
        self.set_header("Content-Type", "text/plain; charset=utf-8")

    def write_error(self, status_code: int, **told: Any) -> None:
        self.finish(f"{status_code} {self._reason}\n")


@stream_request_body
class _Export(_Plain):
    def initialize(self, intake: Intake) -> None:
        self.intake = intake
        self.chunks: list[bytes] = []
        self.size = 0
        self.why: Refused | None = None
        self.encoding = Encoding.PROTOBUF

    def prepare(self) -> None:
        if self.request.method != "POST":
            raise HTTPError(405)
        try:
            self.encoding = _encoding(self.request.headers.get("Content-Type", ""))
            self.intake.admit(self.request.headers.get("Authorization"))
            if int(self.request.headers.get("Content-Length") or 0) > self.intake.limits.body:
                raise _too_large(self.intake)
        except ValueError:
            raise HTTPError(400) from None
        except Refused as why:
            self.why = why

    def data_received(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.size > self.intake.limits.body:
            self.why = self.why or _too_large(self.intake)
        if self.why is not None:
            self._let_go()
            return
        self.intake.reading(len(chunk))
        self.chunks.append(chunk)

    async def post(self, name: str) -> None:
        signal = Signal(name)
        try:
            if self.why is not None:
                raise self.why
            coding = self.request.headers.get("Content-Encoding", "")
            parsed = await self.intake.take(signal, self.encoding, b"".join(self.chunks), coding)
        except Refused as why:
            self._refuse(why)
        else:
            self._taken(signal, parsed)
        finally:
            self._let_go()

    def on_connection_close(self) -> None:
        self._let_go()

    def _let_go(self) -> None:
        self.intake.reading(-sum(map(len, self.chunks)))
        self.chunks = []

    def _taken(self, signal: Signal, parsed: Parsed) -> None:
        self.intake.status.answered(200)
        self.set_header("Content-Type", self.encoding.value)
        self.finish(answers.taken(signal, self.encoding, parsed))

    def _refuse(self, why: Refused) -> None:
        self.intake.status.answered(why.status, why.message)
        self.set_status(why.status)
        self.set_header("Content-Type", self.encoding.value)
        if why.retry_after is not None:
            self.set_header("Retry-After", str(why.retry_after))
        if why.status == 401:
            self.set_header("WWW-Authenticate", "Bearer")
        if why.status == 415:
            self.set_header("Accept-Encoding", "gzip, deflate")
        self.finish(answers.refused(self.encoding, why))


class _Page(_Plain):
    def initialize(self, intake: Intake) -> None:
        self.intake = intake

    def get(self, page: str) -> None:
        status = self.intake.status
        if page == "metrics":
            self.set_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.finish(status.prometheus())
            return
        self.set_status(200 if status.healthy and self.intake.open else 503)
        self.set_header("Content-Type", "application/json")
        self.finish(msgspec.json.encode(status.json()))


class _Nowhere(_Plain):
    def prepare(self) -> None:
        raise HTTPError(404)


def _too_large(intake: Intake) -> Refused:
    return Refused.too_large(f"the body is larger than {intake.limits.body:,} bytes")


def _encoding(content_type: str) -> Encoding:
    name = content_type.partition(";")[0].strip().lower()
    try:
        return Encoding(name)
    except ValueError:
        raise Refused.unsupported("Content-Type must be application/x-protobuf or application/json") from None
