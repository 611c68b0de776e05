"""What one request has done so far, in memory only."""

from __future__ import annotations

import hashlib
import time
import uuid
from contextvars import Context, ContextVar, copy_context
from time import monotonic_ns, time_ns
from typing import TYPE_CHECKING, Any

from shadowlab_recorder import spans
from shadowlab_recorder.body import Body
from shadowlab_recorder.database import Log
from shadowlab_recorder.later import later
from shadowlab_recorder.raised import failure
from shadowlab_recorder.room import Room

if TYPE_CHECKING:
    from random import Random
    from types import TracebackType

    from opentelemetry.trace import SpanContext

    from shadowlab_recorder.messages import Message
    from shadowlab_recorder.room import Limits
    from shadowlab_recorder.snapshot import Held, Image

RawHeaders = list[tuple[Any, Any]]
"""Header names and values as they came, bytes or (an answer of WSGI) text, in order."""

OUTBOUND_LIMIT = 200
"""Exchanges kept of one request; a request that makes more is not replayable and says so."""

running: ContextVar[Tape | None] = ContextVar("shadowlab_recorder_tape", default=None)
"""The tape of the request that this code runs for; it may be closed."""
recall, enter, leave = running.get, running.set, running.reset
"""Give it, set it and put back what was there before: names that are bound once need not be looked up again."""


class Exchange:
    """One call that the request made to somebody else."""

    error: tuple[str, str] | None = None
    """Type and message of the exception that the caller got."""

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
        self.status: int | None = None
        self.started, self.ended = time.monotonic(), 0.0

    @property
    def url(self) -> str:
        """As text; a client's own object is asked for it when the recording is written."""
        return str(self._url)

    def touch(self) -> None:
        """Sets the time that the call has taken until now."""
        self.ended = time.monotonic()

    @property
    def elapsed_ms(self) -> float:
        return round((self.ended - self.started) * 1000, 3) if self.ended else 0.0


