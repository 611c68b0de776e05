"""The supervisor's side of one fork server: start it, hand it jobs, take results from a pipe each, end it."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import socket
import struct
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shadowlab import errors
from shadowlab.replay.door import Door
from shadowlab.replay.folders import memory
from shadowlab.replay.sandboxes import Box, Launch, Sandbox

_FORK, _KILL, _LOAD = b"F", b"K", b"L"
_LARGEST_RESULT = 64 << 20
_LARGEST_MESSAGE = 4 << 20
_START_S = 60.0
_WEIGH_S = 0.2


@dataclass(slots=True)
class Ended:
    """A job that came to its end: what it told, and how the child ended."""

    number: int
    content: bytes
    why: str
    """`finished`, `timeout`, `died`, or why it was ended."""


@dataclass(slots=True)
class _Running:
    number: int
    deadline: float
    on_line: Callable[[bytes], None] | None
    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    ended: str = ""
    """Why it was ended from here."""
    status: int | None = None


class Server:
    """One fork server behind its walls. Use as a context manager."""

    def __init__(self, sandbox: Sandbox, launch: Launch, config: Mapping[str, Any]) -> None:
        self._sandbox = sandbox
        self._launch = launch
        self._config = config
        self._box: Box | None = None
        self._control: socket.socket | None = None
        self._listener: socket.socket | None = None
        self._door: Door | None = None
        self._next = 0
        self._weighed = 0.0
        self.held: dict[str, Any] = {}
        self.steady = False
        self.clock = ""
        self.kind = ""

    def __enter__(self) -> Server:
        self.launch()
        self.wait()
        return self

    def launch(self) -> None:
        """Start the server; it imports the service by itself while others run."""
        work = self._launch.work
        (work / "config.json").write_text(json.dumps(self._config))
        (work / "config.json").chmod(0o644)
        place = work / "control"
        self._listener = socket.socket(socket.AF_UNIX)
        try:
            self._listener.bind(str(place))
            place.chmod(0o666)
            self._listener.listen(1)
            self._listener.settimeout(0.2)
            self._box = self._sandbox.start(self._launch)
        except BaseException:
            self.close()
            raise

    def wait(self) -> None:
        """Wait until it is ready; raises `SourceError` when the service does not import."""
        try:
            self._control = self._accepted()
            self._greet()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the server and all its children."""
        if self._control is not None:
            self._control.close()
            self._control = None
        self._deafen()
        if self._box is not None:
            self._box.kill()
            self._box = None
        if self._door is not None:
            self._door.close()
            self._door = None

    def _deafen(self) -> None:
        """Take no further connection: nobody else may speak to the supervisor."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            (self._launch.work / "control").unlink(missing_ok=True)

    def run(
        self,
        jobs: Iterable[Mapping[str, Any]],
        *,
        workers: int = 2,
        timeout_s: float = 30.0,
        on_line: Callable[[bytes], None] | None = None,
    ) -> Iterator[Ended]:
        """Run jobs, some at a time; ends come in the order of the jobs. `on_line` sees what a job tells as it comes."""
        waiting = iter(jobs)
        running: dict[int, _Running] = {}
        done: dict[int, Ended] = {}
        due = first = self._next
        more = True
        with selectors.DefaultSelector() as watch:
            watch.register(self._connected, selectors.EVENT_READ)
            while more or running or done:
                while more and len(running) < workers and self._next - due < 4 * workers:
                    job = next(waiting, None)
                    if job is None:
                        more = False
                        break
                    self._fork(job, running, watch, timeout_s, on_line)
                self._listen(running, done, watch)
                while due in done:
                    yield done.pop(due)
                    due += 1
        del first

    def load(self, names: list[str]) -> None:
        """Have the server import these modules."""
        content = json.dumps(names).encode()
        self._connected.sendall(struct.pack("<cI", _LOAD, len(content)) + content)
        while "loaded" not in self._message(time.monotonic() + _START_S):
            pass

    @property
    def _connected(self) -> socket.socket:
        if self._control is None:
            raise errors.SandboxError("the fork server has ended")
        return self._control

    def _accepted(self) -> socket.socket:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self._listener is not None:
            with contextlib.suppress(TimeoutError):
                control = self._listener.accept()[0]
                self._deafen()
                return control
            if self._box is None or not self._box.alive():
                break
        told = self._box.told() if self._box else ""
        raise errors.SandboxError(
            f"the {self._sandbox.name} sandbox did not start: {_last_line(told)}",
            hint="try --sandbox embedded",
        )

    def _greet(self) -> None:
        hello = self._message(time.monotonic() + _START_S)
        if self._box is not None and isinstance(hello.get("pid"), int):
            self._box.met(hello["pid"])
        self.held, self.steady = dict(hello.get("hello") or {}), bool(hello.get("steady"))
        if self._config.get("door") and not self._config["socket_at"]:
            self._door = self._opened(Path(self._config["door"]))
        ready = self._message(time.monotonic() + _START_S)
        if "failed" in ready:
            raise errors.SourceError(
                f"{self._config['name']}: {str(ready['failed'])[:500]}",
                hint="the entrypoint in shadowlab.toml must import at this revision with the installed packages",
            )
        self.kind, self.clock = str(ready["ready"]), str(ready["clock"])

    def _opened(self, address: Path) -> Door:
        """The one way out of what the server runs, to a socket of this machine."""
        self._connected.settimeout(_START_S)
        _, listeners, _, _ = socket.recv_fds(self._connected, 1, 1)
        self._connected.settimeout(None)
        if not listeners:
            raise errors.SandboxError(
                "this kernel hands no system call to a listener, so that PostgreSQL cannot be reached",
                hint="Linux 5.14 or newer can; --sandbox gvisor needs none",
            )
        return Door(listeners[0], address)

    def _message(self, deadline: float) -> dict[str, Any]:
        size = struct.unpack("<I", self._take(4, deadline))[0]
        if size > _LARGEST_MESSAGE:
            raise errors.SandboxError("the fork server told more than it may")
        message = json.loads(self._take(size, deadline))
        if not isinstance(message, dict):
            raise errors.SandboxError("the fork server told nothing that can be read")
        return message

    def _take(self, size: int, deadline: float) -> bytes:
        parts = b""
        while len(parts) < size:
            self._connected.settimeout(max(deadline - time.monotonic(), 0.01))
            try:
                part = self._connected.recv(size - len(parts))
            except TimeoutError:
                raise errors.SandboxError(
                    f"the service did not import within {_START_S:g} s",
                    hint="what does it wait for when it is imported?",
                ) from None
            if not part:
                told = self._box.told() if self._box else ""
                raise errors.SandboxError(
                    f"the fork server died: {_last_line(told)}",
                    hint="the service ended its own process, or ran out of what the sandbox allows",
                )
            parts += part
        self._connected.settimeout(None)
        return parts

    def _fork(
        self,
        job: Mapping[str, Any],
        running: dict[int, _Running],
        watch: selectors.BaseSelector,
        timeout_s: float,
        on_line: Callable[[bytes], None] | None,
    ) -> None:
        number, self._next = self._next, self._next + 1
        reader, writer = os.pipe()
        with tempfile.TemporaryFile(dir=memory()) as file:
            file.write(json.dumps(job).encode())
            file.seek(0)
            socket.send_fds(self._connected, [struct.pack("<cI", _FORK, number)], [file.fileno(), writer])
        os.close(writer)
        os.set_blocking(reader, False)
        running[reader] = _Running(number, time.monotonic() + timeout_s, on_line)
        watch.register(reader, selectors.EVENT_READ)

    def _listen(self, running: dict[int, _Running], done: dict[int, Ended], watch: selectors.BaseSelector) -> None:
        for key, _ in watch.select(timeout=0.25):
            if key.fileobj is self._control:
                self._hear(running)
            elif isinstance(key.fileobj, int) and self._drained(key.fileobj, running[key.fileobj]):
                self._finish(key.fileobj, running, done, watch)
        now = time.monotonic()
        self._weigh(running, now)
        for reader, run in list(running.items()):
            if now > run.deadline and not run.ended:
                run.ended = "timeout"
                self._connected.sendall(struct.pack("<cI", _KILL, run.number))
                run.deadline = now + 5
            elif now > run.deadline:
                raise errors.SandboxError("a replay could not be ended; its fork server was")
            if run.size > _LARGEST_RESULT:
                self._connected.sendall(struct.pack("<cI", _KILL, run.number))
                self._finish(reader, running, done, watch)

    def _weigh(self, running: dict[int, _Running], now: float) -> None:
        """End those that have written more than they may; a file's own limit holds meanwhile."""
        if now - self._weighed < _WEIGH_S:
            return
        self._weighed = now
        stored = self._stored()
        for run in running.values():
            written = _size(self._launch.work / f"{run.number:08d}") + stored
            if not run.ended and written > self._launch.limits["disk"]:
                run.ended = "it wrote more than it may"
                self._connected.sendall(struct.pack("<cI", _KILL, run.number))

    def _stored(self) -> int:
        """Bytes of the run's database, the newest of its server, and of what its queries put aside."""
        if not self._config.get("door"):
            return 0
        base = Path(self._config["stored"])
        newest = max((place for place in base.iterdir() if place.name.isdigit()), key=lambda place: int(place.name))
        return _size(newest) + _size(base / "pgsql_tmp")

    def _hear(self, running: dict[int, _Running]) -> None:
        message = self._message(time.monotonic() + 5)
        for run in running.values():
            if run.number == message.get("ended"):
                run.status = int(message["status"])

    def _drained(self, reader: int, run: _Running) -> bool:
        """Take what is there; True when the pipe is closed."""
        try:
            part = os.read(reader, 1 << 20)
        except BlockingIOError:
            return False
        if part and run.on_line is not None:
            run.on_line(part)
        elif part:
            run.parts.append(part)
            run.size += len(part)
        return not part

    def _finish(
        self, reader: int, running: dict[int, _Running], done: dict[int, Ended], watch: selectors.BaseSelector
    ) -> None:
        run = running.pop(reader)
        watch.unregister(reader)
        os.close(reader)
        shutil.rmtree(self._launch.work / f"{run.number:08d}", ignore_errors=True)
        content = b"".join(run.parts)
        why = run.ended or ("finished" if content or run.on_line else "died")
        done[run.number] = Ended(run.number, content, why)


def _last_line(told: str) -> str:
    """What a child process said last: a traceback names this machine's paths, and its last line is the error."""
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    return lines[-1][-300:] if lines else "it said nothing"


def _size(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_blocks * 512
    return total
