"""One fork server: start it behind its walls, hand it jobs, take their results from a pipe each, end it."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shadowlab import errors
from shadowlab.replay.control import Control
from shadowlab.replay.door import Door
from shadowlab.replay.sandboxes import Box, Launch, Sandbox

_LARGEST_RESULT = 64 << 20
_WEIGH_S = 0.2
_END_S = 5.0
"""What ending a child may take."""


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


class Server:
    """One fork server behind its walls. Use as a context manager."""

    def __init__(self, sandbox: Sandbox, launch: Launch, config: Mapping[str, Any]) -> None:
        self._sandbox = sandbox
        self._launch = launch
        self._config = config
        self._box: Box | None = None
        self._control: Control | None = None
        self._door: Door | None = None
        self._next = 0
        self._weighed = 0.0
        self.held: dict[str, Any] = {}
        self.steady = False
        self.clock = ""
        self.kind = ""

    @property
    def work(self) -> Path:
        """Its folder, which its children can read."""
        return self._launch.work

    def __enter__(self) -> Server:
        self.launch()
        self.wait()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def launch(self) -> None:
        """Start the server; it imports the service by itself while others run."""
        work = self.work
        (work / "config.json").write_text(json.dumps(self._config))
        (work / "config.json").chmod(0o644)
        try:
            self._control = Control(work / "control", stderr_tail=lambda: self._box.stderr_tail() if self._box else "")
            self._box = self._sandbox.start(self._launch)
        except BaseException:
            self.close()
            raise

    def wait(self) -> None:
        """Wait until it is ready; raises `SourceError` when the service does not import."""
        try:
            self._connected.accept(alive=self._alive, sandbox=self._sandbox.name)
            self._greet()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the server and all its children."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._box is not None:
            self._box.kill()
            self._box = None
        if self._door is not None:
            self._door.close()
            self._door = None

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
        due, more = self._next, True
        with selectors.DefaultSelector() as watch, _closing(running):
            watch.register(self._connected, selectors.EVENT_READ)
            while more or running or done:
                while more and len(running) < workers and self._next - due < 4 * workers:
                    job = next(waiting, None)
                    if job is None:
                        more = False
                        break
                    reader, number = self._fork(job)
                    running[reader] = _Running(number, time.monotonic() + timeout_s, on_line)
                    watch.register(reader, selectors.EVENT_READ)
                self._listen(running, done, watch)
                while due in done:
                    yield done.pop(due)
                    due += 1

    def load(self, names: list[str]) -> None:
        """Have the server import these modules."""
        self._connected.load(names)

    @property
    def _connected(self) -> Control:
        if self._control is None:
            raise errors.SandboxError("the fork server has ended")
        return self._control

    def _alive(self) -> bool:
        return self._box is not None and self._box.alive()

    def _greet(self) -> None:
        hello = self._connected.message()
        if self._box is not None and isinstance(hello.get("pid"), int):
            self._box.met(hello["pid"])
        held = hello.get("hello")
        self.held, self.steady = held if isinstance(held, dict) else {}, bool(hello.get("steady"))
        if self._config.get("door") and not self._config["socket_at"]:
            self._door = self._opened(Path(self._config["door"]))
        ready = self._connected.message()
        if "failed" in ready:
            raise errors.SourceError(
                f"{self._config['name']}: {str(ready['failed'])[:500]}",
                hint="the entrypoint in shadowlab.toml must import at this revision with the installed packages",
            )
        self.kind, self.clock = str(ready.get("ready")), str(ready.get("clock"))

    def _opened(self, address: Path) -> Door:
        """The one way out of what the server runs, to a socket of this machine."""
        listeners = self._connected.descriptors()
        if not listeners:
            raise errors.SandboxError(
                "this kernel hands no system call to a listener, so that PostgreSQL cannot be reached",
                hint="Linux 5.14 or newer can; --sandbox gvisor needs none",
            )
        return Door(listeners[0], address)

    def _fork(self, job: Mapping[str, Any]) -> tuple[int, int]:
        number, self._next = self._next, self._next + 1
        return self._connected.fork(number, job), number

    def _listen(self, running: dict[int, _Running], done: dict[int, Ended], watch: selectors.BaseSelector) -> None:
        for key, _ in watch.select(timeout=0.25):
            if key.fileobj is self._control:
                self._connected.message(_END_S)  # a child ended: its pipe says so too
            elif isinstance(key.fileobj, int) and self._drained(key.fileobj, running[key.fileobj]):
                self._finish(key.fileobj, running, done, watch)
        now = time.monotonic()
        self._weigh(running, now)
        for reader, run in list(running.items()):
            if now > run.deadline and not run.ended:
                self._end(run, "timeout")
                run.deadline = now + _END_S
            elif now > run.deadline:
                raise errors.SandboxError("a replay could not be ended; its fork server was")
            if run.size > _LARGEST_RESULT:
                self._connected.kill(run.number)
                self._finish(reader, running, done, watch)

    def _end(self, run: _Running, why: str) -> None:
        run.ended = why
        self._connected.kill(run.number)

    def _weigh(self, running: dict[int, _Running], now: float) -> None:
        """End those that have written more than they may; a file's own limit holds meanwhile."""
        if now - self._weighed < _WEIGH_S:
            return
        self._weighed = now
        stored = self._stored()
        for run in running.values():
            written = _size(self.work / f"{run.number:08d}") + stored
            if not run.ended and written > self._launch.limits["disk"]:
                self._end(run, "it wrote more than it may")

    def _stored(self) -> int:
        """Bytes of the run's database, the newest of its server, and of what its queries put aside."""
        if not self._config.get("door"):
            return 0
        base = Path(self._config["stored"])
        newest = max((place for place in base.iterdir() if place.name.isdigit()), key=lambda place: int(place.name))
        return _size(newest) + _size(base / "pgsql_tmp")

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
        shutil.rmtree(self.work / f"{run.number:08d}", ignore_errors=True)
        content = b"".join(run.parts)
        why = run.ended or ("finished" if content or run.on_line else "died")
        done[run.number] = Ended(run.number, content, why)


@contextlib.contextmanager
def _closing(running: dict[int, _Running]) -> Iterator[None]:
    """Close the pipes of jobs that nobody waits for any more."""
    try:
        yield
    finally:
        for reader in running:
            os.close(reader)


def _size(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_blocks * 512
    return total
