"""Call the function that was recorded, with the arguments and the message that it got.

A message is given as an object of the shape that its queue's client hands over. It comes from nowhere: what would
commit an offset or acknowledge it is counted, and goes no further.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import decimal
import importlib
import inspect
import json
import types
import uuid
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

from .entry import Answer
from .loop import VirtualLoop

_SETTLES = ("commit", "ack", "nack", "reject", "basic_ack", "basic_nack", "basic_reject", "xack", "store_offsets")


class Settled:
    """Counts what would have told the queue that a message is done; `told` names what else was asked of a stand-in."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self.times = 0
        self._note = note

    def ask(self, name: str) -> Done:
        """Somebody called `name` on a message, a channel or a consumer."""
        if name in _SETTLES:
            self.times += 1
        else:
            self._note(f"{name} of an argument that was not recorded")
        return Done()


class Done:
    """Nothing, and it may be awaited."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


class StandIn:
    """In the place of an argument that no recording can hold: a consumer, a channel."""

    def __init__(self, settled: Settled) -> None:
        self._settled = settled

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: self._settled.ask(name)


class Delivered:
    """A message as an object; what it does not know it has not."""

    def __init__(self, settled: Settled, methods: bool, **fields: Any) -> None:
        self._settled = settled
        for name, value in fields.items():
            setattr(self, name, (lambda value=value: value) if methods else value)

    def ack(self, *args: Any, **kwargs: Any) -> Done:
        return self._settled.ask("ack")

    def nack(self, *args: Any, **kwargs: Any) -> Done:
        return self._settled.ask("nack")

    def reject(self, *args: Any, **kwargs: Any) -> Done:
        return self._settled.ask("reject")

    @contextlib.asynccontextmanager
    async def process(self, *args: Any, **kwargs: Any) -> AsyncIterator[Delivered]:
        yield self
        self._settled.ask("ack")


def call_of(job: dict[str, Any], entrypoint: Any) -> tuple[Callable[..., Any], dict[str, Any]] | None:
    """The function to call and what with; None where a plain event is to be handed to the entrypoint.

    A message without a call goes to the entrypoint, whole when its first parameter is named for one.
    """
    call = job.get("call")
    if call:
        return target(call["target"]), call
    if job.get("message") and not inspect.isclass(entrypoint):
        with contextlib.suppress(TypeError, ValueError):
            if next(iter(inspect.signature(entrypoint).parameters), "") in ("message", "msg", "record"):
                return entrypoint, {"arguments": [None], "keywords": {}}
    return None


def ask_call(
    function: Callable[..., Any], call: dict[str, Any], message: dict[str, Any] | None, loop: VirtualLoop,
    settled: Settled,
) -> Answer:  # fmt: skip
    """What the call returns, as JSON, or raises."""
    answer: Answer = {"status": None, "headers": [], "body": b"", "error": None}
    args, keywords = _arguments(call, message, settled)
    try:
        result = function(*args, **keywords)
        if inspect.isawaitable(result):
            result = loop.run_until_complete(_awaited(result))
        answer["body"] = json.dumps(result, sort_keys=True, separators=(",", ":"), default=_plain).encode()
        answer["status"] = 200
    except Exception as exc:
        answer["error"] = exc
    return answer


def target(name: str) -> Callable[..., Any]:
    """The function that `module:qualified.name` means, without a recorder around it; raises LookupError in words."""
    module, _, path = name.partition(":")
    owner: Any = None
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            owner, found = found, getattr(found, part)
    except (ImportError, AttributeError, ValueError) as exc:
        raise LookupError(f"the recorded function {name!r} is not in this tree: {exc}") from exc
    while getattr(found, "__shadowlab_recorded__", False):
        found = found.__wrapped__
    if isinstance(owner, type) and inspect.isfunction(found):
        first = next(iter(inspect.signature(found).parameters), "")
        found = found.__get__(owner()) if first == "self" else found
    return found  # type: ignore[no-any-return]  # whatever it is, it was called in production


def _arguments(
    call: dict[str, Any], message: dict[str, Any] | None, settled: Settled
) -> tuple[list[Any], dict[str, Any]]:
    lossy = set(call.get("lossy", ()))
    given = [
        StandIn(settled) if f"arguments[{n}]" in lossy else _value(value) for n, value in enumerate(call["arguments"])
    ]
    keywords = {
        name: StandIn(settled) if f"keywords.{name}" in lossy else _value(value)
        for name, value in call["keywords"].items()
    }
    if message is not None:
        parts = delivered(message, settled)
        given[message["argument"] : message["argument"] + len(parts)] = parts
    return given, keywords


def delivered(message: dict[str, Any], settled: Settled) -> list[Any]:
    """The arguments that a message is handed over as."""
    payload = bytes.fromhex(message["payload"])
    if message["shape"] == "id_fields":
        return list(_entry(message, payload))
    if message["shape"] == "entry":
        return [_entry(message, payload)]
    if message["system"] == "amqp":
        return _amqp(message, payload, settled)
    key, headers = message.get("key"), [(name, value.encode()) for name, value in message["headers"]]
    time = message.get("timestamp_ms")
    fields = {
        "topic": message.get("topic"), "partition": message.get("partition"), "offset": message.get("offset"),
        "key": key if key is None else key.encode(), "value": payload, "headers": headers,
        "timestamp": (1, time) if message["methods"] else time,
    }  # fmt: skip
    if message["methods"]:
        fields["error"] = None
    return [Delivered(settled, message["methods"], **fields)]


def _amqp(message: dict[str, Any], payload: bytes, settled: Settled) -> list[Any]:
    envelope = {
        "routing_key": message.get("topic"), "exchange": message.get("exchange"),
        "delivery_tag": message.get("offset"), "redelivered": bool(message.get("redelivered")),
    }  # fmt: skip
    properties = {"headers": dict(message["headers"]), "message_id": message.get("idempotency_key")}
    if message["shape"] != "pika":
        return [Delivered(settled, False, body=payload, **envelope, **properties)]
    return [StandIn(settled), types.SimpleNamespace(**envelope), types.SimpleNamespace(**properties), payload]


def _entry(message: dict[str, Any], payload: bytes) -> tuple[Any, Any]:
    fields = json.loads(payload)
    if message["text"]:
        return message["offset"], {name: _value(value) for name, value in fields.items()}
    record = {
        name.encode(): value.encode() if isinstance(value, str) else _value(value) for name, value in fields.items()
    }
    return str(message["offset"]).encode(), record


def _value(value: Any) -> Any:
    """A recorded value as Python had it."""
    if isinstance(value, list):
        return [_value(each) for each in value]
    if isinstance(value, dict):
        if value.keys() == {"base64"}:
            return base64.b64decode(value["base64"])
        if value.keys() == {"integer"}:
            return int(value["integer"])
        return {name: _value(each) for name, each in value.items()}
    return value


async def _awaited(result: Any) -> Any:
    return await result


def _plain(value: Any) -> str:
    """What JSON cannot hold, in the words of the recorder."""
    if isinstance(value, (decimal.Decimal, uuid.UUID, datetime.date, datetime.time)):
        return str(value)
    return repr(value)[:200]
