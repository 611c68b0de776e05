"""A recorded request as shadowlab reads it: fixture v1, checked."""

from __future__ import annotations

import base64
import binascii
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec

from shadowlab import errors
from shadowlab.replay import versions
from shadowlab.replay.state import Call, Database, Encoding, File, Headers, Message, Randomness

_TIME = re.compile(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_Id = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]
_Snapshot = Annotated[str, msgspec.Meta(pattern=r"^blobs/[0-9a-f]{64}\.sqlite\.xz\Z")]
_Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}\Z")]

_Value = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*\Z", max_length=131_072)]
"""Of an environment variable: no system takes a NUL, and Linux no more than 128 KiB."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What came in."""

    method: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z]{1,20}\Z")] = "GET"
    path: Annotated[str, msgspec.Meta(max_length=16_384)] = "/"
    query: str = ""
    headers: Headers = ()
    body: Any = None
    body_encoding: Encoding = "none"
    pieces: Annotated[tuple[Annotated[int, msgspec.Meta(ge=1)], ...], msgspec.Meta(max_length=256)] = ()
    """The bytes of each piece in which the body came, where it came in several."""
    unread: bool = False
    """Whether the service left some of the body unread, which then is not known."""

    @property
    def content(self) -> bytes:
        """The body's bytes."""
        return content_of(self.body, self.body_encoding)

    @property
    def announces_more(self) -> bool:
        """Whether its headers tell of more than is known of the body: by its length, or as it comes in chunks."""
        headers = {name.lower(): value for name, value in reversed(self.headers)}
        length = headers.get("content-length", "")
        by_length = re.fullmatch(r"[0-9]{1,15}", length) is not None and int(length) > len(self.content)
        return by_length or "transfer-encoding" in headers


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """How an outbound call failed."""

    type: str
    message: str = ""


class Outbound(msgspec.Struct, frozen=True, kw_only=True):
    """One call that the service made, and what it got."""

    seq: int
    client: str = "httpx"
    method: str
    url: str
    request_headers: Headers = ()
    request_body: Any = None
    request_body_encoding: Encoding = "none"
    request_body_sha256: str | None = None
    status: int | None = None
    headers: Headers = ()
    body: Any = None
    body_encoding: Encoding = "none"
    started_ms: Annotated[float, msgspec.Meta(ge=0, le=86_400_000)] | None = None
    """Since the request began; None when it was not recorded."""
    elapsed_ms: Annotated[float, msgspec.Meta(ge=0, le=86_400_000)] = 0.0
    error: Broken | None = None

    @property
    def content(self) -> bytes:
        """The bytes of what it got."""
        return content_of(self.body, self.body_encoding)

    pattern: Annotated[str, msgspec.Meta(max_length=4096)] | None = None
    """A regular expression that the whole URL must fit, for an answer to many; `url` then is for people."""
    lasting: bool = False
    """Whether it answers any number of calls: a stub, not something that happened once."""


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """Names that were read, and the values that may be known."""

    read: tuple[_Name, ...] = ()
    unset: tuple[_Name, ...] = ()
    """Those of them that had no value."""
    values: dict[_Name, _Value] = {}


class Versions(msgspec.Struct, frozen=True, kw_only=True):
    """What the service ran on."""

    python: str = ""
    platform: str = ""
    packages: dict[str, str] = {}
    implementation: str | None = None
    lock: str | None = None
    """SHA-256 of the lock file."""
    locale: str | None = None
    time_zone: str | None = None
    encoding: str | None = None


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """What went out."""

    status: Annotated[int, msgspec.Meta(ge=100, le=999)]
    headers: Headers = ()
    body: Any = None
    body_encoding: Encoding = "none"

    @property
    def content(self) -> bytes:
        """The body's bytes."""
        return content_of(self.body, self.body_encoding)


class RecordedFrame(msgspec.Struct, frozen=True, kw_only=True):
    """A frame as production's runtime named it."""

    file: str
    function: str
    line: int | None = None


class RecordedError(msgspec.Struct, frozen=True, kw_only=True):
    """The exception that reached the edge of the service."""

    type: str
    message: str = ""
    frames: tuple[RecordedFrame, ...] = ()


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """The order in which tasks and threads run: see `shadowlab.replay.inside.schedule`."""

    seed: int = 0
    depth: int = 3
    """0: first come, first served."""
    steps: int = 100
    threads: bool = False
    """Whether threads take turns as well; else only a loop's tasks do."""


