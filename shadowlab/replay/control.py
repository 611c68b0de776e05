"""The supervisor's end of the socket to a fork server: orders go out, messages come in, what is no message is refused.

The service runs in the fork server's process and may write to its end of the socket: nothing that comes is trusted.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from shadowlab import errors
from shadowlab.replay.folders import memory

START_S = 60.0
"""What a sandbox may take to start, and a service to import."""
_FORK, _KILL, _LOAD = b"F", b"K", b"L"
_LARGEST_MESSAGE = 4 << 20


class Control:
    """A socket at `place`, to which one server connects. `stderr_tail` gives the end of its standard error."""

    def __init__(self, place: Path, *, stderr_tail: Callable[[], str]) -> None:
        self._place = place
        self._stderr_tail = stderr_tail
        self._connection: socket.socket | None = None
        self._listener: socket.socket | None = socket.socket(socket.AF_UNIX)
        try:
            self._listener.bind(str(place))
            place.chmod(0o666)
            self._listener.listen(1)
            self._listener.settimeout(0.2)
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        """For a selector."""
        return self._connected.fileno()

    def accept(self, *, alive: Callable[[], bool], sandbox: str) -> None:
        """Wait for the server while its process is alive; raises `SandboxError` when it does not come."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._listener is not None:
            with contextlib.suppress(TimeoutError):
                self._connection = self._listener.accept()[0]
                self._deafen()
                return
            if not alive():
                break
        raise errors.SandboxError(
            f"the {sandbox} sandbox did not start: {_last_line(self._stderr_tail())}", hint="try --sandbox embedded"
        )

    def close(self) -> None:
        """Hang up, which ends the server."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._deafen()

    def message(self, within_s: float = START_S) -> dict[str, Any]:
        """The next message; raises `SandboxError` when none comes in time, or it is none."""
        deadline = time.monotonic() + within_s
        size = struct.unpack("<I", self._take(4, deadline))[0]
        if size > _LARGEST_MESSAGE:
            raise errors.SandboxError("the fork server told more than it may")
        try:
            message = json.loads(self._take(size, deadline))
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            raise errors.SandboxError("the fork server told nothing that can be read")
        return message

    def descriptors(self) -> Sequence[int]:
        """The descriptors that come beside one byte: one, or none where its kernel has none to give."""
        self._connected.settimeout(START_S)
        _, handed, _, _ = socket.recv_fds(self._connected, 1, 1)
        self._connected.settimeout(None)
        return handed

    def fork(self, number: int, job: Mapping[str, Any]) -> int:
        """Have the server fork a child for `job`; the end of a pipe from which its result can be read."""
        reader, writer = os.pipe()
        try:
            with tempfile.TemporaryFile(dir=memory()) as file, self._sending() as connection:
                file.write(json.dumps(job).encode())
                file.seek(0)
                socket.send_fds(connection, [struct.pack("<cI", _FORK, number)], [file.fileno(), writer])
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        os.set_blocking(reader, False)
        return reader

    def kill(self, number: int) -> None:
        """Have the server end the child with this number."""
        with self._sending() as connection:
            connection.sendall(struct.pack("<cI", _KILL, number))

    def load(self, names: Sequence[str]) -> None:
        """Have the server import these modules, and wait until it has."""
        content = json.dumps(names).encode()
        with self._sending() as connection:
            connection.sendall(struct.pack("<cI", _LOAD, len(content)) + content)
        while "loaded" not in self.message():
            pass

    @property
    def _connected(self) -> socket.socket:
        if self._connection is None:
            raise errors.SandboxError("the fork server has ended")
        return self._connection

    @contextlib.contextmanager
    def _sending(self) -> Iterator[socket.socket]:
        try:
            yield self._connected
        except ConnectionError as exc:
            raise self._died() from exc

    def _take(self, size: int, deadline: float) -> bytes:
        parts = b""
        while len(parts) < size:
            self._connected.settimeout(max(deadline - time.monotonic(), 0.01))
            try:
                part = self._connected.recv(size - len(parts))
            except TimeoutError:
                raise errors.SandboxError(
                    f"the service did not import within {START_S:g} s",
                    hint="what does it wait for when it is imported?",
                ) from None
            except ConnectionError as exc:
                raise self._died() from exc
            if not part:
                raise self._died()
            parts += part
        self._connected.settimeout(None)
        return parts

    def _died(self) -> errors.SandboxError:
        return errors.SandboxError(
            f"the fork server died: {_last_line(self._stderr_tail())}",
            hint="the service ended its own process, or ran out of what the sandbox allows",
        )

    def _deafen(self) -> None:
        """Take no further connection: nobody else may speak to the supervisor."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            self._place.unlink(missing_ok=True)


def _last_line(output: str) -> str:
    """What a child process said last: a traceback names this machine's paths, and its last line is the error."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][-300:] if lines else "it said nothing"
