"""The database as it was before the request."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from shadowlab_recorder.database import Table

MIB = 1 << 20


class Image:
    """The bytes of one state of a database; requests that saw the same state share it."""

    __slots__ = ("_sha256", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._sha256: str | None = None

    @property
    def sha256(self) -> str:
        """Of the database's own bytes, before compression."""
        if self._sha256 is None:
            self._sha256 = hashlib.sha256(self.data).hexdigest()
        return self._sha256


class Held(Protocol):
    """A state that a server holds until it is released; it is asked for only if the recording is written."""

    def dump(self, touched: list[str]) -> list[tuple[Table, list[tuple[Any, ...]]]]:
        """The named tables with all their rows; those that are too large are left out."""

    def release(self) -> None:
        """Lets go of the state; again and again does no harm."""


class Snapshot(Protocol):
    """Something that can say what a database holds right now."""

    environment: str | None

    def take(self) -> Image | Held | None:
        """The present state, None when it cannot be had in time."""


class SqliteSnapshot:
    """A SQLite database, read through a connection of our own that never writes.

    The image is taken again only when `PRAGMA data_version` says that another connection has committed since. A
    database larger than `limit` bytes is not taken. What other requests commit after the image and before this
    request reads is not in it: a service that writes from many requests at once should prefer the mirror.
    """

    def __init__(self, path: str | os.PathLike[str], *, environment: str | None = None, limit: int = 16 * MIB) -> None:
        self.path = _path(os.fspath(path))
        self.environment = environment
        """Name of the environment variable that tells the service where its database is."""
        self.limit = limit
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._owner: tuple[int, int, int] | None = None
        self._version: int | None = None
        self._image: Image | None = None

    def take(self) -> Image | None:
        """The database now, None when it is absent, locked, too large or no database."""
        with self._lock:
            try:
                return self._take()
            except (OSError, sqlite3.Error):
                self._version = None
                return None

    def _take(self) -> Image | None:
        connection = self._connected()
        version = int(connection.execute("PRAGMA data_version").fetchone()[0])
        if self._image is not None and version == self._version:
            return self._image
        if _size(connection) > self.limit:
            return None
        self._image = Image(_alone(_serialize(connection)))
        self._version = version
        return self._image

    def _connected(self) -> sqlite3.Connection:
        """The connection, opened anew after a fork and when another file has taken the path."""
        found = self.path.stat()
        owner = (os.getpid(), found.st_dev, found.st_ino)
        if self._connection is None or owner != self._owner:
            address = f"{self.path.absolute().as_uri()}?mode=ro"
            self._connection = sqlite3.connect(
                address, uri=True, timeout=0.1, isolation_level=None, check_same_thread=False
            )
            self._owner, self._version, self._image = owner, None, None
        return self._connection


def _path(path: str) -> Path:
    """A file's path, also out of `sqlite:///relative.db`, `sqlite+driver:////absolute.db`."""
    scheme, mark, rest = path.partition(":///")
    return Path(rest.partition("?")[0]) if mark and scheme.startswith("sqlite") else Path(path)


def _size(connection: sqlite3.Connection) -> int:
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    return int(pages) * int(connection.execute("PRAGMA page_size").fetchone()[0])


def _serialize(connection: sqlite3.Connection) -> bytes:
    serialize = getattr(connection, "serialize", None)  # Python 3.11
    return bytes(serialize()) if serialize is not None else _backup(connection)


def _backup(connection: sqlite3.Connection) -> bytes:
    """The same through a file, for Python 3.10."""
    with tempfile.TemporaryDirectory(prefix="shadowlab-") as folder:
        copy = Path(folder, "copy.sqlite")
        target = sqlite3.connect(copy)
        try:
            connection.backup(target)
        finally:
            target.close()
        return copy.read_bytes()


def _alone(data: bytes) -> bytes:
    """The image with its journal mode set back from WAL, so that it opens with no second file beside it.

    Bytes 18 and 19 of the header, https://www.sqlite.org/fileformat.html section 1.3.3.
    """
    return data[:18] + b"\x01\x01" + data[20:] if data[18:20] == b"\x02\x02" else data
