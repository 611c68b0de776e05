"""Queries of the recorder's own through psycopg: in the service's transaction, without ever breaking that."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from shadowlab_recorder.quiet import log
from shadowlab_recorder.rows_psycopg import Fetched
from shadowlab_recorder.tape import current

Steps = Generator[Any, Any, Any]
"""What psycopg waits with: the same code serves a blocking connection and an event loop."""

_worked: set[str] = set()
"""Statements of ours that have worked once: they need no savepoint any more."""
_refused: set[str] = set()
"""Those that the server refused once."""


def runner(base: Any, execute: Any) -> Callable[..., Steps]:
    """A function that runs a query on the connection of one of the service's cursors; `execute` is psycopg's own."""

    class Quiet(base):  # type: ignore[misc]  # psycopg is Any here
        def _make_row_maker(self) -> Any:
            return lambda values: values

    def query(cursor: Any, text: str, parameters: Any) -> Steps:
        quiet = Quiet(cursor._conn)
        yield from execute(quiet, text, parameters)
        tape = current()
        return Fetched(quiet._results, tape.room if tape is not None else None)

    def command(cursor: Any, text: str) -> Steps:
        yield from execute(Quiet(cursor._conn), text)

    def run(cursor: Any, text: str, parameters: Any) -> Steps:
        """Rows, or None when the server refused; a text that is refused once is not asked again."""
        connection = cursor._conn
        status = int(connection.pgconn.transaction_status)
        if text in _refused or status == 3:  # PQTRANS_INERROR
            return None
        if text in _worked or (connection.autocommit and status == 0):
            found = yield from query(cursor, text, parameters)
            return found
        yield from command(cursor, "SAVEPOINT shadowlab_recorder")
        try:
            found = yield from query(cursor, text, parameters)
        except Exception as error:
            _refused.add(text)
            log.warning("shadowlab-recorder: %s for the rows of a statement", type(error).__name__)
            yield from command(cursor, "ROLLBACK TO SAVEPOINT shadowlab_recorder")
            return None
        yield from command(cursor, "RELEASE SAVEPOINT shadowlab_recorder")
        if len(_worked) < 4096:
            _worked.add(text)
        return found

    return run
