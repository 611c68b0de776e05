"""Watch what the service does through Python's audit events: refuse the outside world, write down the rest.

A detector, not a security boundary: C code does not pass here. The boundary is `guard`.
"""

from __future__ import annotations

import _thread
import os
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

from .put import put

_DENIED = {
    "socket.connect": "network",
    "socket.bind": "network",
    "socket.sendto": "network",
    "socket.sendmsg": "network",
    "subprocess.Popen": "processes",
    "os.system": "processes",
    "os.exec": "processes",
    "os.posix_spawn": "processes",
    "os.spawn": "processes",
    "os.fork": "processes",
    "os.forkpty": "processes",
    "os.kill": "processes",
    "os.killpg": "processes",
}
_DENIED_NAMES = {
    "socket.getaddrinfo": "network",
    "socket.gethostbyname": "network",
    "socket.gethostbyaddr": "network",
    "socket.getnameinfo": "network",
}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Watch:
    """Counts events of one replay by seam; `(seam, what) -> times`."""

    def __init__(self) -> None:
        self.inside: tuple[str, ...] = ()
        """Prefixes that reads may come from: tree, interpreter, libraries, the replay's own folder."""
        self.events: dict[tuple[str, str, bool], int] = {}
        self.on = False
        self.deny = False
        self.pooled = 0
        """Jobs that were handed to a pool."""
        self.own_threads = ("shadowlab-turn", "AnyIO worker thread")

    def install(self) -> None:
        """Begin to see events; it cannot be undone."""
        sys.addaudithook(self._hook)
        # Python 3.11 has no audit event for threads; 3.13 starts them by another name.
        put(_thread, start_new_thread=self._starting(_thread.start_new_thread))
        for name in ("_start_new_thread", "_start_joinable_thread"):
            if hasattr(threading, name):
                put(threading, **{name: self._starting(getattr(threading, name))})

    def note(self, seam: str, what: str, *, denied: bool = False) -> None:
        """Write one event down; at most 200 different ones."""
        key = (seam, what[:200], denied)
        if key in self.events or len(self.events) < 200:
            self.events[key] = self.events.get(key, 0) + 1

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event == "open":
            self._opened(args)
        elif event in _DENIED:
            self.note(_DENIED[event], f"{event} {_first(args)}", denied=self.deny)
            if self.deny:
                raise PermissionError(13, f"a replay may not {event}")
        elif event in _DENIED_NAMES:
            self.note("network", f"{event} {_first(args)}", denied=self.deny)
            if self.deny:
                raise socket.gaierror(socket.EAI_AGAIN, "a replay may not look names up")

    def _opened(self, args: tuple[Any, ...]) -> None:
        path, _, flags = args
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if not isinstance(path, str) or not path.startswith("/"):
            return
        if path.startswith(self.inside):
            return
        writes = isinstance(flags, int) and bool(flags & _WRITES)
        seam = "randomness" if path in ("/dev/urandom", "/dev/random") else "files"
        self.note(seam, f"{'write' if writes else 'read'} {path}")

    def _starting(self, start: Callable[..., Any]) -> Callable[..., Any]:
        def started(function: Any, *args: Any, **kwargs: Any) -> Any:
            if not getattr(function, "in_turn", False):
                self._thread(function)
            return start(function, *args, **kwargs)

        return started

    def _thread(self, function: Any) -> None:
        owner = getattr(function, "__self__", None)
        name = owner.name if isinstance(owner, threading.Thread) else "unnamed"
        self.pooled += self.on and name.startswith("shadowlab-turn")
        if getattr(getattr(owner, "_target", None), "__module__", "") == "asgiref.sync":
            return  # it does no more than wait until a pool has ended
        if self.on and not name.startswith(self.own_threads):
            self.note("threads", f"a thread of its own: {name}")


def _first(args: tuple[Any, ...]) -> str:
    """The first telling argument: an address, a program; never a whole command line, which may hold secrets."""
    for arg in args:
        if isinstance(arg, str):
            return arg
        if isinstance(arg, bytes):
            return arg.decode(errors="replace")
        if isinstance(arg, tuple) and arg:
            return ":".join(str(part) for part in arg[:2])
    return ""
