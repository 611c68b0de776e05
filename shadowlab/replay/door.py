"""The supervisor's side of a replay's one way out: connect its sockets to one address, whatever it asked for.

The process names a descriptor, never an address: what it asked for is not read, so that it cannot be changed meanwhile
(seccomp_unotify(2), "CAVEATS").
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import re
import select
import socket
import struct
import threading
from pathlib import Path

_RECV, _SEND = 0xC0502100, 0xC0182101
_NOTICE, _ANSWER = struct.Struct("=QIIiIQ6Q"), struct.Struct("=QqiI")
_PIDFD_GETFD = 438
_TGID = re.compile(r"^Tgid:\s*(\d+)$", re.MULTILINE)
_EACCES, _TRIES = 13, 50


class Door:
    """Answers the `connect` of everything behind `listener` until it is closed."""

    def __init__(self, listener: int, address: Path) -> None:
        self._listener = listener
        self._address = str(address)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._wake, self._waker = os.pipe()
        self._thread = threading.Thread(target=self._serve, name="shadowlab-door", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let nobody through any more."""
        os.write(self._waker, b"x")
        self._thread.join(5)
        for descriptor in (self._listener, self._wake, self._waker):
            os.close(descriptor)

    def _serve(self) -> None:
        watch = select.poll()
        watch.register(self._listener, select.POLLIN)
        watch.register(self._wake, select.POLLIN)
        while True:
            for descriptor, event in watch.poll():
                if descriptor == self._wake or event & select.POLLHUP:
                    return
            notice = bytearray(_NOTICE.size)
            with contextlib.suppress(OSError):  # whoever asked may be gone by now
                fcntl.ioctl(self._listener, _RECV, notice)
                ident, pid, _, _, _, _, descriptor, *_ = _NOTICE.unpack(notice)
                error = 0 if self._connected(pid, descriptor) else -_EACCES
                fcntl.ioctl(self._listener, _SEND, _ANSWER.pack(ident, 0, error, 0))

    def _connected(self, thread: int, descriptor: int) -> bool:
        try:
            group = _TGID.search(Path(f"/proc/{thread}/status").read_text())
            process = os.pidfd_open(int(group[1]) if group else thread)
        except OSError:
            return False
        try:
            taken = int(self._libc.syscall(_PIDFD_GETFD, process, descriptor, 0))
            if taken < 0:
                return False
            with socket.socket(fileno=taken) as theirs:
                return self._through(theirs)
        except OSError:
            return False
        finally:
            os.close(process)

    def _through(self, theirs: socket.socket) -> bool:
        if theirs.family != socket.AF_UNIX or theirs.type != socket.SOCK_STREAM:
            return False
        for _ in range(_TRIES):
            try:
                theirs.connect(self._address)
            except BlockingIOError:  # the server's queue is full
                select.select([], [], [], 0.02)
            else:
                return True
        return False
