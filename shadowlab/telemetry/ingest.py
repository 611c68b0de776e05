"""Take telemetry files into a case: read, redacted, compared with what is there, sorted, renamed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from shadowlab import privacy
from shadowlab.case import Case
from shadowlab.records import Ingest
from shadowlab.telemetry import inputs, segments
from shadowlab.telemetry.loading import Loading

Progress = Callable[[str, int, int], None]
CORRELATION: Final = ("x-request-id", "http.request.header.x-request-id", "request.id", "request_id", "correlation.id")


def ingest(
    case: Case, paths: Sequence[str | Path], *, redact: str | None = "default", progress: Progress | None = None
) -> Ingest:
    """Load files of OTLP traces, logs and metrics; a record that is there already is not added again.

    `redact` names a policy of `shadowlab.privacy`; `None` keeps everything as it is. Files that are no telemetry are in
    `refused`, records that cannot be kept in `rejected`. Raises `CaseError` when the case cannot be written and
    `UsageError` for an unknown policy.
    """
    privacy.macros(redact)
    with case.writing("ingest"):
        segments.sweep(case)
        with Loading(case, redact, CORRELATION) as loading:
            listed = list(inputs.expand(paths))
            for number, given in enumerate(listed):
                if progress:
                    progress("ingest", number, len(listed))
                loading.take(given)
            loading.publish()
            if progress:
                progress("ingest", len(listed), len(listed))
            return loading.record()
