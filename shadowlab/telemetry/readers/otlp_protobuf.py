"""Read OTLP/protobuf: decoded in columns by ptars, then through the statements that read OTLP/JSON.

The descriptors are OpenTelemetry's own with two changes that the wire does not see: names in camelCase, and arrays and
key-value lists left as bytes, because columns cannot be recursive.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shadowlab.telemetry.inputs import Unpacked
from shadowlab.telemetry.readers import wire
from shadowlab.telemetry.readers.base import LONGEST, Faults, Portion
from shadowlab.telemetry.readers.json_lines import last_row, odd_rows, staging

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BLOCK: Final = 8 << 20
_PORTION: Final = 112 << 20
_SLICES: Final = 32
_MESSAGES: Final = {"span": "trace.v1.TracesData", "log": "logs.v1.LogsData", "metric": "metrics.v1.MetricsData"}
_STATEMENTS: Final = {
    "span": ("json_spans", "stage_spans"),
    "log": ("json_logs", "stage_logs"),
    "metric": ("json_metrics", "stage_metric_points"),
}
_NAMELESS: Final = {"span": "without ids", "log": "without ids", "metric": "without a name"}
_CARRIED: Final = """INSERT INTO stage_resources SELECT raw, any_value(resource) FROM {table}
    WHERE rowid > {before} AND resource IS NOT NULL GROUP BY raw"""
_RESOURCES: Final = {
    "span": _CARRIED,
    "log": _CARRIED,
    "metric": """INSERT INTO stage_resources SELECT hash(r), coalesce(pb_pairs(any_value(r.attributes)), [])
        FROM (SELECT unnest(resourceMetrics).resource AS r FROM requests_in_arrow) GROUP BY hash(r)""",
}
_UNUSED: Final = ("entity_refs", "key_strindex", "string_value_strindex", "schema_url")


class OtlpProtobuf:
    """OTLP/protobuf, one request or a stream of them."""

    name = "otlp-protobuf"

    def recognises(self, head: bytes) -> bool:
        """A request's first bytes, behind a length or not."""
        return wire.framing(head) is not None

    def portions(self, stream: Unpacked, spool: Path, faults: Faults) -> Iterator[Portion]:
        """Requests of one signal, some at a time."""
        waiting: dict[str, list[tuple[int, bytes]]] = {name: [] for name in _MESSAGES}
        size, signal = 0, "span"
        for number, message in enumerate(_messages(stream, faults), 1):
            signal = wire.signal(message) or signal
            waiting[signal].append((number, message))
            size += len(message)
            if size > _PORTION:
                yield from _portions(waiting, faults)
                size = 0
        yield from _portions(waiting, faults)


def _portions(waiting: dict[str, list[tuple[int, bytes]]], faults: Faults) -> Iterator[Portion]:
    for signal, messages in waiting.items():
        if messages:
            yield Columns(signal, list(messages), faults)
            messages.clear()


def _messages(stream: Unpacked, faults: Faults) -> Iterator[bytes]:
    match wire.framing(stream.peek(1 << 16)):
        case "request":
            told = bytearray()
            while (block := _next(stream, _BLOCK, faults)) and len(told) <= LONGEST:
                told += block
            if len(told) > LONGEST:
                faults.add("request 1", f"larger than {LONGEST >> 20} MiB")
            else:
                yield bytes(told)
        case framing:
            yield from _framed(stream, faults, fixed=framing == "fixed")


def _framed(stream: Unpacked, faults: Faults, *, fixed: bool) -> Iterator[bytes]:
    told, at, number = b"", 0, 0
    while True:
        number += 1
        size, start = _length(told, at, fixed)
        while size is None or start + size > len(told):
            if size is not None and size > LONGEST:
                faults.add(f"request {number}", f"says that it is {size:,} bytes long; what follows cannot be read")
                return
            block = _next(stream, _BLOCK, faults)
            if not block:
                if len(told) > at:
                    faults.add(f"request {number}", "the file ends within it")
                return
            told, at = told[at:] + block, 0
            size, start = _length(told, at, fixed)
        yield told[start : start + size]
        at = start + size


def _length(told: bytes, at: int, fixed: bool) -> tuple[int | None, int]:
    if fixed:
        return (int.from_bytes(told[at : at + 4], "big"), at + 4) if len(told) >= at + 4 else (None, at)
    try:
        return wire.varint(told, at, len(told))
    except ValueError:
        return (LONGEST + 1, at) if len(told) - at >= 10 else (None, at)


def _next(stream: Unpacked, size: int, faults: Faults) -> bytes:
    try:
        return stream.read(size)
    except OSError as exc:
        faults.add("end of file", f"the rest cannot be unpacked: {exc}")
        return b""


@dataclass(frozen=True, slots=True)
class Columns:
    """Requests of one signal, decoded into Arrow."""

    signal: str
    messages: list[tuple[int, bytes]]
    faults: Faults

    @property
    def position(self) -> str:
        """As `Portion.position`."""
        return f"from request {self.messages[0][0]}"

    def stage(self, con: DuckDBPyConnection) -> int:
        """As `Portion.stage`; requests that cannot be decoded go to `faults`."""
        import pyarrow

        batch = self._decoded()
        if batch is None:
            return 0
        step = -(-batch.num_rows // _SLICES)
        slices = [batch.slice(at, step) for at in range(0, batch.num_rows, step)]
        con.register("requests_in_arrow", pyarrow.Table.from_batches(slices))
        con.execute("BEGIN")
        try:
            _stage(con, self.signal, self.faults, self.position)
            con.execute("COMMIT")
        except BaseException:
            con.execute("ROLLBACK")
            raise
        finally:
            con.unregister("requests_in_arrow")
        return int(batch.num_rows)

    def _decoded(self) -> Any:
        handler = _handler(self.signal)
        try:
            return handler.list_to_record_batch([message for _, message in self.messages])
        except ValueError:
            kept = []
        for number, message in self.messages:
            try:
                handler.list_to_record_batch([message])
            except ValueError as exc:
                self.faults.add(f"request {number}", str(exc))
            else:
                kept.append(message)
        return handler.list_to_record_batch(kept) if kept else None


def _stage(con: DuckDBPyConnection, signal: str, faults: Faults, position: str) -> None:
    statement, table = _STATEMENTS[signal]
    before = last_row(con, table)
    script = staging(statement, "requests_in_arrow", only="WHERE p IS NOT NULL")
    con.execute(re.sub(r"\bjson_(?=\w+\()", "pb_", script))
    if odd := odd_rows(con, table, before):
        faults.add(position, f"{odd} records {_NAMELESS[signal]} or with times beyond 2^63")
        con.execute(f"DELETE FROM {table} WHERE odd AND rowid > {before}")
    con.execute(_RESOURCES[signal].format(table=table, before=before))


@functools.cache
def _handler(signal: str) -> Any:
    import ptars
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
    descriptor = pool.FindMessageTypeByName(f"opentelemetry.proto.{_MESSAGES[signal]}")
    return ptars.HandlerPool(files).get_for_message(descriptor)


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
