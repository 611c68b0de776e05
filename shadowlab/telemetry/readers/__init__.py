"""One file a format: each puts what it reads into the staging tables of `sql/stage.sql`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shadowlab import errors
from shadowlab.telemetry.connection import statements
from shadowlab.telemetry.readers import keys, plain, resources
from shadowlab.telemetry.readers.base import Faults, Portion, Reader
from shadowlab.telemetry.readers.crash import Crash
from shadowlab.telemetry.readers.jaeger import Jaeger
from shadowlab.telemetry.readers.otlp_json import OtlpJson
from shadowlab.telemetry.readers.otlp_protobuf import OtlpProtobuf
from shadowlab.telemetry.readers.zipkin import Zipkin

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["READERS", "Faults", "Portion", "Reader", "prepare", "reader_for", "remember"]

READERS: Sequence[Reader] = (OtlpJson(), Jaeger(), Zipkin(), OtlpProtobuf(), Crash())
"""In the order in which they are asked."""
_PACKED = (
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"\xfd7zXZ\0", "packed with xz"),
    (0, b"BZh", "packed with bzip2"),
    (257, b"ustar", "a tar archive"),
)
"""Where a kind of file has which bytes."""


def prepare(con: DuckDBPyConnection) -> None:
    """Teach a connection and its cursors what the readers' statements use; each that stages has to `remember` too."""
    plain.prepare(con)
    resources.prepare(con)
    keys.prepare(con)
    con.execute(statements("otlp_json"))
    con.execute(statements("otlp_protobuf"))


def remember(con: DuckDBPyConnection) -> None:
    """Let a connection that stages remember what comes again and again."""
    resources.remember(con)
    keys.remember(con)


def reader_for(head: bytes) -> Reader:
    """The reader that recognises how a file starts; raises `TelemetryError` when none does."""
    for reader in READERS:
        if reader.recognises(head):
            return reader
    raise errors.TelemetryError("is no telemetry that shadowlab reads: " + _looks_like(head))


def _looks_like(head: bytes) -> str:
    for offset, magic, kind in _PACKED:
        if head.startswith(magic, offset):
            return f"it is {kind}, so unpack it first"
    text = head.lstrip()[:200].lower()
    if not text:
        return "it holds nothing"
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<")):
        return "it looks like HTML or XML"
    if text[:1] in (b"{", b"["):
        return "it is JSON, but has no spans, logs or metrics near its start"
    if b"\0" in head or any(byte > 127 for byte in head[:64]):
        return "it looks like binary of another kind"
    return "it looks like plain text"
