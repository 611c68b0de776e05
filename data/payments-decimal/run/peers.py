"""What stands around the service: the card gateway, the mail service, and a collector that writes files.

`peers.py FOLDER GATEWAY_PORT MAIL_PORT OTLP_PORT` serves until it is told to stop.
"""

import asyncio
import base64
import gzip
import json
import random
import sys
from pathlib import Path
from typing import Any

import uvicorn
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

LATE = 0.004
"""Share of authorisations that never come in time."""
TARDY = 0.003
"""Share that takes a little more than 200 ms."""
DECLINED = 0.02
REASONS = ("insufficient_funds", "insufficient_funds", "do_not_honour", "expired_card", "lost_card")
MAIL_DOWN = 0.002
SIGNALS = {
    "/v1/traces": ("traces", ExportTraceServiceRequest),
    "/v1/logs": ("logs", ExportLogsServiceRequest),
    "/v1/metrics": ("metrics", ExportMetricsServiceRequest),
}
IDS = ("traceId", "spanId", "parentSpanId")


async def body_of(receive: Any) -> bytes:
    """All of a request's body."""
    pieces, more = [], True
    while more:
        message = await receive()
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(pieces)


async def reply(send: Any, status: int, content: bytes, kind: bytes = b"application/json") -> None:
    """One answer with its length."""
    headers = [(b"content-type", kind), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


class Gateway:
    """Approves nearly everything, mostly within some milliseconds."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await body_of(receive)
        if scope["path"] == "/v1/settlements":
            await asyncio.sleep(self._rng.uniform(0.25, 0.6))
            return await reply(send, 200, json.dumps({"total": self._rng.randrange(10**5, 10**7)}).encode())
        draw, code = self._rng.random(), f"{self._rng.randrange(16**6):06X}"
        reason = self._rng.choice(REASONS)
        await asyncio.sleep(self._seconds(self._rng.random()))
        told = {"status": "declined", "code": reason} if draw < DECLINED else {"status": "approved", "code": code}
        return await reply(send, 200, json.dumps(told).encode())

    def _seconds(self, draw: float) -> float:
        if draw < LATE:
            return 0.5
        if draw < LATE + TARDY:
            return self._rng.uniform(0.205, 0.23)
        return min(0.12, 0.004 * self._rng.lognormvariate(0, 0.7))


class Mail:
    """Takes every message, except when it is down."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await body_of(receive)
        await asyncio.sleep(0.002 * self._rng.lognormvariate(0, 0.5))
        if self._rng.random() < MAIL_DOWN:
            return await reply(send, 503, b'{"error":"unavailable"}')
        return await reply(send, 202, json.dumps({"queued": f"{self._rng.randrange(16**8):08x}"}).encode())


class Collector:
    """Takes OTLP over HTTP and writes OTLP/JSON, one export request a line, as the collector's file exporter does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        name, message = SIGNALS[scope["path"]]
        sent = await body_of(receive)
        if dict(scope["headers"]).get(b"content-encoding") == b"gzip":
            sent = gzip.decompress(sent)
        document = MessageToDict(message.FromString(sent), use_integers_for_enums=True)
        with open(self._folder / f"{name}.otlp.jsonl", "a", encoding="utf-8") as file:
            print(json.dumps(hexed(document), separators=(",", ":"), ensure_ascii=False), file=file)
        await reply(send, 200, b"", b"application/x-protobuf")


def hexed(value: Any) -> Any:
    """The same document with its ids in lower-case hex, as OTLP/JSON wants them (protobuf's own JSON has base64)."""
    if isinstance(value, list):
        return [hexed(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {k: base64.b64decode(v).hex() if k in IDS and isinstance(v, str) else hexed(v) for k, v in value.items()}


async def main(folder: Path, *ports: int) -> None:
    """Serve all three."""
    apps = (Gateway(seed=11), Mail(seed=12), Collector(folder))
    servers = [uvicorn.Server(config(app, port)) for app, port in zip(apps, ports, strict=True)]
    await asyncio.gather(*(server.serve() for server in servers))


def config(app: Any, port: int) -> uvicorn.Config:
    """No `date` header: what is recorded must not carry the day on which it was made. Connections stay open."""
    quiet = {"lifespan": "off", "access_log": False, "log_level": "warning"}
    return uvicorn.Config(app, port=port, date_header=False, server_header=False, timeout_keep_alive=600, **quiet)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *map(int, sys.argv[2:])))
