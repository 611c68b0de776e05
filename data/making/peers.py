"""What stands around a service: the peers that its story names, and a collector that writes files.

`peers.py FOLDER STORY OTLP_PORT` serves `story.peers()` until it is told to stop.
"""

import asyncio
import base64
import gzip
import json
import sys
from pathlib import Path
from typing import Any

import uvicorn
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

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


async def main(folder: Path, otlp: int) -> None:
    """Serve all of them."""
    from story import peers

    apps = {**peers(), otlp: Collector(folder)}
    servers = [uvicorn.Server(config(app, port)) for port, app in apps.items()]
    await asyncio.gather(*(server.serve() for server in servers))


def config(app: Any, port: int) -> uvicorn.Config:
    """No `date` header: what is recorded must not carry the day on which it was made. Connections stay open."""
    quiet = {"lifespan": "off", "access_log": False, "log_level": "warning"}
    return uvicorn.Config(app, port=port, date_header=False, server_header=False, timeout_keep_alive=600, **quiet)


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    sys.path.insert(0, sys.argv[2])
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[3])))
