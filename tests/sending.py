"""Send OTLP to a receiver that runs for a test, in this process or in one that may be killed."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shadowlab.case import Case
from shadowlab.records import Ingest
from shadowlab.telemetry import receiver

JSON, PROTOBUF = "application/json", "application/x-protobuf"


@dataclass
class Running:
    """A receiver at work."""

    doors: tuple[str, ...]
    stop: Callable[[], Any]
    told: list[receiver.Told] = field(default_factory=list)
    gained: Ingest | None = None
    process: subprocess.Popen[str] | None = None

    @property
    def http(self) -> str:
        return next(door for door in self.doors if door.startswith("http"))

    @property
    def grpc(self) -> str:
        return next(door for door in self.doors if door.startswith("grpc")).removeprefix("grpc://")

    def post(self, path: str, body: bytes, kind: str = JSON, **headers: str) -> tuple[int, bytes, Any]:
        """Status, body and headers of the answer; header names with `_` for a dash."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return fetch(f"{self.http}{path}", body, {"Content-Type": kind, **named})


def fetch(url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, bytes, Any]:
    """Status, body and headers, also of a refusal."""
    request = urllib.request.Request(url, data=body, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as exc:
        return exc.code, exc.read(), exc.headers


@contextlib.contextmanager
def receiving(
    case: Case, *, http: str = "127.0.0.1:0", grpc: str | None = None, interval_s: float = 0.2, **told: Any
) -> Iterator[Running]:
    """A receiver in a thread; it has left, and `gained` is set, after the block."""
    limits = receiver.Limits(interval_s=interval_s, **told.pop("limits", {}))
    listen = receiver.Listen.read(http=http, grpc=grpc, **{k: told.pop(k) for k in ("token_file", "tls") if k in told})
    ready, stop, result = threading.Event(), threading.Event(), Running((), threading.Event().set)
    faults: list[BaseException] = []

    def tell(saying: receiver.Told) -> None:
        result.doors = saying.doors
        result.told.append(saying)
        ready.set()

    def run() -> None:
        try:
            result.gained = receiver.receive(case, listen, limits=limits, stop=stop, tell=tell, **told)
        except BaseException as exc:
            faults.append(exc)
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait(60)
    try:
        if faults:
            raise faults[0]
        yield result
    finally:
        stop.set()
        thread.join(90)
    if faults:
        raise faults[0]


@contextlib.contextmanager
def receiving_apart(path: Path, *options: str, before: Callable[[], None] | None = None) -> Iterator[Running]:
    """`shadowlab receive` as a process of its own, killed at the end if it is still there."""
    command = [sys.executable, "-m", "shadowlab", "receive", str(path), "--http", "127.0.0.1:0", *options]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=before, env=environment
    )
    assert process.stderr is not None
    try:
        first = process.stderr.readline()
        doors = tuple(re.findall(r"(?:https?|grpc)://[^\s;]+", first))
        assert doors, first + process.stderr.read()
        yield Running(doors, lambda: process.send_signal(signal.SIGTERM), process=process)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=30)
