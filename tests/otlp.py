"""Small OTLP documents, for tests that say what they need and nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
START = 1_790_000_000_000_000_000
STACK = """Traceback (most recent call last):
  File "/srv/shop/handlers/orders.py", line 12, in create
    total = price(order)
  File "/usr/lib/python3.11/decimal.py", line 3, in price
    raise ValueError("no price")
ValueError: no price"""


def value(plain: Any) -> dict[str, Any]:
    """An AnyValue."""
    match plain:
        case bool():
            return {"boolValue": plain}
        case int():
            return {"intValue": str(plain)}
        case float():
            return {"doubleValue": plain}
        case list():
            return {"arrayValue": {"values": [value(v) for v in plain]}}
        case dict():
            return {"kvlistValue": {"values": attributes(plain)}}
        case _:
            return {"stringValue": plain}


def attributes(plain: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A list of KeyValue."""
    return [{"key": key, "value": value(v)} for key, v in plain.items()]


def span(
    number: int = 1,
    *,
    trace: str = TRACE,
    parent: int | None = None,
    at: int = START,
    ms: int = 10,
    name: str = "POST /orders",
    error: bool = False,
    **attrs: Any,
) -> dict[str, Any]:
    """A span; `attrs` are its attributes with `__` for a dot."""
    told: dict[str, Any] = {
        "traceId": trace, "spanId": f"{number:016x}", "parentSpanId": f"{parent:016x}" if parent else "", "name": name,
        "kind": 2, "startTimeUnixNano": str(at), "endTimeUnixNano": str(at + ms * 1_000_000),
        "attributes": attributes({key.replace("__", "."): v for key, v in attrs.items()}),
        "status": {"code": 2, "message": "failed"} if error else {},
    }  # fmt: skip
    return told


def raising(
    told: dict[str, Any], kind: str = "ValueError", message: str = "no price", stack: str = STACK
) -> dict[str, Any]:
    """The span with an exception event."""
    exception = {"exception.type": kind, "exception.message": message, "exception.stacktrace": stack}
    event = {"timeUnixNano": told["endTimeUnixNano"], "name": "exception", "attributes": attributes(exception)}
    return {**told, "events": [event]}


def traces(spans: Iterable[dict[str, Any]], service: str = "shop", **resource: Any) -> dict[str, Any]:
    """An export request of spans."""
    named = attributes({"service.name": service, **{key.replace("__", "."): v for key, v in resource.items()}})
    scope = {"scope": {"name": "tests", "version": "1"}, "spans": list(spans)}
    return {"resourceSpans": [{"resource": {"attributes": named}, "scopeSpans": [scope]}]}


def logs(records: Iterable[dict[str, Any]], service: str = "shop") -> dict[str, Any]:
    """An export request of log records."""
    scope = {"scope": {"name": "tests"}, "logRecords": list(records)}
    return {"resourceLogs": [{"resource": {"attributes": attributes({"service.name": service})}, "scopeLogs": [scope]}]}


def log(body: str, *, at: int = START, trace: str | None = TRACE, number: int = 9, **attrs: Any) -> dict[str, Any]:
    """A log record."""
    told = {"timeUnixNano": str(at), "severityNumber": number, "severityText": "INFO", "body": value(body)}
    named = attributes({key.replace("__", "."): v for key, v in attrs.items()})
    return {**told, "attributes": named, **({"traceId": trace, "spanId": f"{1:016x}"} if trace else {})}


def metrics(listed: Iterable[dict[str, Any]], service: str = "shop") -> dict[str, Any]:
    """An export request of metrics."""
    scope = {"scope": {"name": "tests"}, "metrics": list(listed)}
    named = attributes({"service.name": service})
    return {"resourceMetrics": [{"resource": {"attributes": named}, "scopeMetrics": [scope]}]}


def lines(path: Path, *documents: Any) -> Path:
    """A file of one JSON document a line."""
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))
    return path


def in_base64(document: Any) -> Any:
    """The document with its ids as protobuf's own JSON mapping writes bytes."""
    match document:
        case dict():
            ids = ("traceId", "spanId", "parentSpanId")
            return {
                k: base64.b64encode(bytes.fromhex(v)).decode() if k in ids else in_base64(v)
                for k, v in document.items()
            }
        case list():
            return [in_base64(inner) for inner in document]
        case _:
            return document


def protobuf(document: Any, kind: type[Message] = TracesData) -> bytes:
    """The document as a message."""
    return json_format.ParseDict(in_base64(document), kind()).SerializeToString()
