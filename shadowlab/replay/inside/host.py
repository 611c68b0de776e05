"""A host of no name: one processor, one user, folders in order of names, files as old as the replay."""

from __future__ import annotations

import locale
import os
import platform
import resource
import socket
import threading
from collections.abc import Callable
from typing import Any

from .clock import Clock
from .put import put

NAME, _ELSEWHERE = "shadowlab", "app-7d9f"
_PID, _USER = 4242, 1000
_TIMES = ("st_atime", "st_mtime", "st_ctime")


def install(clock: Clock, *, elsewhere: bool = False) -> None:
    """Put it all in place; must come before the service is imported. `elsewhere`: another host of another name."""
    here, more = (_ELSEWHERE, 1) if elsewhere else (NAME, 0)
    uname = os.uname()
    ours = os.uname_result((uname.sysname, here, uname.release, uname.version, uname.machine))
    put(socket, gethostname=lambda: here, getfqdn=lambda name="": name or here)
    put(platform, node=lambda: here)
    put(
        os,
        uname=lambda: ours,
        cpu_count=lambda: 1 + more,
        sched_getaffinity=lambda pid: set(range(1 + more)),
        getloadavg=lambda: (0.5 * more, 0.0, 0.0),
    )
    put(os, getpid=lambda: _PID + more, getppid=lambda: 1 + more)
    put(os, **{name: lambda: _USER + more for name in ("getuid", "geteuid", "getgid", "getegid")})
    put(threading, get_native_id=lambda: _PID + more)
    put(resource, getrusage=lambda who: resource.struct_rusage((0.0, 0.0, *[0] * 14)))
    _folders()
    put(os, stat=_aged(os.stat, clock), lstat=_aged(os.lstat, clock), fstat=_aged(os.fstat, clock))
    os.umask(0o022)
    locale.setlocale(locale.LC_ALL, "C.UTF-8")


def _folders() -> None:
    listed, scanned = os.listdir, os.scandir

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

    put(os, listdir=lambda path=".": sorted(listed(path)), scandir=Scan)


def _aged(real: Callable[..., os.stat_result], clock: Clock) -> Callable[..., os.stat_result]:
    """`os.stat` and its like: what was written since the server began was written at the replay's own time.

    Of older files only the time of the content is told, which a checkout of one commit always has the same.
    """

    def stat(*args: Any, **kwargs: Any) -> os.stat_result:
        found = real(*args, **kwargs)
        at = found.st_mtime_ns if found.st_mtime_ns < clock.began_ns else clock.wall_ns
        times: dict[str, float] = dict.fromkeys((f"{name}_ns" for name in _TIMES), at)
        times |= dict.fromkeys(_TIMES, at / 1e9)
        rest = {name: getattr(found, name) for name in ("st_blksize", "st_blocks", "st_rdev")}
        return os.stat_result((*found[:7], *[at // 10**9] * 3), {**times, **rest})

    return stat
