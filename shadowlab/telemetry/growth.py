"""A bound on the memory that this process gains while a question of a person's is answered.

DuckDB's own limit counts its buffers. A single value (`repeat('x', 2000000000)`) and the table of the answer lie beside
them: the kernel refuses what is beyond the bound, and DuckDB says that it is out of memory.
"""

from __future__ import annotations

import contextlib
import resource
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_BESIDE: Final = 512 << 20
"""Bytes for the answer, for threads, and for what an allocator keeps in hand."""
_MOST: Final = 1 << 50
"""Bytes beyond which nobody means a bound."""


class _Bounds:
    """The bounds that hold now; together they are one of the process."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._granted: list[int] = []
        self._soft = resource.RLIM_INFINITY
        self._held = 0

    def grant(self, size: int) -> None:
        with self._changing:
            if not self._granted:
                self._soft, self._held = resource.getrlimit(resource.RLIMIT_DATA)[0], _held()
            self._granted.append(size)
            self._apply()

    def take_back(self, size: int) -> None:
        with self._changing:
            self._granted.remove(size)
            self._apply()

    def _apply(self) -> None:
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        wanted = self._held + sum(self._granted) if self._granted else self._soft
        known = [limit for limit in (wanted, self._soft, hard) if limit != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_DATA, (min(known, default=resource.RLIM_INFINITY), hard))


_BOUNDS: Final = _Bounds()


@contextlib.contextmanager
def bounded(size: int) -> Iterator[None]:
    """Let this process gain no more than `size` bytes and half a gigabyte; several at once add up.

    What other threads gain meanwhile counts too, and a process that they start meanwhile keeps the bound. Needs Linux
    4.7 (`RLIMIT_DATA`, see getrlimit(2)).
    """
    granted = min(size, _MOST) + _BESIDE
    _BOUNDS.grant(granted)
    try:
        yield
    finally:
        _BOUNDS.take_back(granted)


def _held() -> int:
    """Bytes of data and stack (proc(5), `statm`)."""
    return int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
