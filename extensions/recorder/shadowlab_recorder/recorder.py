"""Decide which requests are kept, and hand them to the writer."""

from __future__ import annotations

import json
import logging
import random
import time
from functools import cached_property
from typing import Any, TypeVar

from shadowlab_recorder import environment, fixture, identity, spans
from shadowlab_recorder.bounds import Bucket, fingerprint
from shadowlab_recorder.quiet import quietly
from shadowlab_recorder.redaction import Redaction
from shadowlab_recorder.room import Limits
from shadowlab_recorder.settings import Settings, switched_off
from shadowlab_recorder.snapshot import Held, Image, Snapshot
from shadowlab_recorder.tape import RawHeaders, Tape
from shadowlab_recorder.writer import Writer

TapeOf = TypeVar("TapeOf", bound=Tape)

_log = logging.getLogger("shadowlab_recorder")


class Recorder:
    """The part that every kind of entry point shares."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.off = switched_off()
        self._redaction = Redaction(
            settings.redact, settings.key, paths=settings.redact_paths, patterns=settings.redact_patterns
        )
        self._values = environment.values(settings.environment)
        self._draws = random.Random(settings.seed)
        self._bucket = Bucket(settings.per_minute)
        self.limits = Limits(settings.body_limit, settings.request_bytes, settings.memory_bytes)
        self._memory = self.limits.house
        self._watches = settings.mirror or settings.slow_ms is not None
        self.chooses = bool(settings.share or self._watches or settings.snapshot is not None)
        """Whether there is anything that `begin` does."""
        self._writer = Writer(
            settings.directory,
            self._document,
            queue_length=settings.queue_length,
            queue_bytes=settings.queue_bytes,
            disk_bytes=settings.disk_bytes,
        )

    @property
    def counts(self) -> dict[str, int]:
        """Recordings `written`, `dropped`, `failed` and `limited` (by the bucket) since the process started."""
        return {what: self._writer.counts[what] for what in ("written", "dropped", "failed", "limited")}

    def flush(self, timeout: float = 10.0) -> bool:
        """Waits until all recordings are on the disk; False when that took longer than `timeout` seconds."""
        return self._writer.flush(timeout)

    def start(self, kind: str, method: str, path: str, query: str, headers: RawHeaders) -> Tape | None:
        """A tape for a request that begins now, with the database as it is now; None when nothing is recorded."""
        return None if self.off else self.begin(Tape(kind, method, path, query, headers, self.limits))

    def begin(self, tape: TapeOf) -> TapeOf:
        """Draws whether the request is a control, and takes the database as it is now."""
        settings = self.settings
        if settings.share and self._draws.random() < settings.share:  # one call in C: threads cannot meet in it
            tape.control = tape.watched = True
        if self._watches:
            tape.watched = True
        if settings.snapshot is not None:
            taken = self._image(settings.snapshot)
            tape.snapshot_lost = taken is None
            if isinstance(taken, Image):
                tape.snapshot = taken
            else:
                tape.held = taken
        return tape

    def wanted(self, tape: Tape) -> bool:
        """Whether this request, as far as it went, will be written if it ends well."""
        return self.settings.mirror or (self._admitted(tape) if self._kept(tape) else tape.control)

    def link(self, tape: Tape) -> None:
        """Lets the server's span carry the recording's id if there will be one. Call it while the span is open."""
        if self.wanted(tape):
            spans.notice(tape)
            spans.link(tape)

    def finish(self, tape: Tape, answered: bool = False) -> None:
        """Closes the tape and hands it to the writer if it is to be kept.

        `answered`: no exception came out, so that one which was seen inside was made good for by a lesser status.
        """
        if tape.closed:
            return
        try:
            if answered and tape.failed and (tape.status or 0) < 500:
                tape.error = None
            if (tape.watched or tape.failed) and self.wanted(tape):
                self._keep(tape)
            elif tape.held is not None:
                _release(tape)
        finally:
            tape.close()

    def _keep(self, tape: Tape) -> None:
        self.link(tape)
        tape.settle()
        kept = self._kept(tape)
        answered = tape.response_body.ended or tape.failed  # else its client went away
        tape.control = tape.control and not kept
        if answered:
            seen = {name: _plain(value) for name, value in tape.flags.items()}
            tape.flags = {**self._flags(), **seen}
        tape.closed = True
        if not (kept or tape.control):
            tape.snapshot, tape.snapshot_lost = None, False
            _release(tape)
        if not answered or not self._writer.put(tape):
            _release(tape)

    def _admitted(self, tape: Tape) -> bool:
        """Whether the bucket lets this failure be written; asked once for a request, so that its span says the same."""
        if tape.admitted is None:
            tape.admitted = self._bucket.take(fingerprint(tape))
            if not tape.admitted:
                self._writer.counts["limited"] += 1
        return tape.admitted

    def _kept(self, tape: Tape) -> bool:
        slow = self.settings.slow_ms
        return tape.failed or (slow is not None and (time.monotonic_ns() - tape.monotonic_ns) / 1e6 >= slow)

    def _image(self, snapshot: Snapshot) -> Image | Held | None:
        try:
            return snapshot.take()
        except Exception as error:
            _log.warning("shadowlab-recorder: no snapshot: %s", type(error).__name__)
            return None

    def _flags(self) -> dict[str, Any]:
        if self.settings.flags is None:
            return {}
        try:
            return {str(name): _plain(value) for name, value in self.settings.flags().items()}
        except Exception as error:
            _log.warning("shadowlab-recorder: the flags could not be read: %s", type(error).__name__)
            return {}

    def _document(self, tape: Tape, blob: str | None) -> dict[str, Any]:
        try:
            return fixture.document(tape, self._redaction, service=self._service, blob=blob, pause=self._writer.pause)
        finally:
            _release(tape)

    @cached_property
    def _service(self) -> dict[str, Any]:
        """Asked for at the first recording, when the service has set up its telemetry."""
        settings = self.settings
        return {
            "name": identity.service(settings.service),
            "version": identity.service_version(settings.service_version),
            "commit": identity.commit(settings.commit),
            "versions": identity.versions(settings.lock),
            "environment": self._values,
            "db_environment": settings.database or (settings.snapshot.environment if settings.snapshot else None),
        }


def _release(tape: Tape) -> None:
    held, tape.held = tape.held, None
    if held is not None:
        quietly(held.release)


def _plain(value: Any) -> Any:
    """A flag's value if JSON can hold it, else what it prints."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return repr(value)[:200]
    return value
