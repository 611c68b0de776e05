"""What every reader is: it recognises a file by its first bytes and cuts it into portions that can be staged."""

from __future__ import annotations

import bisect
import math
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from shadowlab.records import Rejected
from shadowlab.telemetry.inputs import Unpacked

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

HEAD: Final = 1 << 16
"""Bytes that `Reader.recognises` sees."""
PORTION: Final = 160 << 20
"""Bytes of a portion: what is staged at a time, about a row group of spans, and so what bounds memory."""
LONGEST: Final = 64 << 20
"""Bytes of the longest line, document or message that is read."""
MOST_REJECTED: Final = 1000
"""Rejected records that one file lists; the rest is counted."""


@dataclass(slots=True)
class Faults:
    """What of one file could not be kept, in the order of the file: it is cut in one thread and read in another."""

    file: str
    listed: list[Rejected] = field(default_factory=list)
    more: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, position: str, reason: str) -> None:
        """One record that could not be kept."""
        told = Rejected(file=self.file, position=position, reason=reason[:500])
        with self._lock:
            bisect.insort(self.listed, told, key=_place)
            if len(self.listed) > MOST_REJECTED:
                self.listed.pop()
                self.more += 1

    def rejected(self) -> list[Rejected]:
        """All of them, with a last entry for those that were only counted."""
        if not self.more:
            return self.listed
        return [*self.listed, Rejected(file=self.file, position="after that", reason=f"{self.more} more records")]


def _place(told: Rejected) -> float:
    """The line or request; what has no number is at the end of a file."""
    number = re.search(r"\d{1,18}", told.position)
    return int(number[0]) if number else math.inf


class Portion(Protocol):
    """A part of a file that fits in memory."""

    @property
    def position(self) -> str:
        """Where in its file it starts, for people."""

    def stage(self, con: DuckDBPyConnection) -> int:
        """Put the records into the staging tables; gives how many requests there were, good or empty.

        Leaves nothing staged when it raises `duckdb.Error`.
        """


class Reader(Protocol):
    """One format."""

    name: str
    """As `IngestedFile.format` says it."""

    def recognises(self, head: bytes) -> bool:
        """Whether a file that starts with these bytes is of this format."""

    def portions(self, stream: Unpacked, spool: Path, faults: Faults) -> Iterator[Portion]:
        """Cut an unpacked stream into portions; `spool` is a folder for what must lie on the disk for a while."""
