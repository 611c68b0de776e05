"""How much memory a request may hold, out of what all requests in flight may."""

from __future__ import annotations

import threading

_PORTION = 16 * 1024


class Room:
    """Bytes that are there to be taken; a room inside of another takes from it by portions.

    `free`: as many are not counted in the room outside.
    """

    __slots__ = ("_free", "_lock", "_outer", "granted", "limit", "used")

    def __init__(self, limit: int, outer: Room | None = None, free: int = 0) -> None:
        self.limit = limit
        self.used = 0
        self._outer = outer
        self._free = free
        self.granted = limit if outer is None else free
        """Up to here nobody has to be asked; who takes often looks for himself: a call more would be felt."""
        self._lock: threading.Lock = threading.Lock() if outer is None else outer._lock

    def take(self, wanted: int) -> int:
        """How many of the wanted bytes there are; they are taken."""
        used = self.used + wanted
        if used <= self.granted:
            self.used = used
            return wanted
        if self._outer is not None:
            self._ask(self._outer, self.used + wanted - self.granted)
        taken = max(min(wanted, self.granted - self.used), 0)
        self.used += taken
        return taken

    def leave(self) -> None:
        """Gives everything back; inside of another room, nothing can be had any more."""
        with self._lock:
            if self._outer is not None:
                self.limit = 0
                self._outer.used -= max(self.granted - self._free, 0)
            self.used = self.granted = 0

    def _ask(self, outer: Room, missing: int) -> None:
        with self._lock:  # other threads of the request ask too, and what is granted must be given back once
            portion = max(min(max(missing, _PORTION), self.limit - self.granted, outer.limit - outer.used), 0)
            outer.used += portion
            self.granted += portion


class Limits:
    """What a recorder lets each of its requests hold."""

    __slots__ = ("body", "house", "lock", "request", "small")

    def __init__(self, body: int, request: int, memory: int) -> None:
        self.body = body
        """Bytes of one body."""
        self.request = request
        """Bytes of one request, bodies and rows together."""
        self.house = Room(memory)
        """What all requests hold together."""
        self.lock = threading.Lock()
        self.small = min(body, request // 4, memory >> 12, 4096)
        """A body of so many bytes, in one piece, is counted only when its request holds more than that."""
