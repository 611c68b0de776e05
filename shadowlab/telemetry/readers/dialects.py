"""Every spelling of OTLP/JSON as the one that the fast path reads; slowly, a document at a time.

Read are `resourceSpans` and Tempo's `batches`, names in camelCase and snake_case, deprecated
`instrumentationLibrarySpans`. What cannot be kept is left out and named; nothing else is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from shadowlab.telemetry.readers.plain import DEEPEST

Fault = Callable[[str, str], None]
"""Called with a position within the document and the reason."""

SIGNALS: Final = {
    "resourceSpans": ("scopeSpans", "instrumentationLibrarySpans", "spans"),
    "resourceLogs": ("scopeLogs", "instrumentationLibraryLogs", "logRecords"),
    "resourceMetrics": ("scopeMetrics", "instrumentationLibraryMetrics", "metrics"),
}
_SPELLINGS: Final = {
    "resource_spans": "resourceSpans", "batches": "resourceSpans", "resource_logs": "resourceLogs",
    "resource_metrics": "resourceMetrics",
}  # fmt: skip
_WRAPPERS: Final = ("trace", "result")
"""Within which Tempo's second API and Jaeger's third answer."""
_TIMES: Final = ("startTimeUnixNano", "endTimeUnixNano", "timeUnixNano", "observedTimeUnixNano")
_LARGEST: Final = 2**63 - 1
_VALUES: Final[dict[str, type | tuple[type, ...]]] = {
    "stringValue": str, "intValue": (str, int), "doubleValue": (str, int, float), "boolValue": bool, "bytesValue": str,
    "arrayValue": dict, "kvlistValue": dict,
}  # fmt: skip


class Unkeepable(Exception):
    """One record cannot be kept."""


def requests(document: Any, fault: Fault) -> Iterator[dict[str, Any]]:
    """The OTLP requests that a JSON document holds: itself, or each of a list. Others are given to `fault`."""
    if isinstance(document, list):
        for number, inner in enumerate(document, 1):
            yield from _request(inner, _within(fault, number))
    else:
        yield from _request(document, fault)


def _within(fault: Fault, number: int) -> Fault:
    return lambda at, why: fault(f"request {number}{at and ', '}{at}", why)


def _request(document: Any, fault: Fault) -> Iterator[dict[str, Any]]:
    told = {_SPELLINGS.get(key, key): value for key, value in document.items()} if isinstance(document, dict) else {}
    for wrapper in _WRAPPERS:
        if isinstance(told.get(wrapper), dict):
            yield from _request(told[wrapper], fault)
            return
    found = {name: told[name] for name in SIGNALS if isinstance(told.get(name), list)}
    if not found:
        fault("", "no OTLP: it has none of " + ", ".join(SIGNALS))
        return
    yield {name: list(_blocks(name, blocks, fault)) for name, blocks in found.items()}


def _blocks(signal: str, blocks: list[Any], fault: Fault) -> Iterator[dict[str, Any]]:
    scopes_name, old_name, records_name = SIGNALS[signal]
    word = records_name.removesuffix("Records").removesuffix("s") if signal != "resourceLogs" else "log record"
    number = 0
    for block in blocks:
        if not isinstance(block, dict):
            fault("", f"an entry of {signal} is no object")
            continue
        block = _camel(block)
        scopes = []
        for scope in _listed(block, scopes_name, old_name):
            scope = _camel(scope)
            kept = []
            for record in _listed(scope, records_name):
                number += 1
                try:
                    kept.append(_record(signal, _camel(record)))
                except Unkeepable as exc:
                    fault(f"{word} {number}", str(exc))
                except RecursionError:
                    fault(f"{word} {number}", f"nested more than {DEEPEST} deep")
            about = scope.get("scope") or scope.get("instrumentationLibrary")
            scopes.append({"scope": about if isinstance(about, dict) else None, records_name: kept})
        yield {"resource": {"attributes": _resource(block, fault)}, scopes_name: scopes}


def _listed(holder: dict[str, Any], *names: str) -> Iterator[dict[str, Any]]:
    for name in names:
        value = holder.get(name)
        if isinstance(value, list):
            yield from (entry for entry in value if isinstance(entry, dict))


def _resource(block: dict[str, Any], fault: Fault) -> list[dict[str, Any]]:
    resource = block.get("resource")
    try:
        return _attributes(resource.get("attributes")) if isinstance(resource, dict) else []
    except Unkeepable as exc:
        fault("resource", f"{exc}; its records are kept without it")
        return []


def _record(signal: str, record: dict[str, Any]) -> dict[str, Any]:
    match signal:
        case "resourceSpans":
            return _span(record)
        case "resourceLogs":
            if "body" in record:
                record["body"] = _value(record["body"], 0)
            return _timed(record)
        case _:
            return _metric(record)


def _span(record: dict[str, Any]) -> dict[str, Any]:
    for name in ("traceId", "spanId"):
        if not isinstance(record.get(name), str) or not record[name].strip("0="):
            raise Unkeepable(f"its {name} is missing or all zeros")
    for name, key in (("events", "attributes"), ("links", "attributes")):
        inner = [_timed(_camel(entry), key) for entry in _listed(record, name)]
        record[name] = inner
    if not isinstance(record.get("status"), dict):
        record["status"] = None
    return _timed(record)


def _metric(record: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(record.get("name"), str):
        raise Unkeepable("it has no name")
    for kind in ("gauge", "sum", "histogram", "exponentialHistogram", "summary"):
        if isinstance(record.get(kind), dict):
            data = _camel(record[kind])
            data["dataPoints"] = [_point(_camel(point)) for point in _listed(data, "dataPoints")]
            record[kind] = data
    return record


def _point(point: dict[str, Any]) -> dict[str, Any]:
    point["exemplars"] = [_timed(_camel(e), "filteredAttributes") for e in _listed(point, "exemplars")]
    for side in ("positive", "negative"):
        if isinstance(point.get(side), dict):
            point[side] = _camel(point[side])
    return _timed(point)


def _timed(record: dict[str, Any], key: str = "attributes") -> dict[str, Any]:
    attributes = _attributes(record.get(key))
    for name in _TIMES:
        value = record.get(name)
        if value in (None, ""):
            continue
        try:
            number = int(value)
        except (TypeError, ValueError, OverflowError):
            raise Unkeepable(f"its {name} {str(value)[:40]!r} is no number") from None
        if not 0 <= number <= _LARGEST:
            # beyond what a BIGINT holds: kept as text, for the column cannot
            attributes.append({"key": f"otlp.{name}", "value": {"stringValue": str(value)}})
            record[name] = None
        elif isinstance(value, float):
            record[name] = str(number)
    record[key] = attributes
    return record


def _attributes(listed: Any, depth: int = 0) -> list[dict[str, Any]]:
    if listed is None:
        return []
    if not isinstance(listed, list):
        raise Unkeepable("its attributes are no list")
    kept = []
    for entry in listed:
        if not isinstance(entry, dict) or not isinstance(entry.get("key"), str):
            raise Unkeepable("one of its attributes has no key")
        kept.append({"key": entry["key"], "value": _value(entry.get("value"), depth)})
    return kept


def _value(value: Any, depth: int) -> dict[str, Any]:
    if depth > DEEPEST:
        raise Unkeepable(f"one of its values is nested more than {DEEPEST} deep")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Unkeepable("one of its values is no AnyValue")
    told: dict[str, Any] = {n: v for n, v in _camel(value).items() if n in _VALUES and v is not None}
    for name, plain in told.items():
        if not isinstance(plain, _VALUES[name]) or (name != "boolValue" and isinstance(plain, bool)):
            raise Unkeepable(f"one of its values is a {name} of another type")
        if name == "arrayValue":
            told[name] = {"values": [_value(inner, depth + 1) for inner in told[name].get("values") or []]}
        elif name == "kvlistValue":
            told[name] = {"values": _attributes(told[name].get("values"), depth + 1)}
    return told


def _camel(record: dict[str, Any]) -> dict[str, Any]:
    return {_camel_name(key) if "_" in key else key: value for key, value in record.items()}


def _camel_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)
