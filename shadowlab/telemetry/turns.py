"""Append in a thread: while one turn of rows is moved into the segment, the next is read and staged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from shadowlab.telemetry import appending
from shadowlab.telemetry.connection import statements
from shadowlab.telemetry.segment import SIGNALS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_TABLES: Final = ("resources", *(f"{signal}s" for signal in SIGNALS))


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


class Turns:
    """Rows are staged in `stage_...`; a turn renames these to `turn_...` and leaves empty ones in their place."""

    def __init__(self, con: DuckDBPyConnection, variables: Mapping[str, bytes], correlation: Sequence[str]) -> None:
        self._con, self._own, self._correlation = con, con.cursor(), correlation
        self._pool = ThreadPoolExecutor(1, "appending")
        self._pending: Future[Turn] | None = None
        for each in (self._con, self._own):
            for name, value in variables.items():
                each.execute(f"SET VARIABLE {name} = $value", {"value": value})
        con.execute("SET preserve_insertion_order = true")  # what came in order need not be sorted
        con.execute(statements("stage"))

    def begin(self, shares: Sequence[Share], known: Sequence[str]) -> None:
        """Start a turn with everything that is staged; the one before must have been collected."""
        for table in _TABLES:
            self._con.execute(f"ALTER TABLE stage_{table} RENAME TO turn_{table}")
        self._con.execute(statements("stage"))
        self._pending = self._pool.submit(self._append, tuple(shares), tuple(known))

    def collect(self) -> Turn | None:
        """Wait for the turn that runs; gives what it added, None when none runs. Raises what it raised."""
        if self._pending is None:
            return None
        turn = self._pending.result()
        self._pending = None
        return turn

    def _append(self, shares: tuple[Share, ...], known: tuple[str, ...]) -> Turn:
        added = appending.append(self._own, correlation=self._correlation, known=known)
        self._own.execute("CHECKPOINT segment")  # what this turn let go of is there for the next
        told = tuple((share.whose, self._new_rows(share)) for share in shares)
        self._own.execute("; ".join(f"DROP TABLE turn_{table}" for table in _TABLES))
        return Turn(added, told)

    def _new_rows(self, share: Share) -> int:
        new = 0
        for signal in SIGNALS:
            until = f" AND pos < {share.until[signal]}" if share.until else ""
            of_it = f"WHERE pos >= {share.first[signal]}{until}"
            new += self._count(f"(SELECT rowid AS pos FROM turn_{signal}s) {of_it}")
            new -= self._count(f"{signal}_left_out {of_it}")
        return new

    def _count(self, rows: str) -> int:
        return int(self._own.execute(f"SELECT count(*) FROM {rows}").fetchall()[0][0])

    def stop(self) -> None:
        """End the thread, in the middle of a turn when one runs."""
        if self._pending:
            self._own.interrupt()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._own.close()
