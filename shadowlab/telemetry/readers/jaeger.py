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
    service = process.get("serviceName")
    resource = [*([("service.name", service)] if service else []), *_tags(process)]
    tags = _tags(span)
    if warnings := span.get("warnings"):
        tags.append(("jaeger.warnings", [str(warning) for warning in warnings]))
    trace_id = hex_id(span.get("traceID"), 32)
    parent, links = _references(span, trace_id)
    start, took = span.get("startTime"), span.get("duration")
    begin = None if start is None else nanoseconds(start)
    end = None if begin is None or took is None else str(int(begin) + int(nanoseconds(took)))
    if begin is None and took is not None:
        tags.append(("jaeger.duration_us", took))
    told = {
        "traceId": trace_id, "spanId": hex_id(span.get("spanID"), 16), "parentSpanId": parent,
        "name": str(span.get("operationName") or ""), "kind": _kind(tags), "flags": span.get("flags"),
        "startTimeUnixNano": begin, "endTimeUnixNano": end,
        "traceState": _taken(tags, "w3c.tracestate"), "status": _status(tags), "events": _events(span.get("logs")),
        "links": links,
    }  # fmt: skip
    scope = {
        "name": _taken(tags, "otel.scope.name", "otel.library.name"),
        "version": _taken(tags, "otel.scope.version", "otel.library.version"),
    }
    return resource, scope, {**told, "attributes": attributes(tags)}


def _tags(holder: dict[str, Any], name: str = "tags") -> list[tuple[str, Any]]:
    """Tags in order, those that come again too; the Elasticsearch index may keep them as fields, with `@` for a dot."""
    listed = holder.get(name)
    pairs = listed.items() if isinstance(listed, dict) else ((str(tag["key"]), _value(tag)) for tag in listed or [])
    return [*pairs, *((str(key).replace("@", "."), value) for key, value in (holder.get("tag") or {}).items())]


def _taken(tags: list[tuple[str, Any]], *keys: str) -> Any:
    """The value of the first of `keys` that is there, taken out; None when none is."""
    for key in keys:
        for number, (name, value) in enumerate(tags):
            if name == key:
                del tags[number]
                return value
    return None


def _kind(tags: list[tuple[str, Any]]) -> int:
    return _KINDS.get(str(_taken(tags, "span.kind") or "").lower(), 0)


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


def _status(tags: list[tuple[str, Any]]) -> dict[str, Any]:
    code = _STATUS.get(str(_taken(tags, "otel.status_code") or "").lower(), 0)
    message = _taken(tags, "otel.status_description")
    if not code and any(key == "error" and str(value).lower() == "true" for key, value in tags):
        code = 2
    return {"code": code, "message": None if message is None else str(message)}


def _at(log: dict[str, Any]) -> str | None:
    return None if log.get("timestamp") is None else nanoseconds(log["timestamp"])


def _events(logs: Any) -> list[dict[str, Any]]:
    events = []
    for log in logs or []:
        if not isinstance(log, dict):
            raise Unreadable("one of its logs is no object")
        fields = _tags(log, "fields")
        name = str(_taken(fields, "event") or "log")
        if name == "error" and not {"stack", "error.kind"}.isdisjoint(dict(fields)):  # OpenTracing's way to say so
            name = "exception"
            fields = [(_EXCEPTION.get(key, key), value) for key, value in fields]
        events.append({"timeUnixNano": _at(log), "name": name, "attributes": attributes(fields)})
    return events
