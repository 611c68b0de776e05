"""What one request has done so far, in memory only."""

from __future__ import annotations

import hashlib
import itertools
import time
import uuid
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

    from shadowlab_recorder.database import Log
    from shadowlab_recorder.messages import Message
    from shadowlab_recorder.room import Room
    from shadowlab_recorder.snapshot import Held, Image

RawHeaders = list[tuple[bytes, bytes]]
"""Header names and values as they came, in order."""

OUTBOUND_LIMIT = 200
"""Exchanges kept of one request; a request that makes more is not replayable and says so."""

_current: ContextVar[Tape | None] = ContextVar("shadowlab_recorder_tape", default=None)


class Body:
    """A body in pieces: the first `limit` bytes, and the digest and size of all of it."""

    __slots__ = ("_digest", "_pieces", "_room", "ended", "form", "kept", "limit", "size")

    def __init__(self, limit: int, room: Room | None = None) -> None:
        self.limit = limit
        self._room = room
        self.size = 0
        self.kept = 0
        self.ended = False
        """Whether the last byte went by."""
        self.form: Any = None
        """The class of the Protocol Buffers message that it is."""
        self._pieces: list[bytes] = []
        self._digest: Any = None

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        wanted = min(len(piece), self.limit - self.kept)
        if self._room is not None and wanted > 0:
            wanted = self._room.take(wanted)
        kept = bytes(piece[: max(wanted, 0)])
        if kept:
            self.kept += len(kept)
            self._pieces.append(kept)
        if len(kept) < len(piece) or self._digest is not None:
            self._cut(piece, len(kept))

    def _cut(self, piece: bytes, kept: int) -> None:
        """From the first byte that is not kept on, the digest goes along."""
        if self._digest is None:
            self._digest = hashlib.sha256(b"".join(self._pieces))
            piece = piece[kept:]
        self._digest.update(piece)

    @property
    def cut(self) -> bool:
        return self.size > self.kept

    def bytes(self) -> bytes:
        return b"".join(self._pieces)

    def sha256(self) -> str:
        """Of the whole body, the part beyond the limit included."""
        digest = hashlib.sha256(self.bytes()) if self._digest is None else self._digest
        return str(digest.hexdigest())


@dataclass(slots=True)
class Exchange:
    """One call that the request made to somebody else."""

    seq: int
    client: str
    method: str
    url: str
    request_headers: RawHeaders
    request_body: Body
    body: Body
    started: float = field(default_factory=time.perf_counter)
    status: int | None = None
    headers: RawHeaders = field(default_factory=list)
    elapsed_ms: float = 0.0
    error: tuple[str, str] | None = None
    """Type and message of the exception that the caller got."""

    def touch(self) -> None:
        """Sets the time that the call has taken until now."""
        self.elapsed_ms = round((time.perf_counter() - self.started) * 1000, 3)


@dataclass(slots=True)
class Tape:
    """One request from its first byte to its last."""

    kind: str
    method: str
    path: str
    query: str
    request_headers: RawHeaders
    request_body: Body
    response_body: Body
    control: bool
    """Whether the seeded draw chose this request to be kept although it passes."""
    room: Room | None = None
    """What its bodies and rows are taken from."""
    admitted: bool | None = None
    """Whether the bucket of its fingerprint had a token; None as long as nobody asked."""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    time_ns: int = field(default_factory=time.time_ns)
    monotonic_ns: int = field(default_factory=time.monotonic_ns)
    status: int | None = None
    response_headers: RawHeaders = field(default_factory=list)
    error: dict[str, Any] | None = None
    message: Message | None = None
    """What a consumer was called with."""
    call: dict[str, Any] | None = None
    """`target`, `text` (arguments as JSON) and `lossy` of a function."""
    call_lost: bool = False
    outbound: list[Exchange] = field(default_factory=list)
    outbound_lost: bool = False
    unseen: set[str] = field(default_factory=set)
    """In words, what it did that the recorder does not keep: a stream, a database behind an unknown driver."""
    log: Log | None = None
    """What it did in a database."""
    files: dict[str, tuple[str, Body]] = field(default_factory=dict)
    """By real path: the path under its root, and the content."""
    files_lost: bool = False
    draws: list[bytes] = field(default_factory=list)
    """What was drawn from the system's randomness."""
    draws_size: int = 0
    environment_read: dict[str, bool] = field(default_factory=dict)
    """The names that were asked for, and whether they were set."""
    snapshot: Image | None = None
    snapshot_lost: bool = False
    held: Held | None = None
    """A state that the database's server holds for it."""
    flags: dict[str, Any] = field(default_factory=dict)
    span: Any = None
    """The server's span, once it is known."""
    trace_id: str | None = None
    span_id: str | None = None
    linked: bool = False
    seed: int | None = None
    random: Random | None = None
    closed: bool = False
    _sequence: Iterator[int] = field(default_factory=itertools.count)
    """Draws numbers that stay apart when the request works in several threads."""

    def rand_seed(self) -> int:
        """32 bits from the trace id (from the recording's id when there is no trace), settled when first asked for."""
        if self.seed is None:
            origin = (self.trace_id or self.id).encode()
            self.seed = int.from_bytes(hashlib.sha256(origin).digest()[:4], "big")
        return self.seed

    def exchange(self, client: str, method: str, url: str, headers: RawHeaders) -> Exchange | None:
        """A new outbound exchange in the order of the calls, or None when there are too many."""
        seq = next(self._sequence)
        if seq >= OUTBOUND_LIMIT:
            self.outbound_lost = True
            return None
        limit = self.request_body.limit
        made = Exchange(seq, client, method, url, headers, Body(limit, self.room), Body(limit, self.room))
        self.outbound.append(made)
        return made

    def database(self, dialect: str, address: str, version: str | None) -> Log | None:
        """The log of the database that the request speaks to; None for a second one, which is only named."""
        if self.log is None:
            from shadowlab_recorder.database import Log

            self.log = Log(dialect, address, version, self.room)
        if self.log.address != address:
            self.log.others.add(dialect)
            return None
        return self.log

    def weight(self) -> int:
        """Bytes that it holds, roughly."""
        bodies = self.request_body.kept + self.response_body.kept
        bodies += sum(each.body.kept + each.request_body.kept for each in self.outbound)
        bodies = self.room.used if self.room is not None else bodies
        return 4096 + bodies + (len(self.snapshot.data) if self.snapshot else 0)


def current() -> Tape | None:
    """The tape of the request that this code runs for, None outside of a request."""
    tape = _current.get()
    return None if tape is None or tape.closed else tape


def enter(tape: Tape) -> Any:
    return _current.set(tape)


def leave(token: Any) -> None:
    _current.reset(token)
