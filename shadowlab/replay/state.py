"""What a request found and touched beside HTTP: rows, statements, files, drawn bytes, the call and the message."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from shadowlab.replay.inside.statements import harmless

Encoding = Literal["json", "utf-8", "base64", "none"]
Headers = tuple[tuple[str, str], ...]
Row = dict[str, Any]
"""Column to value. PostgreSQL's values are the text that it prints, or null; SQLite's are null, numbers and text, with
`{"base64"}`, `{"integer"}` and `{"real"}` for what JSON cannot hold. A column that is absent is not known."""


class Complaint(msgspec.Struct, frozen=True, kw_only=True):
    """The error that a statement got."""

    type: str = ""
    message: str = ""
    code: str | None = None
    """SQLSTATE."""


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column of a touched table."""

    name: str
    type: str = ""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table that the request touched."""

    columns: tuple[Column, ...] = ()
    key: tuple[str, ...] = ()


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """A statement that read, with the rows that it got."""

    seq: int
    statement: str
    parameters: Any = None
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    row_count: int | None = None
    elapsed_ms: float = 0.0
    error: Complaint | None = None


class Write(msgspec.Struct, frozen=True, kw_only=True):
    """A statement that wrote, with its rows as they were before."""

    seq: int
    statement: str
    parameters: Any = None
    table: str | None = None
    before: tuple[Row, ...] | None = None
    """None: not known."""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    """What RETURNING gave."""
    row_count: int | None = None
    elapsed_ms: float = 0.0
    error: Complaint | None = None


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """`begin`, `commit` or `rollback`, among the statements."""

    seq: int
    what: str


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """What the recorder knows of the database: enough to build the touched part of it again."""

    dialect: str
    version: str | None = None
    schema: tuple[str, ...] = ()
    """Statements that make the touched tables, in their order."""
    foreign_keys: tuple[str, ...] = ()
    tables: dict[str, Table] = {}
    sequences: dict[str, Any] = {}
    """The last number that each gave before the request."""
    rows: dict[str, tuple[Row, ...]] = {}
    """The touched rows by table, as they were before the request."""
    complete: tuple[str, ...] = ()
    """Tables of which `rows` holds every row."""
    reads: tuple[Read, ...] = ()
    writes: tuple[Write, ...] = ()
    transactions: tuple[Transaction, ...] = ()
    incomplete: tuple[str, ...] = ()
    """In words, what of the state is not known."""
    untouched: bool = False
    """Whether the recorder listened to it and heard nothing."""

    @property
    def bare(self) -> bool:
        """Whether no statement is in it that asked for anything, and nothing of what the database holds."""
        held = (self.schema, self.foreign_keys, self.tables, self.sequences, self.rows, self.writes, self.incomplete)
        return not any(held) and all(harmless(each.statement) and each.error is None for each in self.reads)


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file under a declared root that the request read."""

    path: str
    sha256: str = ""
    size: int = 0
    body: Any = None
    body_encoding: Encoding = "none"


class Randomness(msgspec.Struct, frozen=True, kw_only=True):
    """The bytes that the request drew, in their order."""

    urandom: str = ""
    """Base64."""
    draws: tuple[int, ...] = ()
    cut: bool = False


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What a function was called with."""

    target: str
    """`module:qualified.name`, or `/package.Service/Method`."""
    system: str | None = None
    arguments: tuple[Any, ...] = ()
    keywords: dict[str, Any] = {}
    lossy: tuple[str, ...] = ()
    """Places whose value JSON could not hold."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """The message that a consumer was called with."""

    system: str
    shape: str = "object"
    argument: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    topic: str | None = None
    partition: int | None = None
    offset: int | str | None = None
    key: str | None = None
    timestamp_ms: int | None = None
    headers: Headers = ()
    idempotency_key: str | None = None
    redelivered: bool | None = None
    exchange: str | None = None
    methods: bool = False
    text: bool = False
    body: Any = None
    body_encoding: Encoding = "none"
