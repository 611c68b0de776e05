"""Read Zipkin v2 JSON: a list of spans, a list of traces, a single span, or a span a line.

https://zipkin.io/zipkin-api/#/default/post_spans, mapped as OpenTelemetry's collector does.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from shadowlab.telemetry.inputs import Unpacked
from shadowlab.telemetry.readers.base import Faults, Portion
from shadowlab.telemetry.readers.documents import Converted, attributes, converted, hex_id, nanoseconds

_TRACE: Final = re.compile(rb'"traceId"\s*:')
_SPAN: Final = re.compile(rb'"id"\s*:')
_OWN: Final = re.compile(rb'"(?:localEndpoint|remoteEndpoint|duration|parentId|annotations|kind|shared)"\s*:')
_KINDS: Final = {"CLIENT": 3, "SERVER": 2, "PRODUCER": 4, "CONSUMER": 5}
_RESOURCE: Final = (
    "service.", "telemetry.", "deployment.", "vcs.", "host.", "k8s.", "container.", "process.", "os.", "cloud."
)  # fmt: skip
"""How tags begin that OpenTelemetry's exporters make of a resource; Zipkin has none."""


class Zipkin:
    """Zipkin v2 JSON."""

    name = "zipkin"

    def recognises(self, head: bytes) -> bool:
        """JSON that speaks of a `traceId` and an `id`, as logs do, and of what only spans have."""
        names = (_TRACE, _SPAN, _OWN)
        return head.lstrip()[:1] in (b"[", b"{") and all(name.search(head) for name in names)

    def portions(self, stream: Unpacked, spool: Path, faults: Faults) -> Iterator[Portion]:
        """All spans; a span that client and server share stays two records with one id."""
        yield from converted(stream, spool, faults, _spans)


def _spans(document: Any) -> Iterator[Callable[[], Converted]]:
    if isinstance(document, list):
        for inner in document:
            yield from _spans(inner)
    elif isinstance(document, dict) and "traceId" in document:
        yield functools.partial(_convert, document)


def _convert(span: dict[str, Any]) -> Converted:
    local, remote = span.get("localEndpoint") or {}, span.get("remoteEndpoint") or {}
    tags = {str(key): value for key, value in (span.get("tags") or {}).items()}
    start = nanoseconds(span["timestamp"]) if span.get("timestamp") else None
    end = str(int(start) + int(nanoseconds(span["duration"]))) if start and span.get("duration") else None
    error, status = tags.get("error"), str(tags.pop("otel.status_code", "")).upper()
    message = tags.pop("otel.status_description", None) or (error if error not in (None, "", "true") else None)
    scope = _scope(tags)
    told = {
        "traceId": hex_id(span["traceId"], 32), "spanId": hex_id(span.get("id"), 16),
        "parentSpanId": hex_id(span["parentId"], 16) if span.get("parentId") else "",
        "name": str(span.get("name") or ""), "kind": _KINDS.get(str(span.get("kind", "")).upper(), 1),
        "startTimeUnixNano": start, "endTimeUnixNano": end,
        "status": {"code": 2 if error is not None or status == "ERROR" else int(status == "OK"), "message": message},
        "events": [_event(note) for note in span.get("annotations") or []],
    }  # fmt: skip
    more = {**_endpoint(local, "network.local"), **_endpoint(remote, "network.peer")}
    if remote.get("serviceName"):
        more["peer.service"] = remote["serviceName"]
    if span.get("duration") and not start:
        more["zipkin.duration_us"] = span["duration"]
    more |= {f"zipkin.{flag}": True for flag in ("shared", "debug") if span.get(flag)}
    service = {"service.name": local["serviceName"]} if local.get("serviceName") else {}
    resource = service | {key: tags.pop(key) for key in [*tags] if key.startswith(_RESOURCE)}
    more = {f"zipkin.{key}" if key in tags else key: value for key, value in more.items()}
    return [*resource.items()], scope, {**told, "attributes": attributes([*tags.items(), *more.items()])}


def _scope(tags: dict[str, Any]) -> dict[str, Any]:
    """The instrumentation scope, taken out of the tags; older exporters call it library, many write both."""
    library, scope = (
        {part: tags.pop(f"otel.{word}.{part}", None) for part in ("name", "version")} for word in ("library", "scope")
    )
    return {part: scope[part] or library[part] for part in scope}


def _event(note: dict[str, Any]) -> dict[str, Any]:
    at, value = note.get("timestamp"), str(note.get("value") or "")
    name, told, dropped = _named(value) or (value, {}, 0)
    return {
        "timeUnixNano": None if at is None else nanoseconds(at), "name": name, "attributes": attributes(told),
        "droppedAttributesCount": dropped,
    }  # fmt: skip


def _named(value: str) -> tuple[str, dict[str, Any], int] | None:
    """Name, attributes and how many were dropped of an event; None where the annotation is a text and no more.

    OpenTelemetry's exporters write `{"name": {...}}`, its collector `name|{...}|0`.
    """
    if told := _object(value):
        name, within = next(iter(told.items()))
        return (name, within, 0) if len(told) == 1 and isinstance(within, dict) else None
    name, _, rest = value.partition("|")
    told_within, _, dropped = rest.rpartition("|")
    within = _object(told_within)
    return None if within is None or not dropped.isdecimal() else (name, within, int(dropped))


def _object(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        found = json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _endpoint(endpoint: dict[str, Any], prefix: str) -> dict[str, Any]:
    first, second = endpoint.get("ipv4"), endpoint.get("ipv6")
    told = {
        f"{prefix}.address": first or second, f"{prefix}.port": endpoint.get("port"),
        f"zipkin.{prefix}.address": second if first else None,
    }  # fmt: skip
    return {key: value for key, value in told.items() if value}
