"""How much memory a request may hold, out of what all requests in flight may."""

from __future__ import annotations

import threading


class Room:
    """Bytes that are there to be taken; a room inside of another takes from both."""

    __slots__ = ("_lock", "_outer", "limit", "used")

    def __init__(self, limit: int, outer: Room | None = None) -> None:
        self.limit = limit
        self.used = 0
        self._outer = outer
        self._lock: threading.Lock = threading.Lock() if outer is None else outer._lock

    def take(self, wanted: int) -> int:
        """How many of the wanted bytes there are; they are taken."""
        outer = self._outer
        with self._lock:
            there = self.limit - self.used
            if outer is not None:
                there = min(there, outer.limit - outer.used)
            taken = max(min(wanted, there), 0)
            self.used += taken
            if outer is not None:
                outer.used += taken
        return taken

    def leave(self) -> None:
        """Gives everything back."""
        with self._lock:
            if self._outer is not None:
                self._outer.used -= self.used
            self.used = 0
