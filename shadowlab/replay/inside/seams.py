"""All seams between a service and its world, put in place in the one order that works."""

from __future__ import annotations

import locale
import os
import platform
import socket
from collections.abc import Callable
from typing import Any

from .chance import Chance
from .clock import Clock
from .database import Database
from .loop import take_turns
from .session import Session
from .tape import Tape
from .watch import Watch

HOSTNAME = "shadowlab"
_PID = 4242
_USER = 1000


class Seams:
    """Clock, randomness, network, database, threads, host: held before the service is imported."""

    def __init__(self, inside: tuple[str, ...]) -> None:
        self.real_times: Callable[[], Any] = os.times
        self.clock = Clock()
        self.chance = Chance()
        self.database = Database(self.clock, self.chance)
        self.tape = Tape(self.clock)
        self.watch = Watch(inside)

    def install(self) -> None:
        """Put all of them in place. The tape is first: HTTP clients bind clocks early."""
        self.tape.install()
        self.clock.install()
        self.chance.install()
        self.database.install()
        take_turns()
        _host()
        self.watch.install()

    def begin(self, job: dict[str, Any]) -> None:
        """Go to the time, the seed and the tape of one request."""
        self.clock.set(job["time_ns"], job.get("monotonic_ns"))
        self.chance.seed(job["seed"])
        self.tape.insert(job["outbound"])

    def session(self) -> Session:
        """A requests-like object that answers from the tape."""
        return Session(self.tape)


def _host() -> None:
    """A host of no name, one processor and no history."""
    socket.gethostname = lambda: HOSTNAME
    socket.getfqdn = lambda name="": name or HOSTNAME
    platform.node = lambda: HOSTNAME
    uname = os.uname()
    os.uname = lambda: os.uname_result((uname.sysname, HOSTNAME, uname.release, uname.version, uname.machine))
    os.cpu_count = lambda: 1
    os.getloadavg = lambda: (0.0, 0.0, 0.0)
    os.getpid = lambda: _PID
    os.getppid = lambda: 1
    for name in ("getuid", "geteuid", "getgid", "getegid"):
        setattr(os, name, lambda: _USER)
    listed, scanned = os.listdir, os.scandir
    os.listdir = lambda path=".": sorted(listed(path))  # type: ignore[assignment]

    class Scan:
        """os.scandir in order of names."""

        def __init__(self, path: Any = ".") -> None:
            with scanned(path) as found:
                self._entries = iter(sorted(found, key=lambda entry: entry.name))

        def __iter__(self) -> Any:
            return self._entries

        def __next__(self) -> Any:
            return next(self._entries)

        def __enter__(self) -> Scan:
            return self

        def __exit__(self, *exc: object) -> None:
            self.close()

        def close(self) -> None:
            self._entries = iter(())

    os.scandir = Scan  # type: ignore[assignment]
    locale.setlocale(locale.LC_ALL, "C.UTF-8")
