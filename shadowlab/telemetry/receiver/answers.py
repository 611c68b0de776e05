"""Answers as OTLP spells them: `Export…ServiceResponse` and `google.rpc.Status`, in protobuf and in JSON.

https://opentelemetry.io/docs/specs/otlp/#otlphttp-response
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from shadowlab.telemetry.receiver.bodies import Encoding, Parsed, Signal
from shadowlab.telemetry.receiver.refusal import Refused

_REJECTED: Final = {
    Signal.TRACES: "rejectedSpans", Signal.LOGS: "rejectedLogRecords", Signal.METRICS: "rejectedDataPoints",
}  # fmt: skip
_RETRY_INFO: Final = b"type.googleapis.com/google.rpc.RetryInfo"


def taken(signal: Signal, encoding: Encoding, parsed: Parsed) -> bytes:
    """What was kept; `partial_success` is set when something was not."""
    if encoding is Encoding.JSON:
        partial = {_REJECTED[signal]: str(parsed.rejected), "errorMessage": parsed.reason}
        return msgspec.json.encode({"partialSuccess": partial} if parsed.rejected else {})
    if not parsed.rejected:
        return b""
    return _field(1, _number(1, parsed.rejected) + _field(2, parsed.reason.encode()))


def refused(encoding: Encoding, why: Refused) -> bytes:
    """`google.rpc.Status`, with `RetryInfo` when trying again is of use."""
    if encoding is Encoding.JSON:
        told: dict[str, Any] = {"code": why.code, "message": why.message}
        if why.retry_after is not None:
            told["details"] = [{"@type": _RETRY_INFO.decode(), "retryDelay": f"{why.retry_after}s"}]
        return msgspec.json.encode(told)
    status = _number(1, why.code) + _field(2, why.message.encode())
    if why.retry_after is None:
        return status
    delay = _field(1, _number(1, why.retry_after))
    return status + _field(3, _field(1, _RETRY_INFO) + _field(2, delay))


def _field(number: int, content: bytes) -> bytes:
    return bytes((number << 3 | 2,)) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return bytes((number << 3,)) + _varint(value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
