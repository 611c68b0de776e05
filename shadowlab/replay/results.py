"""What one run of one recording came to, and the digests by which runs are compared."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shadowlab import errors
from shadowlab.privacy import masked
from shadowlab.records import Effect, Failure, Frame, digest_of
from shadowlab.replay.inside.urls import split
from shadowlab.replay.runners import outcomes

_MOST_LOGS, _LONGEST_LOG = 1000, 300


@dataclass(frozen=True, kw_only=True, slots=True)
class Again:
    """A second delivery of the same message, to the world that the first one left."""

    error: Failure | None
    outbound: tuple[str, ...]
    database: Mapping[str, tuple[int, int]] | None
    """Rows added and removed by table since the first delivery; None when it could not be told."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunResult:
    """One recording run once, in the canonical environment or in the perturbed twin."""

    recording: str
    perturbed: bool
    state: str
    """`finished`, `timeout`, `crashed` (with `reason`), `stuck` (it waited for nothing)."""
    reason: str = ""
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    error: Failure | None = None
    causes: tuple[str, ...] = ()
    """`type: message` of what the exception was raised from."""
    database: Mapping[str, tuple[int, int]] | None = None
    """Rows added and removed by table; None when it could not be told."""
    database_sha256: str = ""
    outbound: tuple[str, ...] = ()
    """Outbound calls in order, as `POST host/path -> 200`."""
    outbound_sha256: str = ""
    unrecorded: tuple[str, ...] = ()
    """Calls that were not recorded, with the nearest that were."""
    unused: tuple[str, ...] = ()
    """Recorded calls that were not made."""
    logs: tuple[str, ...] = ()
    """What the service's own code logged, as `WARNING payments.mail: receipt not sent`; libraries' records are not."""
    logs_sha256: str = ""
    events: tuple[tuple[str, str, bool, int], ...] = ()
    """Seam, what was seen, whether it was refused, how often."""
    asked: tuple[str, ...] = ()
    """Names of the environment that the service's own code asked for, importing it included."""
    readings: Mapping[str, int] | None = None
    """How often each held seam was used."""
    seams: tuple[Effect, ...] | None = None
    """What a runner of another language says of its seams; None for Python, whose seams are known."""
    substituted: int = 0
    cpu_ms: float = 0.0
    again: Again | None = None
    """What a second delivery of the message did, when there was one."""

    @property
    def parts(self) -> dict[str, str]:
        """Digest of each part of the outcome, so that a difference can be named."""
        error = self.error and [self.error.type, self.error.message, _frames(self.error), self.causes]
        return {
            "state": self.state,
            "status": str(self.status),
            "headers": digest_of(self.headers),
            "body": digest_of(base64.b64encode(self.body).decode()),
            "error": digest_of(error),
            "database": self.database_sha256,
            "outbound": self.outbound_sha256,
            "logs": self.logs_sha256,
        }

    @property
    def digest(self) -> str:
        """Strict: equal only when every part is."""
        return digest_of(self.parts)

    @property
    def key(self) -> str:
        """Survives a patch elsewhere: status, exception type, innermost in-app function, shape of the change."""
        inner = self.error.frames[-1] if self.error and self.error.frames else None
        shape = {table: list(rows) for table, rows in sorted((self.database or {}).items())}
        place = [inner.file, inner.function] if inner else None
        return digest_of([self.state, self.status, self.error.type if self.error else None, place, shape])


