"""Give errors their fingerprints, and keep what they were read from: a segment of its own, written after triage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.telemetry import connection, segments
from shadowlab.telemetry.segments import Segment
from shadowlab.telemetry.store import Store

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_SOME = "WHERE error_id IN (SELECT unnest($errors::UBIGINT[]))"


def set_fingerprints(case: Case, table: Any) -> int:
    """Fill `errors.fingerprint` from a DataFrame or Arrow table (`error_id`, `fingerprint`); gives the number of rows.

    `error_id` is the column of the `errors` view. Other columns are kept too, for `known_fingerprints`. Raises
    `UsageError` when a column is missing.

    It takes the place of what an earlier triage wrote, whose file the next writer sweeps away: the ledger names that
    file, and a triage that is killed here could not tell it that the file is gone. Raises `CaseError` when its disk is
    full.
    """
    import duckdb

    with (
        case.writing("fingerprints"),
        connection.room_in(case.telemetry, "the fingerprints"),
        connection.closing(connection.connect(spill=case.telemetry)) as con,
    ):
        segments.sweep(case)
        beside, place = segments.new_path(case, "fingerprints")
        con.register("told", table)
        con.execute(f"ATTACH {connection.quoted(str(beside))} AS segment")
        try:
            con.execute(
                f"CREATE TABLE segment.fingerprints AS SELECT {_once(con)} error_id::UBIGINT AS error_id, "
                "fingerprint::VARCHAR AS fingerprint, * EXCLUDE (error_id, fingerprint) FROM told "
                "ORDER BY error_id, fingerprint"
            )
        except duckdb.Error as exc:
            if connection.is_the_machines(exc):
                raise
            raise errors.UsageError(
                f"not a table of fingerprints: {str(exc).splitlines()[0]}", hint="it needs error_id and fingerprint"
            ) from exc
        count = int(con.execute("SELECT count(*) FROM segment.fingerprints").fetchall()[0][0])
        con.execute("CHECKPOINT segment")
        con.execute("DETACH segment")
        segments.put_in_place(beside, place)
        kept = tuple(s for s in segments.manifest(case).segments if s.kind != "fingerprints")
        segments.publish(case, (*kept, Segment(file=place.name, kind="fingerprints")))
    return count


def _once(con: DuckDBPyConnection) -> str:
    """What has a select take each error of `told` once: nothing where no error is told twice, which is the usual."""
    found = con.execute("SELECT count(*) = count(DISTINCT error_id::UBIGINT) FROM told").fetchall()
    return "" if found[0][0] else "DISTINCT ON (error_id)"


def known_fingerprints(store: Store, errors: Any = None) -> Any:
    """The table that `set_fingerprints` was given last, as an Arrow table; None when it held nothing but fingerprints.

    Errors never change, so that a triage need not read again what an earlier one has read. With `errors` (an array of
    their ids) it holds the rows of these alone.
    """
    some, params = ("", {}) if errors is None else (_SOME, {"errors": errors.tolist()})
    found = store.sql(f"SELECT * FROM part_readings {some}", params).arrow()
    return found if found.num_columns > 2 else None
