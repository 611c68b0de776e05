"""A thread that merges segments while the receiver works, so that a day of it is a few files, and drops old ones."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from shadowlab import errors
from shadowlab.case import Case, open_case
from shadowlab.telemetry import compaction, segments
from shadowlab.telemetry.receiver.status import Status
from shadowlab.telemetry.receiver.window import Drop, Dropping, Window

_GRACE_S: Final = 20.0
"""How long a merged segment stays for who is about to open it."""
_PAUSE_S: Final = 1.0
_LOOKS: Final = 5
"""A window is looked at every so many pauses."""


@dataclass(frozen=True, slots=True)
class Care:
    """What is done with segments while a receiver works, and who hears of it before files go."""

    window: Window = field(default_factory=Window)
    retire: compaction.Retire | None = None
    drop: Drop | None = None


class Merging:
    """Looks once a second whether segments are to be merged or have left the window, or such ones to be removed."""

    def __init__(self, case: Case, place: Path, status: Status, care: Care) -> None:
        # A `Case` of its own: the lock is held by a `Case`, and this is another thread.
        self._case = open_case(case.path, create=False, lock_timeout=case.lock_timeout)
        self._place, self._status, self._retire = place, status, care.retire
        self._dropping = Dropping(self._case, care.window, care.drop)
        self._looks = 0
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
                self._drop()
                self._forget(time.monotonic())
            except (OSError, errors.ShadowlabError) as exc:
                self._status.failed(
                    f"cannot merge or drop: {exc.strerror if isinstance(exc, OSError) else exc.args[0]}"
                )
                self._leave.wait(_GRACE_S)

    def _merge(self) -> None:
        chosen = compaction.due(segments.manifest(self._case).segments)
        if chosen and compaction.compact(self._case, chosen, self._place, self._retire):
            self._gone_at |= dict.fromkeys((one.file for one in chosen), time.monotonic())

    def _drop(self) -> None:
        self._looks += 1
        if self._looks % _LOOKS == 1:
            gone = self._dropping.drop()
            self._status.dropped += len(gone)
            self._gone_at |= dict.fromkeys(gone, time.monotonic())

    def _forget(self, now: float) -> None:
        old = [name for name, gone_at in self._gone_at.items() if now - gone_at >= _GRACE_S]
        if old:
            compaction.forget(self._case, old)
            for name in old:
                del self._gone_at[name]
