"""Recognise the message that a queue's consumer is called with, by its shape: no client library is imported."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shadowlab_recorder.plain import plain

_ENTRY = re.compile(r"\d{1,20}-\d{1,20}")
_IDEMPOTENCY = ("idempotency-key", "idempotency_key", "x-idempotency-key", "message-id", "message_id")


@dataclass(slots=True)
class Message:
    """One message, whatever brought it."""

    system: str
    """`kafka`, `redis` or `amqp`."""
    shape: str
    """How it was handed over: `object`, `id_fields` (a Redis entry id and its fields), `entry` (both as one pair, as
    `xread` gives them) or `pika` (four arguments)."""
    argument: int
    """Its place among the positional arguments; `width` of them belong to it."""
    width: int
    payload: bytes
    topic: str | None = None
    partition: int | None = None
    offset: int | str | None = None
    key: str | None = None
    timestamp_ms: int | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    idempotency_key: str | None = None
    redelivered: bool | None = None
    exchange: str | None = None
    methods: bool = False
    """Whether `topic()` and its siblings are methods (confluent-kafka) and not attributes."""
    text: bool = True
    """Whether id and fields of a Redis entry came as text, and not as bytes."""


def recognised(args: tuple[Any, ...]) -> Message | None:
    """The message among positional arguments, None when there is none."""
    if len(args) >= 4 and hasattr(args[1], "routing_key") and isinstance(args[3], (bytes, str)):
        return _pika(args)
    for place, argument in enumerate(args):
        if hasattr(argument, "topic") and hasattr(argument, "partition") and hasattr(argument, "offset"):
            return _kafka(argument, place)
        if hasattr(argument, "routing_key") and hasattr(argument, "body"):
            return _amqp(argument, place)
        if place + 1 < len(args) and _is_entry(argument, args[place + 1]):
            return _redis(argument, args[place + 1], args, place, "id_fields")
        if isinstance(argument, tuple) and len(argument) == 2 and _is_entry(*argument):
            return _redis(*argument, args, place, "entry")
    return None


def _kafka(message: Any, place: int) -> Message:
    methods = callable(message.topic)
    get: Callable[[str], Any] = (lambda n: getattr(message, n)()) if methods else (lambda n: getattr(message, n, None))
    time = get("timestamp")
    headers = _headers(get("headers"))
    return Message(
        "kafka", "object", place, 1, _bytes(get("value")), topic=_text(get("topic")), partition=get("partition"),
        offset=get("offset"), key=_text(get("key")), timestamp_ms=time[1] if isinstance(time, tuple) else time,
        headers=headers, idempotency_key=_idempotency(headers), methods=methods,
    )  # fmt: skip


def _redis(entry: Any, fields: Mapping[Any, Any], args: tuple[Any, ...], place: int, shape: str) -> Message:
    """`handle(id, fields)` or `handle((id, fields))`, the stream before them or not: an entry of `xreadgroup`."""
    named = {_text(name) or "": plain(_readable(value))[0] for name, value in fields.items()}
    stream = _text(args[place - 1]) if place and isinstance(args[place - 1], (str, bytes)) else None
    headers = [(name, value) for name, value in named.items() if isinstance(value, str)]
    payload = json.dumps(named, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    offset = _text(entry)
    return Message(
        "redis", shape, place, 1 if shape == "entry" else 2, payload, topic=stream, offset=offset,
        timestamp_ms=int(str(offset).partition("-")[0]), idempotency_key=_idempotency(headers),
        text=isinstance(entry, str),
    )  # fmt: skip


def _amqp(message: Any, place: int) -> Message:
    headers = _headers(getattr(message, "headers", None))
    return Message(
        "amqp", "object", place, 1, _bytes(message.body), topic=_text(message.routing_key),
        offset=getattr(message, "delivery_tag", None), headers=headers,
        exchange=_text(getattr(message, "exchange", None)),
        idempotency_key=_text(getattr(message, "message_id", None)) or _idempotency(headers),
        redelivered=getattr(message, "redelivered", None),
    )  # fmt: skip


def _pika(args: tuple[Any, ...]) -> Message:
    method, properties = args[1], args[2]
    headers = _headers(getattr(properties, "headers", None))
    return Message(
        "amqp", "pika", 0, 4, _bytes(args[3]), topic=_text(method.routing_key), headers=headers,
        offset=getattr(method, "delivery_tag", None), exchange=_text(getattr(method, "exchange", None)),
        redelivered=getattr(method, "redelivered", None),
        idempotency_key=_text(getattr(properties, "message_id", None)) or _idempotency(headers),
    )  # fmt: skip


def _is_entry(name: Any, fields: Any) -> bool:
    known = isinstance(name, (str, bytes)) and isinstance(fields, Mapping)
    return known and _ENTRY.fullmatch(_text(name) or "") is not None


def _headers(found: Any) -> list[tuple[str, str]]:
    pairs: Iterable[Any] = found.items() if isinstance(found, Mapping) else found or ()
    return [(str(name), _text(value) or "") for name, value in pairs]


def _idempotency(headers: list[tuple[str, str]]) -> str | None:
    named = {name.lower(): value for name, value in headers}
    return next((named[name] for name in _IDEMPOTENCY if name in named), None)


def _bytes(value: Any) -> bytes:
    if value is None or isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value or b"")
    made = value if isinstance(value, str) else json.dumps(plain(value)[0], separators=(",", ":"), ensure_ascii=False)
    return made.encode("utf-8", "surrogatepass")


def _readable(value: Any) -> Any:
    """Bytes as text where they are text."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    return value


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return value.decode("utf-8", "replace") if isinstance(value, (bytes, bytearray)) else str(value)
