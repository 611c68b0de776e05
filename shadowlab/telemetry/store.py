"""All segments as one set of views, read-only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.telemetry import connection, segments
from shadowlab.telemetry.rows import Rows
from shadowlab.telemetry.segments import Segment

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PARTS: Final = ("spans", "events", "links", "logs", "metric_points", "resources", "trace_parts", "deploy_parts")
VIEWS: Final = (
    "spans", "errors", "events", "links", "logs", "metric_points", "traces", "edges", "self_time", "critical_path",
    "deploys", "gen_ai_calls",
)  # fmt: skip
_NO_ROWS: Final = "shadowlab_empty"


@dataclass(frozen=True, slots=True)
class Store:
    """A case's telemetry, open for questions. Make one with `store`; close it, or use it in a `with` block."""

    con: DuckDBPyConnection

    def sql(self, query: str, params: Mapping[str, Any] | Sequence[Any] = ()) -> Rows:
        """Ask; `params` are bound to `$name` or `?`. For this package's own questions: `user_sql` is for people's.

        Raises `QueryError` with DuckDB's reason.
        """
        import duckdb

        try:
            with connection.closing(self.con.cursor()) as cursor:
                return Rows(query, cursor.sql(query, params=params or None).to_arrow_table())
        except duckdb.Error as exc:
            raise errors.QueryError(f"the query cannot run: {exc}", hint="`shadowlab sql CASE 'SHOW TABLES'`") from exc

    def close(self) -> None:
        """Let go of the segments."""
        self.con.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def store(case: Case, *, memory: str = connection.MEMORY) -> Store:
    """Open a case's telemetry. Raises `CaseError` when a segment is missing or damaged.

    A snapshot: what is ingested later shows in the next `store`.
    """
    con = connection.connect(memory=memory)
    try:
        _attach(con, case)
    except BaseException:
        con.close()
        raise
    return Store(con)


def _attach(con: DuckDBPyConnection, case: Case) -> None:
    for attempt in range(3):  # a compaction may replace segments between manifest and attach
        found = segments.manifest(case).segments
        missing = [s.file for s in found if not (case.telemetry / s.file).exists()]
        if not missing:
            break
        if attempt == 2:
            raise errors.CaseError(
                f"{case.telemetry} lacks {', '.join(missing)}, which its manifest names",
                hint="restore the case from a copy, or ingest its telemetry into a new one",
            )
    told = tuple(s for s in found if s.kind == "telemetry")
    marked = tuple(s for s in found if s.kind == "fingerprints")
    attach_all(con, case.telemetry, (*told, *marked))
    define_views(con, [name_of(s) for s in told], [name_of(s) for s in marked])


def attach_all(con: DuckDBPyConnection, folder: Path, listed: Sequence[Segment]) -> None:
    """Attach segments read-only, each under `name_of` it."""
    import duckdb

    for segment in listed:
        path = folder / segment.file
        try:
            con.execute(f"ATTACH {connection.quoted(str(path))} AS {name_of(segment)} (READ_ONLY)")
        except duckdb.Error as exc:
            raise errors.CaseError(
                f"{path} is no segment that can be read: {exc}", hint="`shadowlab verify CASE` says what was changed"
            ) from exc


def name_of(segment: Segment) -> str:
    """The name under which a segment is attached."""
    return "segment_" + segment.file.removesuffix(".duckdb").replace("-", "_")


def define_views(con: DuckDBPyConnection, told: Sequence[str], marked: Sequence[str]) -> None:
    """Make the views of DESIGN.md over attached databases `told`, with fingerprints from `marked`."""
    if not told:
        con.execute(f"ATTACH ':memory:' AS {_NO_ROWS}")
        make_segment(con, _NO_ROWS, correlation=(), known=())
        told = (_NO_ROWS,)
    for part in PARTS:
        union = " UNION ALL BY NAME ".join(f"SELECT * FROM {name}.{part}" for name in told)
        if part == "resources" and len(told) > 1:
            union = f"SELECT DISTINCT ON (resource_id) * FROM ({union})"
        con.execute(f"CREATE VIEW part_{part} AS {union}")
    prints = " UNION ALL ".join(f"SELECT error_id, fingerprint FROM {name}.fingerprints" for name in marked)
    nothing = "SELECT NULL::UBIGINT AS error_id, NULL::VARCHAR AS fingerprint WHERE false"
    con.execute(f"CREATE VIEW part_fingerprints AS {prints or nothing}")
    con.execute(connection.statements("views"))


def make_segment(con: DuckDBPyConnection, name: str, *, correlation: Sequence[str], known: Sequence[str]) -> None:
    """Fill the attached database `name` from the staging tables, leaving out rows that the databases `known` hold."""
    if not _has_staging(con):
        con.execute(connection.statements("macros"))
        con.execute(connection.statements("stage"))
    script = connection.statements("segment").replace("segment.", f"{name}.")
    keys = [f"a[{connection.quoted(key)}]" for key in correlation]
    script = script.replace("{correlation}", f"coalesce({', '.join(keys)})" if keys else "NULL::VARCHAR")
    for part in ("spans", "logs", "metric_points"):
        union = " UNION ALL ".join(f"SELECT row_id FROM {other}.{part}" for other in known)
        nothing = "SELECT 0::UBIGINT AS row_id WHERE false"
        script = script.replace(f"{{known_{part}}}", f"({union or nothing})")
    con.execute(script)


def _has_staging(con: DuckDBPyConnection) -> bool:
    query = "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'stage_spans'"
    return bool(con.execute(query).fetchall()[0][0])
