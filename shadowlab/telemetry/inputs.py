"""What people name: files, folders, globs, addresses, standard input; packed or not."""

from __future__ import annotations

import glob
import hashlib
import os
import select
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from shadowlab import errors
from shadowlab.telemetry import attachments
from shadowlab.telemetry.connection import is_the_machines
from shadowlab.telemetry.framed import ZSTD, Framed, is_framed

_GZIP: Final = b"\x1f\x8b"
_MOST_GROWTH: Final = 400
"""Bytes out for a byte in, beyond which a packed file is a bomb; real telemetry packs 10 to 60 times."""
_HARMLESS: Final = 256 << 20
_BLOCK: Final = 1 << 20
_PEEK: Final = 4 << 10
"""Bytes that are lost before damage in what a packed file starts with."""


@dataclass(slots=True)
class Input:
    """One thing to read."""

    name: str
    """As it was named, for people."""
    place: str
    """A path, an address, or `-`."""
    sha256: str = ""
    """Of the bytes as they were; known once they were read to the end."""

    @property
    def path(self) -> Path | None:
        """Where it lies on this machine."""
        return None if self.place == "-" or "://" in self.place else Path(self.place)

    @property
    def size(self) -> int:
        """Bytes, where that is known beforehand; else 0."""
        return self.path.stat().st_size if self.path and self.path.is_file() else 0


def expand(paths: Sequence[str | os.PathLike[str]]) -> Iterator[Input]:
    """Each file that the paths name, in their order; the files of a folder or glob by name, without hidden ones.

    A folder that rr wrote is one input.
    """
    for given in paths:
        name = os.fspath(given)
        if name == "-":
            yield Input("standard input", "-")
        elif "://" in name:
            yield from _remote(name)
        elif os.path.isdir(name):
            yield from (Input(str(path), str(path)) for path in attachments.below(Path(name)))
        elif not os.path.exists(name) and glob.has_magic(name):
            found_names = sorted(n for n in glob.glob(name, recursive=True) if os.path.isfile(n))
            yield from (Input(n, n) for n in found_names or [name])
        else:
            yield Input(name, name)


def _remote(name: str) -> Iterator[Input]:
    import fsspec

    if not glob.has_magic(name):
        yield Input(name, name)
        return
    try:
        listed = [file.full_name for file in fsspec.open_files(name, "rb")]
    except Exception:  # every backend has errors of its own; opening it as it stands says which
        listed = [name]
    yield from (Input(place, place) for place in listed)


@contextmanager
def opened(given: Input) -> Iterator[BinaryIO]:
    """The bytes of an input as they are; raises `TelemetryError` when it cannot be opened."""
    try:
        with closing(_open(given.place)) as stream:
            yield stream
    except OSError as exc:
        if is_the_machines(exc):
            raise
        why = exc.strerror or "nothing answers there, or it has no such file" if "://" in given.place else exc.strerror
        raise errors.TelemetryError(f"cannot be read: {why or exc}") from exc


def _open(place: str) -> BinaryIO:
    if place == "-":
        if sys.stdin is None:
            raise errors.TelemetryError("cannot be read: it is closed")
        return cast(BinaryIO, Piped(sys.stdin.fileno()))
    if "://" in place:
        import fsspec

        try:
            return cast(BinaryIO, fsspec.open(place, "rb").open())
        except OSError:
            raise
        except Exception as exc:  # every backend has errors of its own
            raise errors.TelemetryError(f"cannot be opened: {exc}") from exc
    return open(place, "rb", buffering=0)  # all are read in blocks


class Piped:
    """A descriptor that another program may keep open for as long as it likes; `stop` ends a read that waits for it."""

    def __init__(self, descriptor: int) -> None:
        self._from = os.dup(descriptor)
        self._stopped, self._stop = os.pipe()

    def read(self, size: int = -1) -> bytes:
        """As a file's `read`; raises `InterruptedError` once it was stopped."""
        blocks = []
        while size and (block := self._arrived(_BLOCK if size < 0 else min(size, _BLOCK))):
            blocks.append(block)
            size -= len(block) if size > 0 else 0
        return b"".join(blocks)

    def _arrived(self, most: int) -> bytes:
        ready, _, _ = select.select([self._stopped, self._from], [], [])
        if self._stopped in ready:
            raise InterruptedError("stopped before its end")
        return os.read(self._from, most)

    def stop(self) -> None:
        """Let no read wait any longer, whichever thread it is in."""
        os.write(self._stop, b"x")

    def close(self) -> None:
        """Give the descriptors back."""
        for descriptor in (self._from, self._stopped, self._stop):
            os.close(descriptor)


