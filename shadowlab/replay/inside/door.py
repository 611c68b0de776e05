"""One way out for a replay that has a PostgreSQL server: the supervisor answers each `connect`.

A second seccomp filter hands the call to a listener (`SECCOMP_RET_USER_NOTIF`, seccomp_unotify(2)); the supervisor
connects the process' own socket to the replay's server, whatever address was asked for, and to nothing else. The first
filter lets no other socket be made than local streams.
"""

from __future__ import annotations

import ctypes
import os
import struct

from . import bpf

_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SET_MODE_FILTER, _NEW_LISTENER = 1, 1 << 3
_USER_NOTIF = 0x7FC00000


def listen(libc: ctypes.CDLL) -> int:
    """Hand every `connect` of this process, and of all it starts, to the file descriptor that is given back.

    Raises OSError where the kernel has no such filter.
    """
    machine = os.uname().machine
    number = bpf.number("connect")
    if number is None or machine not in _SECCOMP:
        raise OSError(f"no system call filter for {machine}")
    program = b"".join(
        struct.pack("HBBI", *step)
        for step in ((0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, _USER_NOTIF), (0x06, 0, 0, 0x7FFF0000))
    )
    content = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(content)))
    listener = int(libc.syscall(_SECCOMP[machine], _SET_MODE_FILTER, _NEW_LISTENER, header))
    if listener < 0:
        raise OSError(ctypes.get_errno(), "the kernel hands no system call to a listener")
    return listener
