"""OTLP/protobuf on the wire: which framing, which signal; nothing is decoded that need not be.

A file is one request, or the stream that the collector's file exporter writes: each request after its length, four
bytes, big endian. Streams whose lengths are varints are read too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_FIXED64, _LEN = 1, 2
_MAX_FIELDS: Final = 64
Field = tuple[int, int, int, int]
"""Number, wire type, and where its content starts and ends."""


def fields(told: bytes, start: int, end: int) -> Iterator[Field]:
    """The fields of a message within `told[start:end]`; raises `ValueError` where it is none."""
    at = start
    while at < end:
        tag, at = varint(told, at, end)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise ValueError("a field of number 0")
        match kind:
            case 0:
                _, until = varint(told, at, end)
            case 1:
                until = at + 8
            case 2:
                size, at = varint(told, at, end)
                until = at + size
            case 5:
                until = at + 4
            case _:
                raise ValueError(f"a field of wire type {kind}")
        if until > end:
            raise ValueError("a field that ends beyond its message")
        yield number, kind, at, until
        at = until


def varint(told: bytes, at: int, end: int) -> tuple[int, int]:
    """The number at `at` and where it ends; raises `ValueError` when it does not end within ten bytes."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = told[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number that does not end")


def signal(message: bytes) -> str | None:
    """`span`, `log` or `metric`, from the first record of a request; None when it has none or is no request."""
    try:
        for _, _, start, end in _named(message, 0, len(message), 1):
            for _, _, scope_start, scope_end in _named(message, start, end, 2):
                for _, _, record_start, record_end in _named(message, scope_start, scope_end, 2):
                    return _kind(message, record_start, record_end)
    except ValueError:
        return None
    return None


def _named(told: bytes, start: int, end: int, number: int) -> Iterator[Field]:
    return (field for field in fields(told, start, end) if field[0] == number and field[1] == _LEN)


def _kind(told: bytes, start: int, end: int) -> str | None:
    lengths: dict[int, int] = {}
    for seen, (number, kind, at, until) in enumerate(fields(told, start, end)):
        if kind == _FIXED64 and number in (1, 11):
            return "log"
        if kind == _FIXED64 and number in (7, 8):
            return "span"
        if kind == _LEN:
            lengths.setdefault(number, until - at)
        if seen > _MAX_FIELDS:
            break
    if lengths.get(1) == 16 and lengths.get(2) == 8:
        return "span"
    return "metric" if 1 in lengths and not lengths.keys().isdisjoint((5, 7, 9, 10, 11)) else "log" if lengths else None


def framing(head: bytes) -> str | None:
    """`request`, `fixed` or `varint`: how a file that starts so is framed; None when it is no protobuf.

    A request starts with the byte 10; a length of four bytes, big endian, starts with less than 4 up to 64 MiB.
    """
    if len(head) > 4 and head[0] < 4:
        return "fixed" if _is_request(head, 4, int.from_bytes(head[:4], "big")) else None
    if _is_request(head, 0, None):
        return "request"
    try:
        size, at = varint(head, 0, len(head))
    except ValueError:
        return None
    return "varint" if size and _is_request(head, at, size) else None


def _is_request(head: bytes, at: int, size: int | None) -> bool:
    """Whether a request starts here: field 1 with content, within it a resource or a scope."""
    end = len(head) if size is None else min(at + size, len(head))
    if at >= end or head[at] != 0x0A:
        return False
    try:
        length, start = varint(head, at + 1, end)
    except ValueError:
        return False
    if size is not None and start + length > at + size:
        return False
    if start + length <= end:
        return _is_resource_block(head, start, start + length)
    return start < end and head[start] in (0x0A, 0x12)


def _is_resource_block(head: bytes, start: int, end: int) -> bool:
    try:
        return all(number in (1, 2, 3, 1000) for number, _, _, _ in fields(head, start, end))
    except ValueError:
        return False
