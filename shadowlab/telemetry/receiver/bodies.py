"""What a request's body must be before it is taken: OTLP in protobuf or JSON, unpacked, parsed, counted.

https://opentelemetry.io/docs/specs/otlp/#otlphttp-request
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Final

import msgspec

from shadowlab.telemetry.receiver.log import Kind
from shadowlab.telemetry.receiver.refusal import Refused
from shadowlab.telemetry.receiver.shapes import REQUESTS


class Signal(StrEnum):
    """What is told; the last part of the path of a request."""

    TRACES = "traces"
    LOGS = "logs"
    METRICS = "metrics"


class Encoding(StrEnum):
    """How it is written."""

    PROTOBUF = "application/x-protobuf"
    JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Parsed:
    """A body that may be kept."""

    kind: Kind
    body: bytes
    """Empty when there is nothing in it to keep."""
    records: int
    """Spans, log records or metric points to keep."""
    rejected: int = 0
    """Records that were taken out of it."""
    reason: str = ""


_PACKED: Final = {"gzip": 31, "deflate": 15, "zlib": 15}
_MEMBERS: Final = 1000
"""Parts of a gzip stream (RFC 1952); each costs a copy of what follows it."""
_KEYS: Final = {Signal.TRACES: "resourceSpans", Signal.LOGS: "resourceLogs", Signal.METRICS: "resourceMetrics"}
_HEX: Final = re.compile(r"[0-9a-fA-F]+")
_NO_IDS: Final = "spans without a valid trace id (16 bytes) or span id (8 bytes), both not all zero"


def kind_of(signal: Signal, encoding: Encoding) -> Kind:
    """How the log names a body."""
    return Kind[f"{signal.name}_{encoding.name}"]


def unpack(body: bytes, coding: str, limit: int) -> bytes:
    """Undo a `Content-Encoding`; never makes more than `limit` bytes and a block.

    Raises `Refused`: 413 for what grows beyond the limit, 415 for another coding, 400 for what is no such thing.
    """
    coding = coding.strip().lower()
    if coding in ("", "identity", "none"):
        return body
    if coding not in _PACKED:
        raise Refused.unsupported(f"Content-Encoding {_word(coding)} is not read; gzip and deflate are")
    plain, rest = bytearray(), body
    for _ in range(_MEMBERS):
        stream = zlib.decompressobj(_PACKED[coding])
        try:
            plain += stream.decompress(rest, limit + 1 - len(plain))
        except zlib.error:
            raise Refused.bad(f"the body is no {coding} stream") from None
        if len(plain) > limit:
            raise Refused.too_large(f"the body unpacks to more than {limit:,} bytes")
        if not stream.eof:
            raise Refused.bad(f"the {coding} stream ends too early")
        rest = stream.unused_data
        if not rest:
            return bytes(plain)
    raise Refused.bad(f"the {coding} stream has more than {_MEMBERS} parts")


def parse(signal: Signal, encoding: Encoding, body: bytes) -> Parsed:
    """Check a whole body and count what is in it. Raises `Refused` (400) for what is no such request."""
    read = _json if encoding is Encoding.JSON else _protobuf
    return read(signal, kind_of(signal, encoding), body)


def _json(signal: Signal, kind: Kind, body: bytes) -> Parsed:
    try:
        request = msgspec.json.decode(body, type=REQUESTS[signal.value])
        line = msgspec.json.format(body, indent=-1)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise Refused.bad(f"the body is no OTLP/JSON request of {signal}: {exc}") from None
    except RecursionError:
        raise Refused.bad("the body is nested too deeply") from None
    if not request.given() and line != b"{}":
        raise Refused.bad(f"the body is no OTLP/JSON request of {signal}: it has no {_KEYS[signal]}")
    count = request.count()
    bad = request.without_ids(_valid_text) if signal is Signal.TRACES else 0
    if bad:
        line = _json_without(line)
    return Parsed(kind, line if count > bad else b"", count - bad, bad, f"{_NO_IDS}: {bad}" if bad else "")


def _json_without(line: bytes) -> bytes:
    document: Any = msgspec.json.decode(line)
    for resource in document["resourceSpans"]:
        for scope in resource.get("scopeSpans") or ():
            scope["spans"] = [span for span in scope.get("spans") or () if _valid_text(span)]
    return msgspec.json.encode(document)


def _valid_text(span: Any) -> bool:
    told = span if isinstance(span, dict) else {"traceId": span.traceId, "spanId": span.spanId}
    return _valid_id(told.get("traceId"), 32, (22, 24)) and _valid_id(told.get("spanId"), 16, (11, 12))


def _valid_id(text: str | None, digits: int, base64: tuple[int, int]) -> bool:
    if not text or not text.strip("0"):
        return False
    return bool(len(text) == digits and _HEX.fullmatch(text)) or len(text) in base64


def _protobuf(signal: Signal, kind: Kind, body: bytes) -> Parsed:
    request_type, count = _messages()[signal]
    from google.protobuf.message import DecodeError

    try:
        request = request_type.FromString(body)
    except (DecodeError, RecursionError):
        raise Refused.bad(f"the body is no OTLP/protobuf request of {signal}") from None
    if body and not request.ListFields():
        raise Refused.bad(f"the body is no OTLP/protobuf request of {signal}: it has no {_KEYS[signal]}")
    records = count(request)
    bad = _drop_without_ids(request) if signal is Signal.TRACES else 0
    if bad:
        body = request.SerializeToString()
    return Parsed(kind, body if records > bad else b"", records - bad, bad, f"{_NO_IDS}: {bad}" if bad else "")


def _drop_without_ids(request: Any) -> int:
    dropped = 0
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            bad = [n for n, span in enumerate(scope.spans) if not _valid_bytes(span.trace_id, span.span_id)]
            for number in reversed(bad):
                del scope.spans[number]
            dropped += len(bad)
    return dropped


def _valid_bytes(trace: bytes, span: bytes) -> bool:
    return len(trace) == 16 and len(span) == 8 and any(trace) and any(span)


@cache
def _messages() -> dict[Signal, tuple[Any, Callable[[Any], int]]]:
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    return {
        Signal.TRACES: (ExportTraceServiceRequest, _count_spans),
        Signal.LOGS: (ExportLogsServiceRequest, _count_logs),
        Signal.METRICS: (ExportMetricsServiceRequest, _count_points),
    }


def _count_spans(request: Any) -> int:
    return sum(len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans)


def _count_logs(request: Any) -> int:
    return sum(len(scope.log_records) for resource in request.resource_logs for scope in resource.scope_logs)


def _count_points(request: Any) -> int:
    metrics = (m for resource in request.resource_metrics for scope in resource.scope_metrics for m in scope.metrics)
    return sum(len(getattr(m, m.WhichOneof("data")).data_points) for m in metrics if m.WhichOneof("data"))


def _word(text: str) -> str:
    return repr(text[:40])
