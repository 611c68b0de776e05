"""Which records of a parsed request a segment can keep: with ids that lead somewhere, and times before the year 2262.

The others are taken out before the request is acknowledged, so that the answer can say how many there were.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

_HEX: Final = re.compile(r"[0-9a-fA-F]+")
_END: Final = 2**63
Holder = tuple[Any, Callable[[Any], bool]]
"""A list of records, and what says whether one of them can be kept."""


def sift(holders: Iterator[Holder]) -> tuple[int, int]:
    """Take out what cannot be kept; gives how many records stay and how many went."""
    kept = gone = 0
    for records, is_sound in holders:
        odd = [number for number, record in enumerate(records) if not is_sound(record)]
        for number in reversed(odd):
            del records[number]
        kept += len(records)
        gone += len(odd)
    return kept, gone


def in_json(request: Any) -> Iterator[Holder]:
    """The lists of a request of `shapes`."""
    match request.__struct_fields__[0]:
        case "resourceSpans":
            yield from ((spans, _json_span) for spans in request.spans())
        case "resourceLogs":
            yield from ((logs, _json_log) for logs in request.logs())
        case _:
            yield from ((p, _json_point if m.name else _never) for m in request.metrics() for p in m.points())


def in_protobuf(request: Any) -> Iterator[Holder]:
    """The lists of an `Export…ServiceRequest`."""
    match request.DESCRIPTOR.fields[0].name:
        case "resource_spans":
            yield from ((scope.spans, _span) for r in request.resource_spans for scope in r.scope_spans)
        case "resource_logs":
            yield from ((scope.log_records, _log) for r in request.resource_logs for scope in r.scope_logs)
        case _:
            metrics = (m for r in request.resource_metrics for scope in r.scope_metrics for m in scope.metrics)
            told = ((m, m.WhichOneof("data")) for m in metrics)
            yield from ((getattr(m, kind).data_points, _point if m.name else _never) for m, kind in told if kind)


def _never(record: Any) -> bool:
    """A metric without a name."""
    return False


def _span(span: Any) -> bool:
    ids = len(span.trace_id) == 16 and len(span.span_id) == 8 and any(span.trace_id) and any(span.span_id)
    return bool(ids) and span.start_time_unix_nano < _END and span.end_time_unix_nano < _END


def _log(record: Any) -> bool:
    return bool(record.time_unix_nano < _END and record.observed_time_unix_nano < _END)


def _point(point: Any) -> bool:
    return bool(point.time_unix_nano < _END)


def _json_span(span: Any) -> bool:
    ids = _id(span.traceId, 32, (22, 24)) and _id(span.spanId, 16, (11, 12))
    return ids and _time(span.startTimeUnixNano) and _time(span.endTimeUnixNano)


def _json_log(record: Any) -> bool:
    return _time(record.timeUnixNano) and _time(record.observedTimeUnixNano)


def _json_point(point: Any) -> bool:
    return _time(point.timeUnixNano)


def _id(text: str | None, digits: int, base64: tuple[int, int]) -> bool:
    if not text or not text.strip("0"):
        return False
    return bool(len(text) == digits and _HEX.fullmatch(text)) or len(text) in base64


def _time(value: Any) -> bool:
    if value is None or value == "":
        return True
    try:
        return -_END <= int(value) < _END
    except (ValueError, OverflowError):
        return False
