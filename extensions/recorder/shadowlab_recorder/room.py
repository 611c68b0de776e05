"""How much memory a request may hold, out of what all requests in flight may."""

from __future__ import annotations

import threading

_PORTION = 16 * 1024


class Room:
    """Bytes that are there to be taken; a room inside of another takes from it by portions."""

    __slots__ = ("_granted", "_lock", "_outer", "limit", "used")

    def __init__(self, limit: int, outer: Room | None = None) -> None:
        self.limit = limit
        self.used = 0
        self._outer = outer
        self._granted = 0 if outer is not None else limit
        self._lock: threading.Lock = threading.Lock() if outer is None else outer._lock

    def take(self, wanted: int) -> int:
        """How many of the wanted bytes there are; they are taken."""
        if self.used + wanted > self._granted and self._outer is not None:
            self._ask(self._outer, self.used + wanted - self._granted)
        taken = max(min(wanted, self._granted - self.used), 0)
        self.used += taken
        return taken

    def leave(self) -> None:
        """Gives everything back."""
        if self._outer is not None and self._granted:
            with self._lock:
                self._outer.used -= self._granted
        self.used = self._granted = 0

    def _ask(self, outer: Room, missing: int) -> None:
        portion = min(max(missing, _PORTION), self.limit - self._granted)
        with self._lock:
            portion = min(portion, outer.limit - outer.used)
            outer.used += portion
        self._granted += portion
