"""Every spelling of OTLP/JSON as the one that the fast path reads; slowly, a document at a time.

Read are `resourceSpans` and Tempo's `batches`, names in camelCase and snake_case, deprecated
`instrumentationLibrarySpans`. What cannot be kept is left out and named; nothing else is changed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, Final

from shadowlab.telemetry.readers import columns
from shadowlab.telemetry.readers.columns import Unkeepable
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
_VALUES: Final = ("stringValue", "intValue", "doubleValue", "boolValue", "bytesValue", "arrayValue", "kvlistValue")


def requests(document: Any, fault: Fault) -> Iterator[dict[str, Any]]:
    """The OTLP requests that a JSON document holds: itself, or each of a list. Others are given to `fault`."""
    if isinstance(document, list):
        for number, inner in enumerate(document, 1):
            yield from _request(inner, _at(fault, f"request {number}"))
    else:
        yield from _request(document, fault)


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
            for record in scope.get(records_name) or []:
                number += 1
                kept += _kept(record, functools.partial(_record, signal), _at(fault, f"{word} {number}"))
            scopes.append({"scope": _scope(scope, fault), "schemaUrl": scope.get("schemaUrl"), records_name: kept})
        yield {"resource": _resource(block, fault), "schemaUrl": block.get("schemaUrl"), scopes_name: scopes}


def _at(fault: Fault, place: str) -> Fault:
    return lambda at, why: fault(f"{place}{at and ', '}{at}", why)


def _kept(told: Any, read: Callable[[dict[str, Any], Fault], dict[str, Any]], fault: Fault) -> list[dict[str, Any]]:
    """What `read` makes of one record; none, and a fault, when it cannot be kept."""
    try:
        if isinstance(told, dict):
            return [read(_camel(told), fault)]
        fault("", "it is no object")
    except Unkeepable as exc:
        fault("", str(exc))
    except RecursionError:
        fault("", f"nested more than {DEEPEST} deep")
    return []


def _listed(holder: dict[str, Any], *names: str) -> Iterator[dict[str, Any]]:
    for name in names:
        value = holder.get(name)
        if isinstance(value, list):
            yield from (entry for entry in value if isinstance(entry, dict))


def _resource(block: dict[str, Any], fault: Fault) -> dict[str, Any]:
    resource = block.get("resource")
    if not isinstance(resource, dict):
        return {}
    resource = _camel(resource)
    try:
        return {**resource, "attributes": _attributes(resource.get("attributes"))}
    except Unkeepable as exc:
        fault("resource", f"{exc}; its records are kept without it")
        return {}


def _scope(holder: dict[str, Any], fault: Fault) -> dict[str, Any] | None:
    about = holder.get("scope") or holder.get("instrumentationLibrary")
    if not isinstance(about, dict):
        return None
    about = _camel(about)
    try:
        return {**about, "attributes": _attributes(about.get("attributes"))}
    except Unkeepable as exc:
        fault("scope", f"{exc}; its records are kept without its attributes")
        return {**about, "attributes": []}


def _record(signal: str, record: dict[str, Any], fault: Fault) -> dict[str, Any]:
    match signal:
        case "resourceSpans":
            return _span(record)
        case "resourceLogs":
            if "body" in record:
                record["body"] = _value(record["body"], 0)
            return _timed(record)
        case _:
            return _metric(record, fault)


def _span(record: dict[str, Any]) -> dict[str, Any]:
    record = _timed(record)
    for name in ("traceId", "spanId"):
        if not str(record.get(name) or "").strip("0"):
            raise Unkeepable(f"its {name} is missing or all zeros")
    for name in ("events", "links"):
        record[name] = [_timed(_camel(entry)) for entry in _listed(record, name)]
    if not isinstance(record.get("status"), dict):
        record["status"] = None
    return record


def _metric(record: dict[str, Any], fault: Fault) -> dict[str, Any]:
    if not isinstance(record.get("name"), str):
        raise Unkeepable("it has no name")
    record["metadata"] = _attributes(record.get("metadata"))
    for kind in ("gauge", "sum", "histogram", "exponentialHistogram", "summary"):
        if not isinstance(record.get(kind), dict):
            record.pop(kind, None)
            continue
        data, points = _camel(record[kind]), []
        for number, point in enumerate(columns.listed(data, "dataPoints"), 1):
            points += _kept(point, _point, _at(fault, f"point {number}"))
        record[kind] = {**data, "dataPoints": points}
    return record


def _point(point: dict[str, Any], fault: Fault) -> dict[str, Any]:
    point = _timed(point)
    point["exemplars"] = [columns.doubles(_timed(_camel(e), "filteredAttributes")) for e in _listed(point, "exemplars")]
    point["quantileValues"] = [columns.doubles(_camel(q)) for q in _listed(point, "quantileValues")]
    for bound in columns.listed(point, "explicitBounds"):
        columns.double(bound, "explicitBounds")
    columns.whole_numbers(point, columns.COUNTS, point["attributes"])
    for side in ("positive", "negative"):
        buckets = point.get(side)
        if isinstance(buckets, dict):
            point[side] = _camel(buckets)
            columns.whole_numbers(point[side], columns.BUCKETS, point["attributes"], f"otlp.{side}.")
        elif buckets is not None:
            raise Unkeepable(f"its {side} buckets are no object")
    return columns.doubles(point)


def _timed(record: dict[str, Any], key: str = "attributes") -> dict[str, Any]:
    """The record with ids in hex, times that their columns hold, and attributes under `key`."""
    for name in ("traceId", "spanId", "parentSpanId"):
        if record.get(name) is not None:
            record[name] = columns.hex_id(str(record[name]), name)
    record[key] = _attributes(record.get(key))
    columns.whole_numbers(record, columns.TIMES, record[key])
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
        if isinstance(plain, list) or isinstance(plain, dict) != (name in ("arrayValue", "kvlistValue")):
            raise Unkeepable(f"one of its values is a {name} of another type")
        if name == "arrayValue":
            told[name] = {"values": [_value(inner, depth + 1) for inner in columns.listed(plain, "values")]}
        elif name == "kvlistValue":
            told[name] = {"values": _attributes(plain.get("values"), depth + 1)}
    return told


def _camel(record: dict[str, Any]) -> dict[str, Any]:
    return {_camel_name(key) if "_" in key else key: value for key, value in record.items()}


def _camel_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)
