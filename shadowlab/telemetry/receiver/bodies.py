"""What a request's body must be before it is taken: OTLP in protobuf or JSON, unpacked, parsed, counted.

https://opentelemetry.io/docs/specs/otlp/#otlphttp-request
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Final

import msgspec

from shadowlab.telemetry.receiver import sound
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
_ODD: Final = "records without a valid trace or span id, or a name, or with times beyond 2^63 ns"


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
    kept, gone = sound.sift(sound.in_json(request))
    return _parsed(kind, msgspec.json.encode(request) if gone else line, kept, gone)


def _protobuf(signal: Signal, kind: Kind, body: bytes) -> Parsed:
    from google.protobuf.message import DecodeError

    try:
        request = _messages()[signal].FromString(body)
    except (DecodeError, RecursionError):
        raise Refused.bad(f"the body is no OTLP/protobuf request of {signal}") from None
    if body and not request.ListFields():
        raise Refused.bad(f"the body is no OTLP/protobuf request of {signal}: it has no {_KEYS[signal]}")
    kept, gone = sound.sift(sound.in_protobuf(request))
    return _parsed(kind, request.SerializeToString() if gone else body, kept, gone)


def _parsed(kind: Kind, body: bytes, kept: int, gone: int) -> Parsed:
    return Parsed(kind, body if kept else b"", kept, gone, f"{_ODD}: {gone}" if gone else "")


@cache
def _messages() -> dict[Signal, Any]:
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    return {
        Signal.TRACES: ExportTraceServiceRequest,
        Signal.LOGS: ExportLogsServiceRequest,
        Signal.METRICS: ExportMetricsServiceRequest,
    }


def _word(text: str) -> str:
    return repr(text[:40])
