"""Read OTLP/protobuf: decoded in columns by ptars, then through the statements that read OTLP/JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shadowlab.telemetry.connection import is_the_machines
from shadowlab.telemetry.inputs import Unpacked
from shadowlab.telemetry.readers import keys, resources, wire
from shadowlab.telemetry.readers.base import LONGEST, Faults, Portion
from shadowlab.telemetry.readers.json_lines import JsonLines, last_row, odd_rows, staging
from shadowlab.telemetry.readers.messages import as_json, handler

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from pyarrow import RecordBatch

_BLOCK: Final = 1 << 20
"""Bytes read at once, or as many as the request at hand still needs."""
_PORTION: Final = 40 << 20
_FIRST: Final = 16 << 20
"""Bytes of the first portion: nothing else is done while it is decoded."""
_SLICES: Final = 32
"""Parts that a portion is decoded in: ptars holds the interpreter meanwhile, and lets others have it between them."""
_SPELLED_OUT: Final = 4 << 20
"""Bytes of the largest request that is read as JSON, which takes a hundred times as much memory."""
_STATEMENTS: Final = {
    "span": ("json_spans", "stage_spans"),
    "log": ("json_logs", "stage_logs"),
    "metric": ("json_metrics", "stage_metric_points"),
}
_RESOURCES_OF_METRICS: Final = """INSERT INTO stage_resources
    WITH listed AS (SELECT b.resource AS r, b.schemaUrl AS url, unnest(b.scopeMetrics) AS s
                    FROM (SELECT unnest(resourceMetrics) AS b FROM requests_in_arrow)),
         one_of_each AS (SELECT DISTINCT ON (raw) scoped(hash(r, url), s.scope, s.schemaUrl) AS raw, r, url,
                                s.scope AS scope, s.schemaUrl AS scope_url FROM listed)
    SELECT raw, list_concat(of_resource(pb_pairs(r.attributes), r, url),
                            of_scope(pb_pairs(scope.attributes), scope, scope_url)) FROM one_of_each"""


class OtlpProtobuf:
    """OTLP/protobuf, one request or a stream of them."""

    name = "otlp-protobuf"

    def recognises(self, head: bytes) -> bool:
        """A request's first bytes, behind a length or not."""
        return wire.framing(head) is not None

    def portions(self, stream: Unpacked, spool: Path, faults: Faults) -> Iterator[Portion]:
        """Requests of one signal, some at a time."""
        waiting: dict[str, list[tuple[int, bytes]]] = {name: [] for name in _STATEMENTS}
        size, most, signal = 0, _FIRST, "span"
        for number, message in enumerate(_messages(stream, faults), 1):
            signal = wire.signal(message) or signal
            waiting[signal].append((number, message))
            size += len(message)
            if size > most:
                yield from _portions(waiting, spool, faults)
                size, most = 0, _PORTION
        yield from _portions(waiting, spool, faults)


def _portions(waiting: dict[str, list[tuple[int, bytes]]], spool: Path, faults: Faults) -> Iterator[Portion]:
    for signal, messages in waiting.items():
        if messages:
            yield Columns(signal, list(messages), spool, faults, _decoded(signal, messages))
            messages.clear()


def _decoded(signal: str, messages: Sequence[tuple[int, bytes]]) -> Sequence[RecordBatch]:
    """The requests in columns; nothing when one of them is broken, which `Columns.stage` then looks for."""
    try:
        return _in_columns(signal, messages)
    except ValueError:
        return ()


def _in_columns(signal: str, messages: Sequence[tuple[int, bytes]]) -> Sequence[RecordBatch]:
    step = -(-len(messages) // _SLICES)
    parts = (messages[at : at + step] for at in range(0, len(messages), step))
    return [handler(signal).list_to_record_batch([message for _, message in part]) for part in parts]


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
            block = _next(stream, max(_BLOCK, start + (size or 0) - len(told)), faults)
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


class _Odd(Exception):
    """Something that columns cannot tell apart is among the requests."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Requests of one signal, decoded into Arrow."""

    signal: str
    messages: list[tuple[int, bytes]]
    spool: Path
    faults: Faults
    batches: Sequence[RecordBatch] = ()
    """The requests in columns, when they are decoded already."""

    @property
    def position(self) -> str:
        """As `Portion.position`."""
        return f"from request {self.messages[0][0]}"

    def stage(self, con: DuckDBPyConnection) -> int:
        """As `Portion.stage`; what is odd is looked for in ever fewer requests, and then in one, record by record."""
        import duckdb

        try:
            return self._staged(con)
        except (_Odd, ValueError, duckdb.Error) as exc:
            if is_the_machines(exc):
                raise
        middle = len(self.messages) // 2
        if not middle:
            small = len(self.messages[0][1]) <= _SPELLED_OUT
            return self._one_by_one(con) if small else self._without_odd(con)
        parts = self.messages[:middle], self.messages[middle:]
        return sum(Columns(self.signal, part, self.spool, self.faults).stage(con) for part in parts)

    def _staged(self, con: DuckDBPyConnection, *, odd: bool = True) -> int:
        """Stage all of the requests; of what is odd raise `_Odd`, or leave it out and say how much it is."""
        import pyarrow

        batches = self.batches or _in_columns(self.signal, self.messages)
        con.register("requests_in_arrow", pyarrow.Table.from_batches(batches))
        con.execute("BEGIN")
        try:
            left_out = _stage(con, self.signal, odd)
            con.execute("COMMIT")
        except BaseException:
            con.execute("ROLLBACK")
            raise
        finally:
            con.unregister("requests_in_arrow")
        if left_out:
            self.faults.add(self.position, f"{left_out} records without ids or a name, or with numbers beyond 2^63")
        return len(self.messages)

    def _without_odd(self, con: DuckDBPyConnection) -> int:
        import duckdb

        try:
            return self._staged(con, odd=False)
        except (ValueError, duckdb.Error) as exc:
            if is_the_machines(exc):
                raise
            self.faults.add(f"request {self.messages[0][0]}", f"cannot be loaded: {str(exc).splitlines()[0]}")
            return 0

    def _one_by_one(self, con: DuckDBPyConnection) -> int:
        """The only request, by way of JSON, where each record is looked at and what is wrong with it is named."""
        number, message = self.messages[0]
        try:
            document = as_json(self.signal, message)
        except ValueError as exc:
            self.faults.add(f"request {number}", f"cannot be decoded: {exc}")
            return 0
        path = self.spool / f"odd-{number}.jsonl"
        path.write_text(json.dumps(document) + "\n")
        try:
            return JsonLines(path, self.faults, self.spool, first_line=number, word="request").stage(con)
        finally:
            path.unlink()


def _stage(con: DuckDBPyConnection, signal: str, odd: bool) -> int:
    statement, table = _STATEMENTS[signal]
    before = last_row(con, table)
    resources.remind(con)
    keys.remind(con)
    script = staging(statement, "requests_in_arrow", only="WHERE p IS NOT NULL")
    con.execute(re.sub(r"\bjson_(?=\w+\()", "pb_", script))
    found = odd_rows(con, table, before)
    if found and odd:
        raise _Odd
    con.execute(f"DELETE FROM {table} WHERE odd AND rowid > {before}")
    if signal == "metric":
        con.execute(_RESOURCES_OF_METRICS)
    else:
        resources.keep(con, table, before)
    keys.keep(con, table, before)
    return found
