"""Write recordings from a thread of their own: bounded, whole or not at all, never in the service's way."""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import lzma
import os
import threading
import time
import weakref
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from shadowlab_recorder.snapshot import Image
from shadowlab_recorder.tape import Tape

Build = Callable[[Tape, "str | None"], dict[str, Any]]
"""Makes the document of a tape; the second argument is the path of its database blob."""

_log = logging.getLogger("shadowlab_recorder")
_MEASURE_EVERY = 200
_WIDTH = 120
_DEPTH = 8
_SLICE_S = 0.0001
"""Work that is done in one go: a request that runs meanwhile waits for the interpreter as long."""
_REST_S = 0.002
_CALM = 16
"""As long as fewer recordings wait, there is time to rest."""


class _Full(Exception):
    """The folder holds as much as it may."""


class Writer:
    """A bounded queue and one daemon thread per process, started when there is something to write."""

    def __init__(
        self, directory: Path, build: Build, *, queue_length: int, queue_bytes: int, disk_bytes: int = 1 << 30
    ) -> None:
        self.directory = directory
        self.counts: Counter[str] = Counter()
        """`written`, `dropped` (queue or folder were full), `failed` (the disk, or it could not be made)."""
        self._build = build
        self._queue_length = queue_length
        self._queue_bytes = queue_bytes
        self._disk_bytes = disk_bytes
        self._on_disk = 0
        self._until_measured = 0
        self._slice_ends = 0.0
        self._versions: tuple[Any, str] = (None, "")
        self.forget()
        _writers.add(self)

    def put(self, tape: Tape) -> bool:
        """Takes a finished tape; False when it was dropped. Never waits."""
        weight = tape.weight()
        with self._changed:
            full = len(self._queue) >= self._queue_length or self._weight + weight > self._queue_bytes
            if not full:
                self._queue.append((tape, weight))
                self._weight += weight
                self._start()
                self._changed.notify_all()
        if full:
            self._count("dropped", "the queue is full")
        return not full

    def flush(self, timeout: float = 10.0) -> bool:
        """Waits until everything that was put is on the disk; False when that took longer than `timeout` seconds."""
        end = time.monotonic() + timeout
        with self._changed:
            self._awaited += 1
            try:
                while self._queue or self._busy:
                    if not self._changed.wait(end - time.monotonic()):
                        return False
            finally:
                self._awaited -= 1
        return True

    def pause(self) -> None:
        """Lets the service have the interpreter when a slice of work is done; called between small pieces of it.

        A thread that computes is asked for the interpreter only every 5 ms, which is longer than most requests take.
        The more recordings wait, the shorter is a rest; while many do, or somebody waits for them, there is none.
        """
        if perf_counter() < self._slice_ends:
            return
        waiting = len(self._queue)
        if not self._awaited and waiting < _CALM:
            time.sleep(_REST_S / (1 + waiting))
        self._slice_ends = perf_counter() + _SLICE_S

    def forget(self) -> None:
        """An empty queue and no thread: at the start, and in a child after a fork."""
        self._changed = threading.Condition()
        self._queue: deque[tuple[Tape, int]] = deque()
        self._weight = 0
        self._busy = False
        self._awaited = 0
        self._thread: threading.Thread | None = None

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="shadowlab-recorder", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._queue:
                    self._changed.wait()
                tape, weight = self._queue.popleft()
                self._busy = True
            try:
                self._write(tape)
            except _Full:
                self._count("dropped", f"{self.directory} holds {self._on_disk >> 20} MiB")
            except Exception as error:
                # A full disk, a read-only folder, a value that no rule foresaw: the service must not notice.
                self._count("failed", f"{type(error).__name__} in {self.directory}")
            else:
                self.counts["written"] += 1
            with self._changed:
                self._busy = False
                self._weight -= weight
                self._changed.notify_all()

    def _write(self, tape: Tape) -> None:
        self.pause()  # the request that failed is still being answered
        self.directory.mkdir(parents=True, exist_ok=True)
        blob = self._blob(tape.snapshot) if tape.snapshot else None
        self._put(self.directory / f"{tape.id}.json", self._text(self._build(tape, blob)))

    def _put(self, path: Path, content: bytes) -> None:
        """Writes a file unless the folder would hold too much; what others write into it is seen now and then."""
        self._until_measured -= 1
        if self._until_measured < 0:
            self._on_disk, self._until_measured = _measured(self.directory), _MEASURE_EVERY
        if self._on_disk + len(content) > self._disk_bytes:
            raise _Full
        _replace(path, content)
        self._on_disk += len(content)

    def _blob(self, image: Image) -> str:
        """The database's image beside the recordings, compressed, named by the digest of its bytes; written once."""
        path = self.directory / "blobs" / f"{image.sha256}.sqlite.xz"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            self._put(path, compressed(image.data))
        return f"blobs/{path.name}"

    def _text(self, document: dict[str, Any]) -> bytes:
        try:
            parts = (f" {_dumped(name)}: {self._part(name, each)}" for name, each in document.items())
            return b"{\n" + ",\n".join(parts).encode() + b"\n}\n"
        except UnicodeEncodeError:  # half a character, as names and variables of a foreign encoding have it
            return json.dumps(document).encode() + b"\n"

    def _part(self, name: str, value: Any) -> str:
        """A part of a document as text; `versions`, one object for all of a process, is worked out once."""
        if name != "versions":
            return readable(value, " ", pause=self.pause)
        if self._versions[0] is not value:
            self._versions = (value, readable(value, " ", pause=self.pause))
        return self._versions[1]

    def _count(self, what: str, why: str) -> None:
        """Counts a recording that was lost, and says so at the first and then at each power of two."""
        self.counts[what] += 1
        count = self.counts[what]
        if count & (count - 1) == 0:
            _log.warning("shadowlab-recorder: %s recordings so far: %d (%s)", what, count, why)


