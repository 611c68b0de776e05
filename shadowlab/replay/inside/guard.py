"""The boundary around a replay without root and without containers: limits, no new privileges, Landlock, seccomp.

Two layers: one over the fork server before the service is imported, one more over each child, which then reads and
writes its own folder only, starts no process and signals nobody. What the kernel does not give is left out of the
report, and whoever reads the report sees it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import socket
import struct
from collections.abc import Iterable
from typing import Any

from . import bpf, landlock
from .door import listen as door_listener

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS, _PR_SET_KEEPCAPS, _PR_SET_SUBREAPER = 1, 38, 8, 36
_PR_CAP_AMBIENT, _RAISE = 47, 2
_CAP_DAC_READ_SEARCH, _CAP_SETUID = 2, 7
_CAPABILITY_VERSION = 0x20080522
_ADDR_NO_RANDOMIZE = 0x0040000
_USERS = (60_000, 1_184)
"""First and number of user ids that root's replays run as; systemd and Debian hand out others."""

_libc = ctypes.CDLL(None, use_errno=True)
# The seams put others in their place.
_getuid, _listdir, _stat = os.getuid, os.listdir, os.stat
_readable: tuple[str, ...] = ()


def steady_addresses() -> bool:
    """Whether address randomisation is off."""
    now = int(_libc.personality(0xFFFFFFFF))
    return now >= 0 and bool(now & _ADDR_NO_RANDOMIZE)


def real_pid() -> int:
    """This process' id, as the kernel has it."""
    return int(_libc.getpid())


def die_with_parent() -> None:
    """Be killed when the parent ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def confine_server(config: dict[str, Any]) -> dict[str, Any]:
    """Confine the fork server; what is held from now on, each part probed where it can be."""
    global _readable
    limits = config["limits"]
    _readable = tuple(config["readable"])
    runs = bool(config.get("tool"))
    user = _leave_root(config["work"], runs=runs)
    processes = _getuid() != 0
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, limits["files"])
    # Other runtimes reserve addresses by the dozen GiB and use few: what they may write to is limited.
    _limit(resource.RLIMIT_DATA if runs else resource.RLIMIT_AS, limits["memory"])
    if processes:
        _limit(resource.RLIMIT_NPROC, limits["processes"] + (0 if user else _mine()))
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _libc.prctl(_PR_SET_SUBREAPER, 1, 0, 0, 0)
    version = landlock.confine(_libc, readable=_readable, writable=(config["work"], "/dev/null"), runs=runs)
    door = bool(config.get("door"))
    filtered = bpf.confine(_libc, child=False, runs=runs, door=door)
    # A change of user clears the wish to die with the parent.
    die_with_parent()
    return {
        "user": user,
        "landlock": version,
        "seccomp": filtered,
        "processes": limits["processes"] if processes else 0,
        "memory": limits["memory"],
        "memory_of": "private memory" if runs else "addresses",
        "file_size": limits["file_size"],
        "disk": limits["disk"],
        "cpu_s": limits["cpu_s"],
        "network": _network_refused((socket.AF_INET, socket.AF_INET6, *([] if door else [socket.AF_UNIX]))),
        "door": door,
        "host_files": _host_files_refused(),
    }


def confine_child(
    work: str, snapshots: Iterable[str], limits: dict[str, int], *, runs: bool = False, door: bool = False
) -> None:
    """Confine a child further; the server's layers stay.

    It may read `snapshots`; `runs`: it may still become another program.
    """
    _limit(resource.RLIMIT_CPU, limits["cpu_s"])
    _limit(resource.RLIMIT_FSIZE, limits["file_size"])
    landlock.confine(_libc, readable=(*_readable, *snapshots), writable=(work, "/dev/null"), runs=runs)
    bpf.confine(_libc, child=True, runs=runs, door=door)


def hand_connections_over() -> int:
    """From now on the supervisor answers each `connect`; the listener that it needs for it."""
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return door_listener(_libc)


def _limit(what: int, value: int) -> None:
    _, hard = resource.getrlimit(what)
    ceiling = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (ceiling, ceiling))


def _mine() -> int:
    """How many processes and threads this user runs already: the limit counts them all."""
    total = 0
    for name in _listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                if _stat(f"/proc/{name}").st_uid == _getuid():
                    total += len(_listdir(f"/proc/{name}/task"))
    return total


def _leave_root(work: str, *, runs: bool = False) -> int | None:
    """As root: become a user that owns nothing, keeping only the right to read, which Landlock then narrows.

    Nobody else's files need to be readable for it. Where root may not change its user it gives up all capabilities.
    """
    if _getuid() != 0:
        return None
    held = _capabilities()
    if not held & (1 << _CAP_SETUID) or not held & (1 << _CAP_DAC_READ_SEARCH):
        _keep(0)
        return None
    user = _USERS[0] + real_pid() % _USERS[1]
    try:
        os.chown(work, user, user)
        _libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    except OSError:
        _keep(0)
        return None
    _keep(1 << _CAP_DAC_READ_SEARCH, inherited=runs)
    if runs:
        _libc.prctl(_PR_CAP_AMBIENT, _RAISE, _CAP_DAC_READ_SEARCH, 0, 0)
    return user


def _capabilities() -> int:
    content = ctypes.create_string_buffer(24)
    if _libc.capget(ctypes.c_char_p(struct.pack("Ii", _CAPABILITY_VERSION, 0)), content) != 0:
        return 0
    low, _, _, high, _, _ = struct.unpack("6I", content.raw)
    return int(low) | int(high) << 32


def _keep(held: int, *, inherited: bool = False) -> None:
    low, high = held & 0xFFFFFFFF, held >> 32
    content = struct.pack("6I", low, low, low * inherited, high, high, high * inherited)
    _libc.capset(ctypes.c_char_p(struct.pack("Ii", _CAPABILITY_VERSION, 0)), ctypes.c_char_p(content))


def _network_refused(families: tuple[socket.AddressFamily, ...]) -> bool:
    for family in families:
        try:
            socket.socket(family).close()
        except OSError:
            continue
        return False
    return True


def _host_files_refused() -> bool:
    """Whether a file that every host has can no longer be read."""
    try:
        os.close(os.open("/proc/self/mountinfo", os.O_RDONLY))
    except PermissionError:
        return True
    except OSError:
        return False
    return False
