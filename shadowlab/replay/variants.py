"""Keep a recording that was made of another one, with what it came to in its replay as what is expected of it."""

from __future__ import annotations

import base64
import hashlib
import json
import lzma

import msgspec

from shadowlab.case import Case
from shadowlab.records import Recording
from shadowlab.replay import recording
from shadowlab.replay.fixture import Fixture, RecordedError, RecordedFrame, Response
from shadowlab.replay.results import RunResult
from shadowlab.source import Service


def keep(case: Case, variant: Fixture, of: Fixture, run: RunResult, service: Service) -> Recording:
    """Keep `variant`, made from `of`; `run` is how it came out. Production never sent it: it has no trace."""
    kept = msgspec.structs.replace(
        variant, made_from=of.made_from or of.id, trace_id=None, span_id=None, control=False,
        response=_response(run), error=_error(run, service),
    )  # fmt: skip
    content = json.dumps({**msgspec.to_builtins(kept), "id": ""}, sort_keys=True).encode()
    return recording.keep(case, msgspec.structs.replace(kept, id=hashlib.sha256(content).hexdigest()[:32]))


def keep_snapshot(case: Case, content: bytes) -> str:
    """Keep a database file; the name under which a recording knows it."""
    name = snapshot_name(content)
    if not (case.recordings / name).exists():
        case.put(f"recordings/{name}", lzma.compress(content, preset=1))
    return name


def snapshot_name(content: bytes) -> str:
    """The name of a snapshot, by its unpacked content."""
    return f"blobs/{hashlib.sha256(content).hexdigest()}.sqlite.xz"


def _response(run: RunResult) -> Response | None:
    if run.status is None:
        return None
    body = base64.b64encode(run.body).decode()
    return Response(status=run.status, headers=run.headers, body=body, body_encoding="base64")


def _error(run: RunResult, service: Service) -> RecordedError | None:
    """The exception as production would have named its frames."""
    if run.error is None:
        return None
    prefix = next(iter(service.frames), "").rstrip("/")
    frames = (
        RecordedFrame(file=f"{prefix}/{frame.file}" if prefix else frame.file, function=frame.function, line=frame.line)
        for frame in run.error.frames
    )
    return RecordedError(type=run.error.type, message=run.error.message, frames=tuple(frames))