class Fixture(msgspec.Struct, frozen=True, kw_only=True):
    """What one request needs to live again; `shadowlab/replay/recording.schema.json` describes the document."""

    schema: str
    id: _Id
    service: str = ""
    kind: Literal["asgi", "wsgi", "function"] = "asgi"
    service_version: str | None = None
    commit: str | None = None
    trace_id: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")] | None = None
    span_id: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}\Z")] | None = None
    request: Request
    time: str
    monotonic_ns: int | None = None
    rand_seed: int = 0
    db_snapshot: _Snapshot | None = None
    snapshot_at: str | None = None
    """Where the database's snapshot lay when it could not be taken in: a path or an address without its query."""
    db_environment: _Name | None = None
    outbound: tuple[Outbound, ...] = ()
    environment: Environment = Environment()
    flags: dict[str, Any] = {}
    versions: Versions = Versions()
    response: Response | None = None
    error: RecordedError | None = None
    control: bool = False
    truncated: tuple[str, ...] = ()
    redaction: dict[str, int] = {}
    call: Call | None = None
    message: Message | None = None
    database: Database | None = None
    files: tuple[File, ...] = ()
    randomness: Randomness | None = None
    schedule: Schedule | None = None
    """The order of tasks in which it fails, when one had to be found."""
    made_from: _Id | None = None
    """The recording that this one is a variant of: made small, or with an order that was found."""

    @property
    def time_ns(self) -> int:
        """When the request came, in nanoseconds since 1970."""
        return time_ns(self.time)

    @property
    def at(self) -> datetime:
        """When the request came, to the microsecond."""
        return _EPOCH + timedelta(microseconds=self.time_ns // 1000)

    @property
    def event(self) -> Any:
        """The request's body as a JSON value, None when it is none."""
        try:
            return json.loads(self.request.content)
        except (ValueError, RecursionError):
            return None

    @property
    def payload(self) -> bytes:
        """The bytes of the message, none without one."""
        return content_of(self.message.body, self.message.body_encoding) if self.message else b""

    @property
    def failed(self) -> bool:
        """Whether an exception reached the edge, or the answer was a 5xx."""
        return self.error is not None or (self.response is not None and self.response.status >= 500)

    @property
    def summary(self) -> str:
        """`POST /charges -> 500 TypeError`: never a body, never a query."""
        status = str(self.response.status) if self.response else "no response"
        return f"{self.request.method} {self.request.path} -> {status}" + (f" {self.error.type}" if self.error else "")

    @property
    def untouched(self) -> bool:
        """Whether the request asked nothing of its database: a replay refuses every statement, and says so.

        The recorder says so, or kept no more than a ping; of a function with a database it may have kept no word.
        """
        if self.db_snapshot or self.snapshot_at:
            return False
        if self.database is None:
            return self.kind == "function" and self.db_environment is not None
        return self.database.bare and (self.database.untouched or bool(self.database.reads))

    @property
    def unread(self) -> bool:
        """Whether some of the body is not known, and was not asked for: a replay refuses it, and says so."""
        served = self.kind != "function" and self.request.method != "GRPC"
        return self.request.unread and served and self.request.announces_more

    @property
    def missing(self) -> tuple[str, ...]:
        """Inputs that were not recorded, so that it cannot be replayed alone."""
        cut = tuple(
            f"{name}, which the recorder does not keep" if " (" in name else f"{name} was cut when it was recorded"
            for name in self.truncated
            if name != "request.body" or not self.unread
        )
        if self.snapshot_at and not self.db_snapshot:
            return (*cut, f"the database snapshot {self.snapshot_at}, which was not beside the recording")
        known = self.db_snapshot or (self.database and (self.database.schema or self.database.rows))
        if self.db_environment and not known and not self.untouched:
            return (*cut, f"the database behind {self.db_environment} as the request found it")
        return cut


def content_of(body: Any, encoding: str) -> bytes:
    """The bytes that a recorded `body` stands for."""
    match encoding:
        case "json":
            return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
        case "utf-8":
            return str(body).encode("utf-8", "surrogatepass")
        case "base64":
            return base64.b64decode(str(body), validate=True)
        case _:
            return b""


def time_ns(text: str) -> int:
    """Nanoseconds since 1970 of an RFC 3339 time; raises `RecordingError`."""
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise errors.RecordingError(
            f"{text[:40]!r} is no RFC 3339 time", hint="write it as 2026-05-04T10:00:00.123456Z"
        )
    try:
        whole = datetime.fromisoformat(found[1].upper() + ("+00:00" if found[3] in "Zz" else found[3]))
    except ValueError as exc:
        raise errors.RecordingError(f"{text[:40]!r} is no RFC 3339 time: {exc}") from exc
    return int((whole - _EPOCH).total_seconds()) * 10**9 + int((found[2] or "").ljust(9, "0"))


def parse(document: Any, *, where: str) -> Fixture:
    """The fixture that a JSON document holds; one of an older version is made one of today.

    Raises `RecordingError` when it is none, when it is of a newer format, or when a part of it is wrong.
    """
    if not isinstance(document, dict) or not isinstance(document.get("request"), dict):
        raise errors.RecordingError(
            f"{where}: no recording: it holds no `request`",
            hint="recordings are written by shadowlab-recorder; docs/recordings.md says what one holds",
        )
    try:
        fixture = msgspec.convert(versions.migrated(document, where=where), Fixture)
        _ = (fixture.time_ns, fixture.request.content, fixture.response and fixture.response.content)
        fixture.summary.encode()  # half a surrogate pair has no place in a record
        for call in fixture.outbound:
            content_of(call.request_body, call.request_body_encoding)
            content_of(call.body, call.body_encoding)
        for file in fixture.files:
            content_of(file.body, file.body_encoding)
        if fixture.message:
            content_of(fixture.message.body, fixture.message.body_encoding)
    except (msgspec.ValidationError, binascii.Error, ValueError, TypeError, RecursionError) as exc:
        raise errors.RecordingError(
            f"{where}: {str(exc)[:200]}", hint="docs/recordings.md says what a recording holds"
        ) from exc
    if fixture.request.pieces and sum(fixture.request.pieces) != len(fixture.request.content):
        raise errors.RecordingError(
            f"{where}: the lengths in `request.pieces` do not add up to the body's",
            hint="leave `pieces` out: the body then comes in one piece",
        )
    if fixture.database and fixture.database.untouched and not fixture.database.bare:
        raise errors.RecordingError(
            f"{where}: `database` says that nothing was asked of it, and tells what was",
            hint="leave `untouched` out where there are statements, tables or rows",
        )
    return fixture
