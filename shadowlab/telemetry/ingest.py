"""Take telemetry files into a case: read, redacted, compared with what is there, sorted, renamed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from shadowlab import privacy
from shadowlab.case import Case
from shadowlab.records import Ingest

Progress = Callable[[str, int, int], None]
CORRELATION: Final = (
    "x-request-id", "http.request.header.x-request-id", "http.request.header.x_request_id", "request.id", "request_id",
    "correlation.id",
)  # fmt: skip


def ingest(
    case: Case, paths: Sequence[str | Path], *, redact: str | None = "default", progress: Progress | None = None
) -> Ingest:
    """Load files of OTLP traces, logs and metrics; a record that is there already is not added again.

    Logs that name no trace join spans by `correlation_id`: the first of the attributes that the setting `correlation`
    of `case.json` lists (`CORRELATION` unless told otherwise). `redact` names a policy of `shadowlab.privacy`; `None`
    keeps everything as it is. `progress` counts bytes. Files that are no telemetry are in `refused`, records that
    cannot be kept in `rejected`. Raises `CaseError` when the case cannot be written, because its disk is full too,
    and `UsageError` for an unknown policy.
    """
    from shadowlab.telemetry import connection, inputs, segments
    from shadowlab.telemetry.loading import Loading

    privacy.macros(redact)
    with case.writing("ingest"):
        segments.sweep(case)
        keys = case.settings().get("correlation") or CORRELATION
        listed = list(inputs.expand(paths))
        total = sum(given.size for given in listed)
        room = connection.room_in(case.telemetry, "the telemetry")
        with room, Loading(case, redact, [str(key) for key in keys]) as loading:
            done = 0
            for given in listed:
                loading.on_bytes = _counted(progress, done, total)
                loading.take(given)
                done += given.size
            loading.publish()
            if progress:
                progress("ingest", total, total)
            return loading.record()


def _counted(progress: Progress | None, before: int, total: int) -> Callable[[int], None] | None:
    if progress is None:
        return None
    return lambda size: progress("ingest", min(before + size, total), total)