_writers: weakref.WeakSet[Writer] = weakref.WeakSet()
"""Those that are in use; one that has something to write is held by its thread."""


@atexit.register
def _flush_all() -> None:
    for writer in list(_writers):
        writer.flush(5.0)


def _forget_all() -> None:
    for writer in list(_writers):
        writer.forget()


os.register_at_fork(after_in_child=_forget_all)


_dumped = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode  # `json.dumps` would make one for each value


def readable(value: Any, margin: str, *, pause: Callable[[], None]) -> str:
    """JSON in the value's own order; what fits on one line, or lies deep, is left on one line."""
    text = _dumped(value)
    if not isinstance(value, (dict, list)) or len(margin) + len(text) <= _WIDTH or len(margin) >= _DEPTH:
        return text
    pause()
    inner = margin + " "
    if isinstance(value, dict):
        rows = [f"{inner}{_dumped(name)}: {readable(each, inner, pause=pause)}" for name, each in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{margin}}}"
    return "[\n" + ",\n".join(inner + readable(item, inner, pause=pause) for item in value) + f"\n{margin}]"


def compressed(data: bytes) -> bytes:
    """xz with a dictionary no larger than the data needs, so that the encoder stays small in memory."""
    dictionary = min(max(1 << 12, 1 << (len(data) - 1).bit_length()), 1 << 22)
    return lzma.compress(data, filters=[{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": dictionary}])


def _replace(path: Path, content: bytes) -> None:
    """Writes beside and renames, so that a reader sees all of it or nothing."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        beside.write_bytes(content)
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _measured(folder: Path) -> int:
    """Bytes of all files of a folder and of its blobs."""
    found = 0
    for part in (folder, folder / "blobs"):
        with contextlib.suppress(OSError), os.scandir(part) as entries:
            found += sum(entry.stat().st_size for entry in entries if entry.is_file(follow_symlinks=False))
    return found
