"""DuckDB connections: bounded memory, spilling where the case lies, the statements that live in `sql/`."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shadowlab import errors, interrupts

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY: Final = "1200MB"
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.ENOMEM)


def connect(*, memory: str = MEMORY, spill: Path | None = None) -> DuckDBPyConnection:
    """A connection to a new in-memory database; `spill` is a folder for what does not fit, `None` forbids spilling."""
    with interrupts.deferred():  # an exception in the middle of its import ends the process
        import duckdb

    con = duckdb.connect(":memory:")
    con.execute("SET memory_limit = $memory", {"memory": memory})
    con.execute("SET temp_directory = $folder", {"folder": str(spill) if spill else ""})
    con.execute("SET preserve_insertion_order = false; SET autoinstall_known_extensions = false; SET TimeZone = 'UTC'")
    con.execute("SET enable_progress_bar = false")
    con.execute("SET max_vacuum_tasks = 0")  # else a checkpoint writes row groups anew to fill them up
    return con


def is_the_machines(exc: BaseException) -> bool:
    """Whether an error tells of the machine (no disk or memory left) and not of what is read."""
    import duckdb

    machine = (
        duckdb.OutOfMemoryException, duckdb.IOException, duckdb.TransactionException, duckdb.FatalException,
        duckdb.InternalException,
    )  # fmt: skip
    return isinstance(exc, (MemoryError, *machine)) or (isinstance(exc, OSError) and exc.errno in _FULL)


@contextlib.contextmanager
def room_in(place: Path, what: str) -> Iterator[None]:
    """Say of a full disk or memory that it is full, as a `CaseError`: nothing that was read is to blame."""
    import duckdb

    try:
        yield
    except (duckdb.Error, OSError, MemoryError) as exc:
        if not is_the_machines(exc):
            raise
        raise errors.CaseError(
            f"{place} cannot take {what} in: {str(exc).splitlines()[0]}",
            hint="make room on its disk, or in memory, and run the same command again; nothing is half-written",
        ) from exc


def statements(name: str) -> str:
    """The text of `sql/<name>.sql`."""
    return resources.files("shadowlab.telemetry").joinpath("sql", f"{name}.sql").read_text()


def quoted(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


@contextlib.contextmanager
def closing(con: DuckDBPyConnection) -> Iterator[DuckDBPyConnection]:
    """The connection, closed when the block ends; Ctrl-C stops a statement, and is `KeyboardInterrupt`."""
    try:
        with interrupts.restored(), interrupts.stoppable(con):
            yield con
    finally:
        con.close()
