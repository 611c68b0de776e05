"""Landlock through ctypes: which files a replay may read, that it may write only its own folder, no TCP, no signals.

Numbers and structures: the kernel's `include/uapi/linux/landlock.h`; behaviour by ABI: `landlock(7)`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import struct
from collections.abc import Iterable

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_TRUNCATE, _IOCTL = 1 << 14, 1 << 15
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_READ = _READ_FILE | _READ_DIR
_TCP = 3
_SCOPES = 3
"""Abstract unix sockets and signals stay within the domain."""


def abi(libc: ctypes.CDLL) -> int:
    """The kernel's Landlock ABI; 0 where it has none."""
    return max(int(libc.syscall(_CREATE, None, 0, 1)), 0)


def confine(libc: ctypes.CDLL, *, readable: Iterable[str], writable: Iterable[str], runs: bool = False) -> int:
    """Restrict this process and all it starts; the ABI in force, 0 when there is none.

    `runs`: programs that may be read may be started too.
    """
    version = abi(libc)
    if not version:
        return 0
    handled = _handled(version)
    attributes = struct.pack("QQQ", handled, _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    rules = int(libc.syscall(_CREATE, ctypes.c_char_p(attributes), ctypes.c_size_t(size), 0))
    if rules < 0:
        return 0
    try:
        for path in readable:
            _allow(libc, rules, path, (_READ | _EXECUTE * runs) & handled)
        for path in writable:
            _allow(libc, rules, path, handled & ~(_EXECUTE | _IOCTL))
        return version if int(libc.syscall(_RESTRICT, rules, 0)) == 0 else 0
    finally:
        os.close(rules)


def _handled(version: int) -> int:
    bits = 13 if version == 1 else 14 if version == 2 else 15 if version < 5 else 16
    return (1 << bits) - 1


def _allow(libc: ctypes.CDLL, rules: int, path: str, access: int) -> None:
    with contextlib.suppress(OSError):
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not stat.S_ISDIR(os.fstat(place).st_mode):
                access &= _ON_FILES
            libc.syscall(_ADD, rules, 1, ctypes.c_char_p(struct.pack("<Qi", access, place)), 0)
        finally:
            os.close(place)
