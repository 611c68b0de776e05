"""Append in a thread: while one turn of rows is moved into the segment, the next is read and staged.

Who calls DuckDB works in it. Two threads call it here, so that it has one of its own less than there are cores: with as
many, two cores spend a tenth of their time on handing work to each other. It has them from the start, because DuckDB
gives all memory back that it could use again whenever their number changes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shadowlab.telemetry import appending, looking, readers, segment
from shadowlab.telemetry.connection import statements
from shadowlab.telemetry.looking import Staged
from shadowlab.telemetry.readers import Portion
from shadowlab.telemetry.segment import ROW_GROUP, SIGNALS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MOST: Final = 2
"""Turns that are under way before staging has to wait."""
_MOST_ROWS: Final = 4 * ROW_GROUP
"""More rows take more memory in a turn than they save time."""


@dataclass(frozen=True, slots=True)
class Share:
    """The staged rows of one file: per signal the first row id that is its own, and the first that is the next's."""

    whose: Any
    first: Mapping[str, int]
    until: Mapping[str, int] | None


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn added."""

    added: appending.Added
    shares: tuple[tuple[Any, int], ...]
    """For each file its new rows."""


@dataclass(frozen=True, slots=True)
class Beside:
    """A portion that the other thread stages."""

    turn: int
    """The number of its turn."""
    found: Future[int]
    """As `Portion.stage` gives it, and raises it."""


class Turns:
    """Each turn's tables lie in a schema of its own; rows are staged in the one that began last."""

    def __init__(self, con: DuckDBPyConnection, variables: Mapping[str, bytes], correlation: Sequence[str]) -> None:
        self._con, self._own, self._correlation = con, con.cursor(), correlation
        self._pool = ThreadPoolExecutor(1, "appending")
        self._pending: deque[Future[Turn]] = deque()
        self._begun = 0
        cores = int(con.execute("SELECT current_setting('threads')").fetchall()[0][0])
        threads = max(cores - 1, 1)
        con.execute(f"SET threads = {threads}")
        self._rows = min(ROW_GROUP * threads, _MOST_ROWS)
        for each in (self._con, self._own):
            for name, value in variables.items():
                each.execute(f"SET VARIABLE {name} = $value", {"value": value})
        appending.prepare(self._own)
        for each in (self._con, self._own):
            readers.remember(each)
        con.execute("SET preserve_insertion_order = true")  # what came in order need not be sorted

    def open(self) -> None:
        """Make the tables of the next turn, once what its statements call is there."""
        self._begun += 1
        self._con.execute(f"CREATE SCHEMA memory.turn_{self._begun}")
        self._con.execute(_within(self._begun))
        self._con.execute(statements("stage"))

    def stage_beside(self, portion: Portion) -> Beside:
        """Stage a portion in the other thread, for a turn of its own; what is staged from now on comes after it."""
        beside = Beside(self._begun, self._pool.submit(self._stage, self._begun, portion))
        self.open()
        return beside

    def look(self, *, ending: bool) -> Staged | None:
        """Look through what is staged where this thread would only wait else; None leaves that to the other.

        It waits for the oldest turn when all are under way, and for each of them when staging is `ending`.
        """
        awaited = self._pending[-1 if ending else 0] if self._pending and (ending or self.full) else None
        return self._look(self._con) if awaited and not awaited.done() else None

    def begin(
        self,
        staged: Staged | None,
        into: Path,
        shares: Sequence[Share],
        known: Sequence[str],
        *,
        number: int | None = None,
    ) -> None:
        """Start the turn at hand, or that of a `number`, with what is staged for it; the segment's file is `into`."""
        which = self._begun if number is None else number
        turn = self._pool.submit(self._append, which, staged, into, tuple(shares), tuple(known))
        self._pending.append(turn)
        if number is None:
            self.open()

    def due(self, staged: int) -> bool:
        """Whether the `staged` rows are worth a turn: a row group for each thread, or one when the other is idle."""
        return staged >= (ROW_GROUP if self.idle else self._rows)

    @property
    def idle(self) -> bool:
        """Whether the other thread has nothing to do."""
        return all(turn.done() for turn in self._pending)

    @property
    def full(self) -> bool:
        """Whether a turn should be collected before the next begins."""
        return len(self._pending) >= _MOST

    def collect(self) -> Turn | None:
        """Wait for the oldest turn; gives what it added, None when none is under way. Raises what it raised."""
        return self._pending.popleft().result() if self._pending else None

    def _stage(self, number: int, portion: Portion) -> int:
        self._own.execute(_within(number))
        return portion.stage(self._own)

    def _look(self, con: DuckDBPyConnection) -> Staged:
        return looking.look(con, self._correlation)

    def _append(
        self,
        number: int,
        staged: Staged | None,
        into: Path,
        shares: tuple[Share, ...],
        known: tuple[str, ...],
    ) -> Turn:
        self._own.execute(_within(number))
        added = appending.append(self._own, staged or self._look(self._own), known)
        segment.flush(self._own, into)
        told = tuple((share.whose, self._new_rows(share)) for share in shares)
        self._own.execute(f"DROP SCHEMA memory.turn_{number} CASCADE")
        return Turn(added, told)

    def _new_rows(self, share: Share) -> int:
        new = 0
        for signal in SIGNALS:
            until = f" AND pos < {share.until[signal]}" if share.until else ""
            of_it = f"WHERE pos >= {share.first[signal]}{until}"
            new += self._count(f"(SELECT rowid AS pos FROM stage_{signal}s) {of_it}")
            new -= self._count(f"{signal}_left_out {of_it}")
        return new

    def _count(self, rows: str) -> int:
        return int(self._own.execute(f"SELECT count(*) FROM {rows}").fetchall()[0][0])

    def stop(self) -> None:
        """End the thread, in the middle of whatever it does."""
        self._own.interrupt()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._own.close()


def _within(number: int) -> str:
    """What makes a connection look for tables in this turn's schema first."""
    return f"SET search_path = 'memory.turn_{number},memory.main'"
