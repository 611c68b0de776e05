"""Messages of OTLP/protobuf, decoded.

The descriptors are OpenTelemetry's own with two changes that the wire does not see: names in camelCase, and arrays and
key-value lists left as bytes, because columns cannot be recursive.
"""

from __future__ import annotations

import base64
import functools
from typing import Any, Final

_MESSAGES: Final = {"span": "trace.v1.TracesData", "log": "logs.v1.LogsData", "metric": "metrics.v1.MetricsData"}
_IDS: Final = ("traceId", "spanId", "parentSpanId")
_NESTED: Final = {"arrayValue": "ArrayValue", "kvlistValue": "KeyValueList"}
_UNUSED: Final = ("entity_refs", "key_strindex", "string_value_strindex")


@functools.cache
def handler(signal: str) -> Any:
    """What decodes requests of a signal into Arrow; its `list_to_record_batch` raises `ValueError`."""
    import ptars

    files, descriptor = _descriptors(signal)
    return ptars.HandlerPool(files).get_for_message(descriptor)


def as_json(signal: str, message: bytes) -> dict[str, Any]:
    """A request as OTLP/JSON has it, ids in hex; arrays and lists that are nested too deep stay bytes.

    Raises `ValueError` for what is no request.
    """
    from google.protobuf import json_format, message_factory
    from google.protobuf.message import DecodeError

    try:
        told = message_factory.GetMessageClass(_descriptors(signal)[1]).FromString(message)
        document = json_format.MessageToDict(told, preserving_proto_field_name=True)
    except (DecodeError, json_format.Error) as exc:
        raise ValueError(str(exc)) from exc
    return {name: _plain(blocks) for name, blocks in document.items()}


def _plain(told: Any) -> Any:
    match told:
        case dict():
            return {key: _field(key, value) for key, value in told.items()}
        case list():
            return [_plain(inner) for inner in told]
        case _:
            return told


def _field(name: str, told: Any) -> Any:
    from google.protobuf import json_format
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.common.v1 import common_pb2

    if name in _IDS:
        return base64.b64decode(told).hex()
    if name not in _NESTED:
        return _plain(told)
    try:
        return json_format.MessageToDict(getattr(common_pb2, _NESTED[name]).FromString(base64.b64decode(told)))
    except (DecodeError, json_format.Error):
        return told


@functools.cache
def _descriptors(signal: str) -> tuple[list[Any], Any]:
    """The files, and of them the message, that requests of a signal are decoded by."""
    from google.protobuf import descriptor_pb2, descriptor_pool
    from opentelemetry.proto.common.v1 import common_pb2
    from opentelemetry.proto.logs.v1 import logs_pb2
    from opentelemetry.proto.metrics.v1 import metrics_pb2
    from opentelemetry.proto.resource.v1 import resource_pb2
    from opentelemetry.proto.trace.v1 import trace_pb2

    pool = descriptor_pool.DescriptorPool()
    files = []
    for module in (common_pb2, resource_pb2, trace_pb2, logs_pb2, metrics_pb2):
        told = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(told)
        for message in told.message_type:
            _flatten(message)
        pool.Add(told)
        files.append(pool.FindFileByName(told.name))
    return files, pool.FindMessageTypeByName(f"opentelemetry.proto.{_MESSAGES[signal]}")


def _flatten(message: Any) -> None:
    kept = [field for field in message.field if field.name not in _UNUSED]
    for field in kept:
        if field.name in ("array_value", "kvlist_value"):
            field.type = field.TYPE_BYTES
            field.ClearField("type_name")
        first, *rest = field.name.split("_")
        field.name = first + "".join(word.capitalize() for word in rest)
        field.ClearField("json_name")
    del message.field[:]
    message.field.extend(kept)
    for inner in message.nested_type:
        _flatten(inner)