class Tape:
    """One request from its first byte to its last.

    Most requests pass and their tapes are thrown away, so that what is cheap to keep is kept as it came; it is worked
    out when the recording is written.
    """

    id: str = later(lambda _: uuid.uuid4().hex)
    request_body: Body = later(lambda tape: tape._whole(tape.asked))
    response_body: Body = later(lambda tape: tape._whole(tape.answered))
    body_lost = False
    """Whether its client was seen to go, or something may have read the request's body unheard."""
    message: Message | None = None
    """What a consumer was called with."""
    call: dict[str, Any] | None = None
    """`target`, `text` (arguments as JSON) and `lossy` of a function."""
    call_lost = False
    outbound_lost = False
    unseen: set[str] = later(lambda _: set())
    """In words, what it did that the recorder does not keep: a stream, a database behind an unknown driver."""
    files: dict[str, tuple[str, Body]] = later(lambda _: {})
    """By real path: the path under its root, and the content."""
    files_lost = False
    draws: list[bytes] = later(lambda _: [])
    """What was drawn from the system's randomness."""
    draws_size = 0
    snapshot: Image | None = None
    snapshot_lost = False
    flags: dict[str, Any] = later(lambda _: {})
    admitted: bool | None = None
    """Whether the bucket of its fingerprint had a token; None as long as nobody asked."""
    span_context: SpanContext | None = None
    """Of that span."""
    context: SpanContext | None = None
    """Of the first span that was seen, whatever it is; it knows the trace."""
    served = False
    """Whether `span` is a server's span, which is looked for no more."""
    linked = False
    seed: int | None = None
    random: Random | None = None

    def __init__(
        self, kind: str, method: str, path: str, query: str, request_headers: RawHeaders, limits: Limits
    ) -> None:
        self.kind = kind
        self.method = method
        self.path = path
        self.query = query
        self.request_headers = request_headers
        self._begin(limits)

    def _begin(self, limits: Limits) -> None:
        """What every request looks at stands in the tape itself: a default of the class takes longer to find."""
        self.limits = limits
        self.closed = False
        self.control = False
        """Whether the seeded draw chose this request to be kept although it passes."""
        self.watched = False
        """Whether it may be written although nothing fails."""
        self.status: int | None = None
        self.asked: bytes | None = None
        """The request's body, where it came in one small piece; `request_body` is made of it when somebody asks."""
        self.response_headers: RawHeaders = []
        self.answered: bytes | None = None
        """The response's, in the same way."""
        self.log: Log | None = None
        """What it did in a database."""
        self.held: Held | None = None
        """A state that the database's server holds for it."""
        self.span: Any = None
        """The server's span, once it is known."""
        self.inner: Context | None = None
        """Where the service's own code began, or the recorder's first ear inside of the application was: a span may
        be open there; it is looked for when the recording is to be written."""
        self.inside = False
        """Whether `inner` is the innermost middleware's."""
        self._room: Room | None = None
        self._error: dict[str, Any] | None = None
        self._raised: tuple[BaseException, TracebackType | None] | None = None
        self.outbound: list[Exchange] = []
        self.environment_read: dict[str, bool] = {}
        """The names that were asked for, and whether they were set."""
        self.outer: Context | None = copy_context()
        """Where the request entered."""
        self.time_ns = time_ns()
        self.monotonic_ns = monotonic_ns()

    @property
    def room(self) -> Room:
        """What its bodies and rows are taken from."""
        if self._room is None:
            with self.limits.lock:
                self._room = self._room or Room(self.limits.request, self.limits.house, self.limits.small)
        return self._room

    def _whole(self, content: bytes | None) -> Body:
        """A body that came in one piece, or has not come yet."""
        made = Body(self.limits.body, self.room)
        if content is not None:
            made.add(content)
            made.ended = True
        return made

    @property
    def began(self) -> float:
        """In seconds, by the clock of its calls and statements."""
        return self.monotonic_ns / 1e9

    @property
    def trace_id(self) -> str | None:
        spans.look_back(self)
        context = self.span_context or self.context
        return None if context is None else f"{context.trace_id:032x}"

    @property
    def span_id(self) -> str | None:
        """Ask for `trace_id` before."""
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
        seq, limit, room = self.turn(), self.limits.body, self.room
        if seq is None:
            return None
        made = Exchange(seq, client, method, url, headers, Body(limit, room), Body(limit, room))
        self.outbound.append(made)
        return made

    def turn(self) -> int | None:
        """The number of the next exchange, None when there are too many; threads that meet here get the same one."""
        seq = len(self.outbound)
        if seq < OUTBOUND_LIMIT:
            return seq
        self.outbound_lost = True
        return None

    def numbered(self) -> list[Exchange]:
        """Its exchanges in the order in which they began, and no number twice."""
        for seq, each in enumerate(self.outbound):
            each.seq = seq
        return self.outbound

    def database(self, dialect: str, address: str, version: str | None) -> Log | None:
        """The log of the database that the request speaks to; None for a second one, which is only named."""
        if self.log is None:
            self.log = Log(dialect, address, version, self.room)
        if self.log.address != address:
            self.log.others.add(dialect)
            return None
        return self.log

    def weight(self) -> int:
        """Bytes that it holds, roughly."""
        held = self.request_body.kept + self.response_body.kept
        return 4096 + max(held, self.room.used) + (len(self.snapshot.data) if self.snapshot else 0)

    def passed(self) -> bool:
        """Closes it, if it ended well and nobody need look at it any more; False if somebody must."""
        status = self.status
        if self.watched or status is None or status >= 500 or self._raised is not None:
            return False
        if self._error is not None or self.held is not None:
            return False
        self.close()
        return True

    def close(self) -> None:
        """Nothing is noted from now on; what it held is given back, and what would hold it is let go of."""
        self.closed = True
        self.outer = self.inner = None
        if self._raised is not None:
            self._raised = None  # the exception would hold the service's frames, and they this tape
        if self.span is not None:
            self.span = None
        if self._room is not None:
            self._room.leave()


def current() -> Tape | None:
    """The tape of the request that this code runs for, None outside of a request."""
    tape = recall()
    return None if tape is None or tape.closed else tape
