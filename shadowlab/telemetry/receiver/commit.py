"""One thread that writes the log: everything that waits is written at once and flushed once (group commit)."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from typing import Final

from shadowlab.telemetry.receiver.log import Log

_BATCH: Final = 8 << 20
"""Bytes written at once, at most (one record may be larger)."""


class Committer:
    """Owns the log from `start` to `close`; any thread may `submit`."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._asked: queue.SimpleQueue[tuple[bytes, Future[None]] | Future[int] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="shadowlab-log", daemon=True)
        self.waiting = 0
        """Bytes handed in and not yet on the disk."""
        self._counting = threading.Lock()

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def submit(self, record: bytes) -> Future[None]:
        """Ask for a packed record to be written; the future is done when it is on the disk, or holds the `OSError`."""
        done: Future[None] = Future()
        with self._counting:
            self.waiting += len(record)
        self._asked.put((record, done))
        return done

    def seal(self) -> int:
        """End the file that is being written; every file with a lower number than it gives is whole."""
        done: Future[int] = Future()
        self._asked.put(done)
        return done.result()

    def close(self) -> None:
        """Write what was submitted, seal the file, end the thread."""
        self._asked.put(None)
        self._thread.join()

    def _run(self) -> None:
        batch: list[tuple[bytes, Future[None]]] = []
        while True:
            asked = self._asked.get()
            size = 0
            while isinstance(asked, tuple):
                batch.append(asked)
                size += len(asked[0])
                if size >= _BATCH or self._asked.empty():
                    break
                asked = self._asked.get()
            self._commit(batch)
            batch.clear()
            if isinstance(asked, Future):
                asked.set_result(self._log.seal())
            elif asked is None:
                self._log.seal()
                return

    def _commit(self, batch: list[tuple[bytes, Future[None]]]) -> None:
        if not batch:
            return
        fault: OSError | None = None
        try:
            self._log.append([record for record, _ in batch])
        except OSError as exc:
            fault = exc
        with self._counting:
            self.waiting -= sum(len(record) for record, _ in batch)
        for _, done in batch:
            if not done.set_running_or_notify_cancel():
                continue
            if fault is None:
                done.set_result(None)
            else:
                done.set_exception(fault)
