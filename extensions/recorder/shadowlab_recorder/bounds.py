"""Limits that keep a recorder from harming its service: memory in flight, and recordings of one failure."""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from typing import Any

from shadowlab_recorder.tape import Tape

_FINGERPRINTS = 1024
_ID = re.compile(r"[^/]*\d[^/]*")


class Bucket:
    """Tokens by fingerprint: so many at once, and so many a minute afterwards."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._lock = threading.Lock()
        self._left: OrderedDict[Any, tuple[float, float]] = OrderedDict()

    def take(self, fingerprint: Any, now: float | None = None) -> bool:
        """Whether one more recording of this failure may be written; `now` in seconds."""
        now = time.monotonic() if now is None else now
        with self._lock:
            left, at = self._left.pop(fingerprint, (float(self.per_minute), now))
            left = min(left + (now - at) * self.per_minute / 60, float(self.per_minute))
            self._left[fingerprint] = (left - 1 if left >= 1 else left, now)
            if len(self._left) > _FINGERPRINTS:
                self._left.popitem(last=False)
        return left >= 1


def fingerprint(tape: Tape) -> tuple[Any, ...]:
    """What makes two failures the same: method, path without ids, status, exception and where it was raised."""
    return (tape.method, _ID.sub("*", tape.path)[:200], tape.status, *tape.failed_where())