@dataclass(frozen=True, kw_only=True, slots=True)
class Calls:
    """How often a timed function was called in one request, and how long it took for real, recursion counted once."""

    returned: int
    raised: int
    spent_ms: float
    """All calls that returned, with everything that they called."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MirrorResult:
    """One mirrored request of a shadow run."""

    recording: str
    status: int | None
    error: str | None
    """Exception type."""
    latency_ms: float
    """Real time that the service took; recorded waits for other services are not in it."""
    body_sha256: str
    unrecorded: int = 0
    timed: tuple[Calls, ...] = ()
    """One for each function that was to be timed, in their order."""


def result_of(
    recording: str, content: bytes, *, perturbed: bool, foreign: bool = False, database: bool = False
) -> RunResult:
    """Read what a child wrote; it is hostile, so every part is checked. Raises `SandboxError` when it is none.

    `foreign`: a runner of another language wrote it, which may leave out what it does not know; `database`: it had one.
    """
    try:
        document = outcomes.whole(_decoded(content), database=database) if foreign else _decoded(content)
        failed = document.get("failed")
        if failed:
            stuck = str(failed).startswith("Deadlock")
            state = "stuck" if stuck else "crashed"
            return RunResult(recording=recording, perturbed=perturbed, state=state, reason=masked(str(failed)[:2000]),
                             events=_events(document), readings=_readings(document),
                             unrecorded=_texts(document["unrecorded"]),
                             outbound=tuple(_line(call) for call in document["outbound"][:10_000]))  # fmt: skip
        return RunResult(
            recording=recording,
            perturbed=perturbed,
            state="finished",
            status=None if document["status"] is None else int(document["status"]),
            headers=tuple((str(k), str(v)) for k, v in document["headers"]),
            body=base64.b64decode(document["body"], validate=True),
            error=_failure(document["error"]),
            causes=tuple(masked(f"{c['type']}: {c['message']}") for c in (document["error"] or {}).get("causes", ())),
            database=_shape(document["database"]),
            database_sha256=str(document["database"]["sha256"])[:64],
            outbound=tuple(_line(call) for call in document["outbound"][:10_000]),
            outbound_sha256=digest_of([[str(c["method"]), str(c["url"]), str(c["body_sha256"]), str(c["status"])]
                                       for c in document["outbound"]]),
            logs=tuple(_log_line(*record) for record in document["logs"][:_MOST_LOGS]),
            logs_sha256=digest_of(_log_records(document["logs"])),
            unrecorded=_texts(document["unrecorded"]),
            unused=_texts(document["unused"]),
            events=_events(document),
            asked=_texts(document.get("asked", ())),
            readings=_readings(document),
            seams=outcomes.seams(document["seams"]) if foreign else None,
            substituted=int(document["substituted"]),
            cpu_ms=float(document["cpu_ms"]),
            again=_again(document.get("again")),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error, RecursionError) as exc:
        raise errors.SandboxError(f"the replay of {recording} told nothing that can be read: {exc}") from exc


def _again(document: Any) -> Again | None:
    if document is None:
        return None
    return Again(
        error=_failure(document["error"]),
        outbound=tuple(_line(call) for call in document["outbound"][:10_000]),
        database=_shape(document["database"]),
    )


def _decoded(content: bytes) -> dict[str, Any]:
    import msgspec

    document = msgspec.json.decode(content)
    if not isinstance(document, dict):
        raise ValueError("no object")
    return document


def _failure(error: Any) -> Failure | None:
    if error is None:
        return None
    frames = tuple(
        Frame(file=str(f["file"]), function=str(f["function"]), line=int(f["line"]), in_app=True)
        for f in error["frames"][:400]
    )
    return Failure(type=str(error["type"])[:300], message=masked(str(error["message"])[:20_000]), frames=frames)


def _frames(error: Failure) -> list[list[str | int | None]]:
    return [[frame.file, frame.function, frame.line] for frame in error.frames]


def _shape(database: dict[str, Any]) -> dict[str, tuple[int, int]] | None:
    if database.get("unknown"):
        return None
    return {str(table): (int(a), int(r)) for table, (a, r) in database["shape"].items()}


def _line(call: dict[str, Any]) -> str:
    parts = split(str(call["url"]))
    came = call.get("error") or call.get("status") or "(nothing recorded)"
    return f"{str(call['method'])[:20]} {parts.netloc.rpartition('@')[2]}{parts.path} -> {came}"[:500]


def _log_records(logs: Any) -> list[list[str]]:
    return [[str(part) for part in record] for record in logs]


def _log_line(level: str, logger: str, text: str, raised: str) -> str:
    """A log record on one line; secrets in it are masked."""
    line = " ".join(f"{level} {logger}: {masked(str(text))}".split())[:_LONGEST_LOG]
    return f"{line} ({raised})" if raised else line


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(str(text)[:2000] for text in values[:1000])


def _events(document: dict[str, Any]) -> tuple[tuple[str, str, bool, int], ...]:
    return tuple((str(s)[:40], str(w)[:300], bool(d), int(n)) for s, w, d, n in document["events"][:1000])


def _readings(document: dict[str, Any]) -> dict[str, int]:
    return {str(k)[:40]: int(v) for k, v in document["readings"].items()}
