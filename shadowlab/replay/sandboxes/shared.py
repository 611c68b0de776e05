"""Processes that have imported a service's locked packages already, from which fork servers for many trees come.

They import installed packages only, nothing of any tree, and are kept while shadowlab runs; an idle one ends by itself.
The server that is forked off confines itself before it imports the tree, as one that was started alone does.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import struct
import threading
import time
from typing import Any

from shadowlab import errors
from shadowlab.replay.folders import Folder
from shadowlab.replay.sandboxes import Launch
from shadowlab.replay.sandboxes.process import Process

_MOST = 6
_START_S = 30.0
_IDLE_S = 240.0
"""Less than the 300 s after which an idle one ends by itself."""
_shared: dict[Any, Shared] = {}
_lock = threading.Lock()


class Shared:
    """One such process."""

    def __init__(self, launch: Launch) -> None:
        self.owner = os.getpid()
        self._used = time.monotonic()
        self._folder = Folder()
        place = self._folder.path / "control"
        config = {"preload": list(launch.preload), "tools": launch.tools}
        (self._folder.path / "config.json").write_text(json.dumps(config))
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
            listener.bind(str(place))
            listener.listen(1)
            listener.settimeout(_START_S)
            words = [str(place) if word == launch.place else word for word in launch.command]
            self.process = Process((*words, "shared"), launch.environment, self._folder.path)
            try:
                self._control = listener.accept()[0]
            except TimeoutError as exc:
                raise errors.SandboxError(
                    f"the fork server did not start: {self.process.stderr_tail()[-500:]}"
                ) from exc
            finally:
                place.unlink()

    def usable(self) -> bool:
        """Whether it runs, belongs to this process, and is not about to end for want of work."""
        fresh = time.monotonic() - self._used < _IDLE_S
        return fresh and self.owner == os.getpid() and self.process.alive()

    def fork(self, launch: Launch) -> None:
        """Have it fork a server that works in `launch.work`."""
        self._used = time.monotonic()
        place = str(launch.work).encode()
        self._control.sendall(struct.pack("<I", len(place)) + place)

    def end(self) -> None:
        """End it; servers that came from it end as well."""
        if self.owner == os.getpid():
            self._control.close()
            self.process.kill()
            self._folder.remove()


class Forked:
    """A server that was forked off a shared process."""

    def __init__(self, shared: Shared, launch: Launch) -> None:
        self._shared = shared
        self._errors = launch.work / "stderr"
        self._server: int | None = None

    def met(self, pid: int) -> None:
        """Take hold of the server by the process id that it told; no other process can be hit later."""
        with contextlib.suppress(ProcessLookupError):
            self._server = os.pidfd_open(pid)

    def alive(self) -> bool:
        """Whether what it comes from still runs."""
        return self._shared.process.alive()

    def kill(self) -> None:
        """End the server; its children are killed with it by the kernel."""
        if self._server is None:
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._server, signal.SIGKILL)
        select.select([self._server], [], [], 5)
        os.close(self._server)
        self._server = None

    def stderr_tail(self) -> str:
        """The end of its standard error."""
        with contextlib.suppress(OSError):
            return self._errors.read_text(errors="replace")[-2000:].strip()
        return ""


def forked(launch: Launch) -> Forked | None:
    """A server from a shared process with the same environment and packages; None when there are too many of them."""
    words = tuple(word for word in launch.command if word != launch.place)
    key = (launch.perturbed, launch.preload, words, tuple(sorted(launch.environment.items())))
    with _lock:
        for other, one in list(_shared.items()):
            if not one.usable():
                _shared.pop(other).end()
        if key not in _shared:
            if len(_shared) >= _MOST:
                return None
            _shared[key] = Shared(launch)
        _shared[key].fork(launch)
        return Forked(_shared[key], launch)


@atexit.register
def end_all() -> None:
    """End every shared process."""
    for shared in _shared.values():
        shared.end()
    _shared.clear()