@dataclass(slots=True)
class Hashed:
    """A stream that hashes what is read from it; `peek` looks ahead."""

    stream: BinaryIO
    size: int = 0
    _hash: Any = field(default_factory=hashlib.sha256)
    _ahead: bytes = b""

    def peek(self, size: int) -> bytes:
        """The next bytes, without taking them; fewer at the end."""
        while len(self._ahead) < size and (block := self.stream.read(size - len(self._ahead))):
            self._ahead += block
        return self._ahead[:size]

    def read(self, size: int = -1) -> bytes:
        """As a file's `read`."""
        if self._ahead:
            block, self._ahead = (self._ahead, b"") if size < 0 else (self._ahead[:size], self._ahead[size:])
            if size < 0:
                block += self.stream.read()
        else:
            block = self.stream.read(size)
        self._hash.update(block)
        self.size += len(block)
        return block

    def stop(self) -> None:
        """End a read that waits in another thread, where what it waits for may never come."""
        if isinstance(self.stream, Piped):
            self.stream.stop()

    def sha256(self) -> str:
        """Of everything, the rest of the stream included."""
        while self.read(_BLOCK):
            pass
        return str(self._hash.hexdigest())


class Unpacked:
    """A stream unpacked by what its first bytes say: gzip, zstd, messages of zstd, or as it is.

    Refuses what grows beyond all measure. `size` is that of the packed stream, 0 where nobody knows it.
    """

    def __init__(self, packed: Hashed, size: int = 0) -> None:
        self._packed, self._packed_size = packed, size
        head, framed = packed.peek(4), is_framed(packed.peek(8))
        self.compression = "gzip" if head.startswith(_GZIP) else "zstd" if framed or head == ZSTD else None
        self._stream: Any = Framed(packed) if framed else packed
        if self.compression and not framed:
            import pyarrow

            self._stream = pyarrow.CompressedInputStream(_AsFile(packed), self.compression)
        self._size = 0
        self._ahead = b""
        self._damage: OSError | None = None
        self.whole: Path | None = None
        """The file itself, when it lies on this machine, is not packed and is small enough to be read at once."""

    @property
    def taken(self) -> int:
        """Packed bytes that were read so far."""
        return self._packed.size

    @property
    def left(self) -> int | None:
        """About how many bytes are still to be read, should the rest pack as the start did; None if nobody knows."""
        if not self._packed_size or not self.taken:
            return None
        return max(self._packed_size - self.taken, 0) * self._size // self.taken

    def stop(self) -> None:
        """End a read that waits in another thread."""
        self._packed.stop()

    def peek(self, size: int) -> bytes:
        """The next bytes, without taking them; fewer at the end, or before damage that `read` will raise."""
        try:
            while len(self._ahead) < size and (block := self._unpacked(min(_PEEK, size - len(self._ahead)))):
                self._ahead += block
        except OSError as exc:
            if not self._ahead:
                raise
            self._damage = exc
        return self._ahead[:size]

    def read(self, size: int = _BLOCK) -> bytes:
        """Up to `size` bytes; none at the end. Raises `OSError` for damage, and for a bomb."""
        if self._ahead:
            block, self._ahead = self._ahead[:size], self._ahead[size:]
            return block
        return self._unpacked(size)

    def _unpacked(self, size: int) -> bytes:
        if self._damage:
            raise self._damage
        block = bytes(self._stream.read(size))
        self._size += len(block)
        if self.compression and self._size > _HARMLESS and self._size > _MOST_GROWTH * max(self._packed.size, 1):
            raise OSError(f"unpacks to more than {_MOST_GROWTH} times its size; stopped after {self._size >> 20} MiB")
        return block


class _AsFile:
    """What pyarrow needs of a Python file."""

    def __init__(self, stream: Hashed) -> None:
        self._stream = stream
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(size)

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True
