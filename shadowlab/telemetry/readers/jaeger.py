"""Read Jaeger JSON: what its page downloads, what its API answers, spans a line as its Elasticsearch index has them.

Mapped as OpenTelemetry's collector does: https://opentelemetry.io/docs/specs/otel/trace/sdk_exporters/jaeger/
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from shadowlab.telemetry.inputs import Unpacked
from shadowlab.telemetry.readers.base import Faults, Portion
from shadowlab.telemetry.readers.documents import (
    Converted,
    Typed,
    Unreadable,
    attributes,
    converted,
    hex_id,
    nanoseconds,
)

_NAMES: Final = re.compile(rb'"traceID"\s*:')
_OWN: Final = re.compile(rb'"(?:spanID|operationName|spans|processes)"\s*:')
_KINDS: Final = {"client": 3, "server": 2, "producer": 4, "consumer": 5, "internal": 1}
_STATUS: Final = {"ok": 1, "error": 2}
_EXCEPTION: Final = {"error.kind": "exception.type", "message": "exception.message", "stack": "exception.stacktrace"}


class Jaeger:
    """Jaeger JSON."""

    name = "jaeger"

    def recognises(self, head: bytes) -> bool:
        """JSON that speaks of a `traceID` and of spans."""
        return bool(_NAMES.search(head) and _OWN.search(head))

    def portions(self, stream: Unpacked, spool: Path, faults: Faults) -> Iterator[Portion]:
        """All spans, with their processes as resources."""
        yield from converted(stream, spool, faults, _spans)


def _spans(document: Any) -> Iterator[Callable[[], Converted]]:
    match document:
        case {"data": list() as traces}:
            for trace in traces:
                yield from _spans(trace)
        case {"spans": list() as spans}:
            processes = document.get("processes") or {}
            yield from (functools.partial(_convert, span, processes) for span in spans)
        case list():
            for inner in document:
                yield from _spans(inner)
        case {"_source": dict() as inner}:
            yield from _spans(inner)
        case {"traceID": _}:
            yield functools.partial(_convert, document, {})


def _convert(span: dict[str, Any], processes: dict[str, Any]) -> Converted:
    process = span.get("process") or processes.get(span.get("processID") or "") or {}
    resource = {"service.name": process.get("serviceName"), **_tags(process.get("tags"))}
    tags = _tags(span.get("tags"))
    if warnings := span.get("warnings"):
        tags["jaeger.warnings"] = [str(warning) for warning in warnings]
    trace_id = hex_id(span.get("traceID"), 32)
    parent, links = _references(span, trace_id)
    start, took = span.get("startTime"), span.get("duration")
    begin = None if start is None else nanoseconds(start)
    end = None if begin is None or took is None else str(int(begin) + int(nanoseconds(took)))
    if begin is None and took is not None:
        tags["jaeger.duration_us"] = took
    told = {
        "traceId": trace_id, "spanId": hex_id(span.get("spanID"), 16), "parentSpanId": parent,
        "name": str(span.get("operationName") or ""), "kind": _KINDS.get(str(tags.pop("span.kind", "")).lower(), 0),
        "startTimeUnixNano": begin, "endTimeUnixNano": end,
        "traceState": tags.pop("w3c.tracestate", None), "status": _status(tags), "events": _events(span.get("logs")),
        "links": links,
    }  # fmt: skip
    scope = {
        "name": tags.pop("otel.scope.name", None) or tags.pop("otel.library.name", None),
        "version": tags.pop("otel.scope.version", None) or tags.pop("otel.library.version", None),
    }
    return resource, scope, {**told, "attributes": attributes(tags)}


def _tags(listed: Any) -> dict[str, Any]:
    if isinstance(listed, dict):  # the Elasticsearch index keeps them so
        return dict(listed)
    return {str(tag["key"]): _value(tag) for tag in listed or []}


def _value(tag: dict[str, Any]) -> Any:
    try:
        return _typed(tag)
    except (ValueError, TypeError):  # not of the type that it says: kept as it is
        return tag.get("value")


def _typed(tag: dict[str, Any]) -> Any:
    value = tag.get("value")
    match str(tag.get("type", "")).lower():
        case "bool":
            return value if isinstance(value, bool) else str(value).lower() == "true"
        case "int64":
            return int(value) if value is not None else None
        case "float64":
            return float(value) if value is not None else None
        case "binary":
            return Typed("bytesValue", str(value))
        case _:
            return value


def _references(span: dict[str, Any], trace_id: str) -> tuple[str, list[dict[str, Any]]]:
    """The parent is the first CHILD_OF of the same trace; every other reference is a link."""
    parent = hex_id(span["parentSpanID"], 16) if span.get("parentSpanID") else ""
    links = []
    for reference in span.get("references") or []:
        to_trace, to_span = hex_id(reference.get("traceID"), 32), hex_id(reference.get("spanID"), 16)
        kind = str(reference.get("refType", "")).lower()
        if kind == "child_of" and to_trace == trace_id and not parent:
            parent = to_span
        elif (to_trace, to_span, kind) != (trace_id, parent, "child_of"):
            named = attributes({"opentracing.ref_type": kind})
            links.append({"traceId": to_trace, "spanId": to_span, "attributes": named})
    return parent, links


def _status(tags: dict[str, Any]) -> dict[str, Any]:
    code = _STATUS.get(str(tags.pop("otel.status_code", "")).lower(), 0)
    message = tags.pop("otel.status_description", None)
    if not code and str(tags.get("error", "")).lower() == "true":
        code = 2
    return {"code": code, "message": None if message is None else str(message)}


def _at(log: dict[str, Any]) -> str | None:
    return None if log.get("timestamp") is None else nanoseconds(log["timestamp"])


def _events(logs: Any) -> list[dict[str, Any]]:
    events = []
    for log in logs or []:
        if not isinstance(log, dict):
            raise Unreadable("one of its logs is no object")
        fields = _tags(log.get("fields"))
        name = str(fields.pop("event", "") or "log")
        if name == "error" and ("stack" in fields or "error.kind" in fields):  # OpenTracing's way to say so
            name = "exception"
            fields = {_EXCEPTION.get(key, key): value for key, value in fields.items()}
        events.append({"timeUnixNano": _at(log), "name": name, "attributes": attributes(fields)})
    return events
