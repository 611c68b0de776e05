"""A thread that merges segments while the receiver works, so that a day of it is a few files."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from shadowlab import errors
from shadowlab.case import Case, open_case
from shadowlab.telemetry import segments
from shadowlab.telemetry.receiver import compaction
from shadowlab.telemetry.receiver.status import Status

_GRACE_S: Final = 20.0
"""How long a merged segment stays for who is about to open it."""
_PAUSE_S: Final = 1.0


class Merging:
    """Looks once a second whether segments are to be merged, or merged ones to be removed."""

    def __init__(self, case: Case, place: Path, status: Status, retire: compaction.Retire | None) -> None:
        # A `Case` of its own: the lock is held by a `Case`, and this is another thread.
        self._case = open_case(case.path, create=False, lock_timeout=case.lock_timeout)
        self._place, self._status, self._retire = place, status, retire
        self._leave = threading.Event()
        self._gone_at = dict.fromkeys(compaction.retired(self._case), 0.0)

    @contextlib.contextmanager
    def going_on(self) -> Iterator[None]:
        """Merge while the block runs; afterwards what was merged away is removed."""
        thread = threading.Thread(target=self._run, name="shadowlab-merging", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._leave.set()
            thread.join()
            with contextlib.suppress(OSError, errors.ShadowlabError):  # the next receiver removes it
                self._forget(time.monotonic() + _GRACE_S)

    def _run(self) -> None:
        while not self._leave.wait(_PAUSE_S):
            try:
                self._merge()
                self._forget(time.monotonic())
            except (OSError, errors.ShadowlabError) as exc:
                self._status.failed(f"cannot merge: {exc.strerror if isinstance(exc, OSError) else exc.args[0]}")
                self._leave.wait(_GRACE_S)

    def _merge(self) -> None:
        chosen = compaction.due(segments.manifest(self._case).segments)
        if chosen and compaction.compact(self._case, chosen, self._place, self._retire):
            self._gone_at |= dict.fromkeys((one.file for one in chosen), time.monotonic())

    def _forget(self, now: float) -> None:
        old = [name for name, gone_at in self._gone_at.items() if now - gone_at >= _GRACE_S]
        if old:
            compaction.forget(self._case, old)
            for name in old:
                del self._gone_at[name]
