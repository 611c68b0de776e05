"""What goes in and out of a case beside the verbs of an incident: live telemetry, slices of larger stores, exports."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from shadowlab import errors
from shadowlab.evidence import Evidence
from shadowlab.opened import Opened
from shadowlab.records import (
    Ingest,
    Record,
    Recording,
    Replay,
)

if TYPE_CHECKING:
    from shadowlab.telemetry.receiver import Told

R = TypeVar("R", bound=Record)


class Transfers(Opened):
    """A case with all that goes in and out of it."""

    def receive(
        self,
        *,
        http: str | None = "127.0.0.1:4318",
        grpc: str | None = None,
        redact: str | None = "default",
        token_file: str | os.PathLike[str] | None = None,
        tls: tuple[str | os.PathLike[str], str | os.PathLike[str]] | None = None,
        stop: threading.Event | None = None,
        tell: Callable[[Told], None] | None = None,
        keep: str | timedelta | None = None,
        max_size: str | None = None,
    ) -> Ingest:
        """Receive OTLP until `stop` is set, or Ctrl-C; gives what the case gained. What is answered is on the disk.

        Addresses are `HOST:PORT`, `off` or None closes a door; `tls` is a certificate and its key. `tell` hears about
        once a second what goes on. `keep` (`6h`) and `max_size` (`2GB`) drop whole old segments. Raises `CaseError`
        when another receiver is at the case, `UsageError`.
        """
        from shadowlab import live

        done = live.receive(
            self.case, http=http, grpc=grpc, redact=redact, token_file=token_file, tls=tls, stop=stop, tell=tell,
            keep=keep, max_size=max_size,
        )  # fmt: skip
        return done.bind(self)

    def slice(
        self,
        telemetry: str | None = None,
        *,
        window: str | timedelta = "30m",
        at: str | datetime | None = "last",
        services: Sequence[str] = (),
        trace: str | None = None,
        limit: int | None = None,
        redact: str | None = "default",
    ) -> Ingest:
        """Pull an incident's part of a larger store into the case: whole traces, with their logs and metrics.

        `telemetry` is a URL (`parquet:///DIR`, `clickhouse://HOST:8123/DATABASE` ...), else the one given to `open`.
        Every trace that `services` (all, when empty) touch within `window` before `at`, or the one `trace`. Raises
        `UsageError` when there is none, or more than `limit` spans (a million).
        """
        from shadowlab import stores

        evidence = Evidence(self.case)
        record, scope = stores.pulled(
            self.case,
            telemetry or self._larger(),
            window=window,
            at=at,
            services=services,
            trace=trace,
            limit=limit,
            redact=redact,
            progress=self.progress,
        )
        return self._keep("slice", record, evidence, redaction=record.redaction, **scope)

    def export(self, *, parquet: str | os.PathLike[str]) -> tuple[Path, ...]:
        """Write the case's telemetry as Parquet by day and service into a new folder; gives the files."""
        from shadowlab.telemetry import larger

        return larger.export(self.case, Path(parquet), progress=self.progress)

    def export_recording(
        self,
        recording: Recording | str,
        *,
        zip: str | os.PathLike[str] | None = None,
        vcr: str | os.PathLike[str] | None = None,
    ) -> tuple[tuple[Path, ...], tuple[str, ...]]:
        """Write a recording as a zip with its blobs, its calls as a cassette for vcrpy, or both.

        Gives the files, and in words what they cannot hold. Raises `RecordingError`, `UsageError` without a file.
        """
        from shadowlab import replay

        if zip is None and vcr is None:
            raise errors.UsageError("nothing to write the recording to", hint="name a file with --zip or --vcr")
        id = recording.id if isinstance(recording, Recording) else recording
        made = replay.export(self.case, id, zip=Path(zip) if zip else None, vcr=Path(vcr) if vcr else None)
        return made.files, made.notes

    def from_event(self, event: str | os.PathLike[str], *, fixtures: str | os.PathLike[str] | None = None) -> Recording:
        """A recording from a bare JSON event, for a source whose entrypoint is `callable(event)`."""
        from shadowlab import replay

        evidence = Evidence(self.case)
        made = replay.from_event(
            self.case, Path(event), source=self.source, fixtures=Path(fixtures) if fixtures else None
        )
        return self._keep("from-event", made, evidence, event=Path(event).name)

    def to_pytest(self, replay: Replay, *, out: str | os.PathLike[str] | None = None) -> tuple[Path, ...]:
        """Write a replay as a plain pytest file with its fixture; see `Replay.to_pytest`."""
        from shadowlab import keeping
        from shadowlab import replay as stage

        evidence = Evidence(self.case)
        written = stage.to_pytest(self.case, replay, self.source, out=Path(out) if out else self.case.patches)
        keeping.note(self.case, "to-pytest", evidence.written(), replay=replay.digest)
        return written
