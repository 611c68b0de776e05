"""A receiver from its first request to its last: doors, log, turns, and a clean leave."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.util
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shadowlab import errors, privacy
from shadowlab.case import Case
from shadowlab.records import Ingest
from shadowlab.telemetry.receiver import drain, log, place
from shadowlab.telemetry.receiver.commit import Committer
from shadowlab.telemetry.receiver.intake import Intake, Limits
from shadowlab.telemetry.receiver.listen import Address, Listen
from shadowlab.telemetry.receiver.merging import Care, Merging
from shadowlab.telemetry.receiver.status import Status

_LEAVE_S: Final = 10.0
"""How long requests in hand may take when the receiver leaves."""
_LONGEST_WAIT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Told:
    """What a receiver says of itself: where it listens, once; then what it does."""

    status: Status
    rate: float
    doors: tuple[str, ...]
    warnings: tuple[str, ...] = ()


Tell = Callable[[Told], None]


def left_over(case: Case) -> bool:
    """Whether there is a log that no segment holds: a receiver is at work, or was killed."""
    return bool(log.files(place.folder(case)))


def recover(case: Case) -> Ingest | None:
    """Take in the log that a killed receiver left; `None` when there is none, or a receiver is at work.

    Raises `CaseError` when the case cannot be written; the log is still there then.
    """
    if not left_over(case):
        return None
    try:
        with place.held(case, "taking in a log") as folder:
            found = log.files(folder)
            return drain.drain(case, found) if found else None
    except place.Held:
        return None
    except OSError as exc:
        raise errors.CaseError(
            f"what was received into {case.path} cannot be stored: {exc.strerror}", hint="it is still in the log"
        ) from exc


def receive(
    case: Case,
    listen: Listen,
    *,
    redact: str | None = "default",
    limits: Limits | None = None,
    stop: threading.Event | None = None,
    tell: Tell | None = None,
    care: Care | None = None,
) -> Ingest:
    """Receive until `stop` is set, or SIGINT or SIGTERM comes; gives what the case gained.

    What was answered is on the disk. `tell` is called about once a second, first when every door is open; `care`
    says which window is kept, and who hears of segments that go. Raises `CaseError` when another receiver is
    at it, `UsageError` for an address, certificate or policy that cannot be used.
    """
    privacy.macros(redact)
    if listen.grpc and importlib.util.find_spec("grpc") is None:
        raise errors.UsageError(
            "--grpc needs the package grpcio, which is not installed", hint="pip install 'shadowlab[grpc]'"
        )
    stop = stop or threading.Event()
    with place.held(case, f"receiving on {_spoken(listen)}") as folder:
        committer = Committer(log.Log(folder, log.Header(redaction=redact or "off")))
        receiver = _Receiver(case, folder, committer, limits or Limits(), listen)
        merging = Merging(case, folder, receiver.status, care or Care())
        with _stopping_on_signals(stop):
            with merging.going_on(), receiver.open():
                receiver.work(stop, tell)
            return receiver.finish()


class _Receiver:
    def __init__(self, case: Case, folder: Path, committer: Committer, limits: Limits, listen: Listen) -> None:
        self.case, self.folder, self.committer, self.limits, self.listen = case, folder, committer, limits, listen
        self.status = Status()
        self.intake = Intake(committer, self.status, limits, listen.token)
        self.gained = Ingest()
        self.doors: tuple[str, ...] = ()
        self._closers: list[Callable[[], Any]] = []
        self._failures = 0
        self._retry_at = 0.0

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Log writing, doors open; closed the other way round."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="shadowlab-doors", daemon=True)
        self.committer.start()
        thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._open(), loop).result()
            yield
        finally:
            asyncio.run_coroutine_threadsafe(self._close(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
            self.committer.close()

    async def _open(self) -> None:
        from shadowlab.telemetry.receiver import http, rpc

        context = self.listen.context()
        if address := self.listen.http:
            with _binding(address):
                server, port = http.serve(self.intake, address.host, address.port, context)
            self._closers.append(functools.partial(self._leave_http, server))
            self.doors += (f"{'https' if context else 'http'}://{Address(address.host, port)}",)
        if address := self.listen.grpc:
            with _binding(address):
                calls, port = await rpc.serve(self.intake, address, self.listen)
            self._closers.append(functools.partial(calls.stop, _LEAVE_S))
            self.doors += (f"grpc://{Address(address.host, port)}",)

    async def _close(self) -> None:
        self.intake.open = False
        for close in self._closers:
            await close()

    async def _leave_http(self, server: Any) -> None:
        server.stop()
        deadline = time.monotonic() + _LEAVE_S
        while self.intake.active and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.05)  # the last answers are on their way
        await server.close_all_connections()

    def work(self, stop: threading.Event, tell: Tell | None) -> None:
        """Turn the log into segments, about once an interval, until it is time to leave."""
        before, since, pace = 0, time.monotonic(), 0.0
        while True:
            now = time.monotonic()
            if now > since:
                pace, before, since = (self.status.records - before) / (now - since), self.status.records, now
            if tell:
                tell(Told(self.status, pace, self.doors, self.listen.warnings))
            if stop.wait(self.limits.interval_s):
                return
            self._measure()
            if time.monotonic() >= self._retry_at:
                self._turn(self.committer.seal())
                self._measure()

    def finish(self) -> Ingest:
        """Take in what is left; what cannot be stored now stays in the log, and the next receiver takes it."""
        self._turn(None)
        return self.gained

    def _measure(self) -> None:
        total = 0
        for path in log.files(self.folder):
            with contextlib.suppress(FileNotFoundError):
                total += path.stat().st_size
        self.status.log_bytes, self.status.waiting_bytes = total, self.committer.waiting

    def _turn(self, bound: int | None) -> None:
        whole = [path for path in log.files(self.folder) if bound is None or log.number(path) < bound]
        if not whole:
            return
        try:
            done = drain.drain(self.case, whole)
        except (OSError, errors.ShadowlabError) as exc:
            self._failures += 1
            self._retry_at = time.monotonic() + min(_LONGEST_WAIT_S, 0.5 * 2**self._failures)
            self.status.failed(f"cannot store: {exc.strerror if isinstance(exc, OSError) else exc.args[0]}")
        else:
            self._failures = 0
            self.gained = drain.added(self.gained, done)
            self.status.drained(done.spans + done.logs + done.metric_points)


@contextlib.contextmanager
def _binding(address: Address) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise errors.UsageError(
            f"cannot listen on {address}: {exc.strerror}", hint="name another port, or 0 for a free one"
        ) from exc


def _spoken(listen: Listen) -> str:
    return " and ".join(f"{name} {door}" for name, door in (("http", listen.http), ("grpc", listen.grpc)) if door)


@contextlib.contextmanager
def _stopping_on_signals(stop: threading.Event) -> Iterator[None]:
    """SIGINT and SIGTERM set `stop`, where this thread may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
