"""JSON of other tools, as OTLP/JSON lines: documents in, one converted at a time, portions out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from shadowlab import errors
from shadowlab.telemetry.inputs import Unpacked
from shadowlab.telemetry.readers.base import LONGEST, Faults, Portion
from shadowlab.telemetry.readers.json_lines import JsonLines

_BLOCK: Final = 4 << 20
_AT_ONCE: Final = 5000
"""Spans in one converted request."""

Pairs = Sequence[tuple[str, Any]]
"""Keys and values; a key may come again."""
Converted = tuple[Pairs, dict[str, Any], dict[str, Any]]
"""A resource's attributes, a scope and a span, as OTLP/JSON has them."""


class Unreadable(Exception):
    """One span cannot be converted."""


def converted(
    stream: Unpacked, spool: Path, faults: Faults, spans: Callable[[Any], Iterable[Callable[[], Converted]]]
) -> Iterator[Portion]:
    """Portions of what `spans` finds in each JSON document of a stream; it gives a conversion for each span."""
    path, position = spool / "converted.jsonl", 0
    with path.open("w") as out:
        waiting: list[Converted] = []
        for number, document in _documents(stream, faults):
            for place, convert in enumerate(spans(document), 1):
                try:
                    waiting.append(convert())
                except (Unreadable, ValueError, TypeError, AttributeError, KeyError, OverflowError) as exc:
                    faults.add(f"document {number}, span {place}", f"cannot be read: {exc}")
                if len(waiting) >= _AT_ONCE:
                    position += _write(out, waiting)
        position += _write(out, waiting)
    if position:
        yield JsonLines(path, faults, spool, word="converted request")


def _documents(stream: Unpacked, faults: Faults) -> Iterator[tuple[int, Any]]:
    told = bytearray()
    while block := _next(stream, faults):
        told += block
        if len(told) > LONGEST:
            raise errors.TelemetryError(f"is larger than {LONGEST >> 20} MiB; split it")
    try:
        yield 1, json.loads(told, parse_constant=str)
    except RecursionError as exc:
        raise errors.TelemetryError("is nested too deeply") from exc
    except ValueError as exc:
        lines = told.splitlines()
        if len(lines) < 2:
            raise errors.TelemetryError(f"is no JSON: {exc}") from exc
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                yield number, json.loads(line, parse_constant=str)
            except (ValueError, RecursionError) as fault:
                faults.add(f"line {number}", f"not JSON: {fault}")


def _next(stream: Unpacked, faults: Faults) -> bytes:
    try:
        return stream.read(_BLOCK)
    except OSError as exc:
        faults.add("end of file", f"the rest cannot be unpacked: {exc}")
        return b""


def _write(out: Any, waiting: list[Converted]) -> int:
    blocks = [
        {"resource": {"attributes": attributes(resource)}, "scopeSpans": [{"scope": scope or None, "spans": [span]}]}
        for resource, scope, span in waiting
    ]
    out.write(json.dumps({"resourceSpans": blocks}) + "\n" if blocks else "")
    count = len(waiting)
    waiting.clear()
    return count


def attributes(plain: dict[str, Any] | Pairs) -> list[dict[str, Any]]:
    """A list of KeyValue from plain values; those that are an AnyValue already stay."""
    pairs = plain.items() if isinstance(plain, dict) else plain
    return [{"key": key, "value": any_value(value)} for key, value in pairs]


def any_value(plain: Any) -> dict[str, Any]:
    """An AnyValue from a plain value."""
    match plain:
        case bool():
            return {"boolValue": plain}
        case int():
            return {"intValue": str(plain)}
        case float():
            return {"doubleValue": plain}
        case list():
            return {"arrayValue": {"values": [any_value(inner) for inner in plain]}}
        case Typed():
            return {plain.kind: plain.value}
        case None:
            return {}
        case dict():
            return {"kvlistValue": {"values": attributes(plain)}}
        case _:
            return {"stringValue": str(plain)}


class Typed:
    """A value that says its own type."""

    def __init__(self, kind: str, value: Any) -> None:
        self.kind, self.value = kind, value


def hex_id(told: Any, digits: int) -> str:
    """An id in full length; tools cut leading zeros. Raises `Unreadable` when it is none."""
    text = str(told or "").strip().lower()
    if not text or len(text) > 32 or any(c not in "0123456789abcdef" for c in text):
        raise Unreadable(f"{str(told)[:40]!r} is no id")
    return text.rjust(digits, "0")


def nanoseconds(microseconds: Any) -> str:
    """A time in nanoseconds as OTLP/JSON writes it. Raises `ValueError` when it is no number."""
    if isinstance(microseconds, str | int) and not isinstance(microseconds, bool):
        return str(int(microseconds) * 1000)
    return str(round(Fraction(float(microseconds)) * 1000))
