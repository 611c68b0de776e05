"""What one request has done so far, in memory only."""

from __future__ import annotations

import hashlib
import itertools
import time
import uuid
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from shadowlab_recorder.body import Body

if TYPE_CHECKING:
    from random import Random
    from types import TracebackType

    from opentelemetry.trace import SpanContext

    from shadowlab_recorder.database import Log
    from shadowlab_recorder.messages import Message
    from shadowlab_recorder.room import Room
    from shadowlab_recorder.snapshot import Held, Image

RawHeaders = list[tuple[Any, Any]]
"""Header names and values as they came, bytes or (an answer of WSGI) text, in order."""

OUTBOUND_LIMIT = 200
"""Exchanges kept of one request; a request that makes more is not replayable and says so."""

_current: ContextVar[Tape | None] = ContextVar("shadowlab_recorder_tape", default=None)


class Exchange:
    """One call that the request made to somebody else."""

    status: int | None = None
    error: tuple[str, str] | None = None
    """Type and message of the exception that the caller got."""
    ended = 0.0

    def __init__(
        self, seq: int, client: str, method: str, url: Any, headers: RawHeaders, request_body: Body, body: Body
    ) -> None:
        self.seq = seq
        self.client = client
        self.method = method
        self._url = url
        self.request_headers = headers
        self.headers: RawHeaders = []
        self.request_body = request_body
        self.body = body
        self.started = time.perf_counter()

    @property
    def url(self) -> str:
        """As text; a client's own object is asked for it when the recording is written."""
        return str(self._url)

    def touch(self) -> None:
        """Sets the time that the call has taken until now."""
        self.ended = time.perf_counter()

    @property
    def elapsed_ms(self) -> float:
        return round((self.ended - self.started) * 1000, 3) if self.ended else 0.0


_MADE_WHEN_ASKED: dict[str, Callable[[], Any]] = {
    "id": lambda: uuid.uuid4().hex,
    "response_headers": list,
    "outbound": list,
    "unseen": set,
    "files": dict,
    "draws": list,
    "environment_read": dict,
    "flags": dict,
    "_sequence": itertools.count,
}
"""Attributes of a tape that most requests never ask for."""


class Tape:
    """One request from its first byte to its last.

    Most requests pass and their tapes are thrown away, so that what is cheap to keep is kept as it came; it is worked
    out when the recording is written.
    """

    id: str
    status: int | None = None
    response_headers: RawHeaders
    message: Message | None = None
    """What a consumer was called with."""
    call: dict[str, Any] | None = None
    """`target`, `text` (arguments as JSON) and `lossy` of a function."""
    call_lost = False
    outbound: list[Exchange]
    outbound_lost = False
    unseen: set[str]
    """In words, what it did that the recorder does not keep: a stream, a database behind an unknown driver."""
    log: Log | None = None
    """What it did in a database."""
    files: dict[str, tuple[str, Body]]
    """By real path: the path under its root, and the content."""
    files_lost = False
    draws: list[bytes]
    """What was drawn from the system's randomness."""
    draws_size = 0
    environment_read: dict[str, bool]
    """The names that were asked for, and whether they were set."""
    snapshot: Image | None = None
    snapshot_lost = False
    held: Held | None = None
    """A state that the database's server holds for it."""
    flags: dict[str, Any]
    admitted: bool | None = None
    """Whether the bucket of its fingerprint had a token; None as long as nobody asked."""
    span: Any = None
    """The server's span, once it is known."""
    span_context: SpanContext | None = None
    """Of that span."""
    context: SpanContext | None = None
    """Of the first span that was seen, whatever it is; it knows the trace."""
    inside = False
    """Whether the innermost middleware has looked for the server's span."""
    served = False
    """Whether `span` is a server's span, which is looked for no more."""
    linked = False
    seed: int | None = None
    random: Random | None = None
    closed = False
    _error: dict[str, Any] | None = None
    _raised: tuple[BaseException, TracebackType | None] | None = None
    _sequence: Iterator[int]
    """Draws numbers that stay apart when the request works in several threads."""

    def __init__(
        self,
        kind: str,
        method: str,
        path: str,
        query: str,
        request_headers: RawHeaders,
        request_body: Body,
        response_body: Body,
        control: bool,
        room: Room | None = None,
    ) -> None:
        self.kind = kind
        self.method = method
        self.path = path
        self.query = query
        self.request_headers = request_headers
        self.request_body = request_body
        self.response_body = response_body
        self.control = control
        """Whether the seeded draw chose this request to be kept although it passes."""
        self.room = room
        """What its bodies and rows are taken from."""
        self.time_ns = time.time_ns()
        self.monotonic_ns = time.monotonic_ns()
        self.began = time.perf_counter()

    def __getattr__(self, name: str) -> Any:
        make = _MADE_WHEN_ASKED.get(name)
        if make is None:
            raise AttributeError(name)
        return self.__dict__.setdefault(name, make())

    @property
    def trace_id(self) -> str | None:
        context = self.span_context or self.context
        return None if context is None else f"{context.trace_id:032x}"

    @property
    def span_id(self) -> str | None:
        return None if self.span_context is None else f"{self.span_context.span_id:016x}"

    @property
    def error(self) -> dict[str, Any] | None:
        """Type, message and frames of the exception that it failed with."""
        self.settle()
        return self._error

    @error.setter
    def error(self, error: dict[str, Any] | None) -> None:
        self._error, self._raised = error, None

    def fail(self, error: BaseException) -> None:
        """Remembers the exception as far as it has come up; it is read when the recording is to be written."""
        self._raised = (error, error.__traceback__)

    def settle(self) -> None:
        """Lets go of the exception, whose frames hold what the service had in its hands, and keeps what it tells."""
        if self._raised is not None:
            from shadowlab_recorder.fixture import failure

            raised, self._raised = self._raised, None
            self._error = failure(*raised)

    @property
    def failed(self) -> bool:
        """Whether it ended in an exception or an answer of 500 and above."""
        return self._raised is not None or self._error is not None or (self.status or 0) >= 500

    def failed_where(self) -> tuple[Any, ...]:
        """The exception's type, file and line; empty when there was none."""
        if self._raised is not None:
            error, trace = self._raised
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            return (type(error).__qualname__, trace and trace.tb_frame.f_code.co_filename, trace and trace.tb_lineno)
        if self._error is None:
            return ()
        frames = self._error["frames"][-1:]
        return (self._error["type"], *((each["file"], each["line"]) for each in frames))

    def rand_seed(self) -> int:
        """32 bits from the trace id (from the recording's id when there is no trace), settled when first asked for."""
        if self.seed is None:
            origin = (self.trace_id or self.id).encode()
            self.seed = int.from_bytes(hashlib.sha256(origin).digest()[:4], "big")
        return self.seed

    def exchange(self, client: str, method: str, url: Any, headers: RawHeaders) -> Exchange | None:
        """A new outbound exchange in the order of the calls, or None when there are too many."""
        seq = next(self._sequence)
        if seq >= OUTBOUND_LIMIT:
            self.outbound_lost = True
            return None
        limit, room = self.request_body.limit, self.room
        made = Exchange(seq, client, method, url, headers, Body(limit, room), Body(limit, room))
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
