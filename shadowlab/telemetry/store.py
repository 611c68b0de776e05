"""All segments as one set of views, read-only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.telemetry import connection, segment, segments
from shadowlab.telemetry.rows import Rows
from shadowlab.telemetry.segments import Segment

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

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
    import duckdb

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
    try:
        define_views(con, [name_of(s) for s in told], [name_of(s) for s in marked])
    except duckdb.Error as exc:
        raise errors.CaseError(
            f"a segment in {case.telemetry} has not the tables that this shadowlab writes",
            hint="it was made by another version, or changed; ingest the telemetry into a new case",
        ) from exc
    con.execute("SET enable_external_access = false")  # from here on nothing but the segments is read


def attach_all(con: DuckDBPyConnection, folder: Path, listed: Sequence[Segment]) -> None:
    """Attach segments read-only, each under `name_of` it."""
    import duckdb

    for one in listed:
        path = folder / one.file
        try:
            con.execute(f"ATTACH {connection.quoted(str(path))} AS {name_of(one)} (READ_ONLY)")
            views = con.execute(
                "SELECT view_name FROM duckdb_views() WHERE database_name = $name AND NOT internal",
                {"name": name_of(one)},
            ).fetchall()
        except duckdb.Error as exc:
            raise errors.CaseError(
                f"{path} is no segment that can be read: {exc}", hint="`shadowlab verify CASE` says what was changed"
            ) from exc
        if views:  # a segment holds tables; a view in it would be a question of its maker's own, over our files
            raise errors.CaseError(
                f"{path} is no segment: it holds the view {views[0][0]!r}",
                hint="nothing of it was asked; do not trust this case",
            )


def name_of(one: Segment) -> str:
    """The name under which a segment is attached."""
    return "segment_" + one.file.removesuffix(".duckdb").replace("-", "_")


def define_views(con: DuckDBPyConnection, told: Sequence[str], marked: Sequence[str]) -> None:
    """Make the views of `docs/schema.md` over attached databases `told`, with fingerprints from `marked`."""
    if not told:
        segment.create(con, ":memory:", _NO_ROWS)
        segment.finish(con, _NO_ROWS)
        told = (_NO_ROWS,)
    for part in segment.PARTS:
        union = " UNION ALL BY NAME ".join(f"SELECT * FROM {name}.{part}" for name in told)
        con.execute(f"CREATE VIEW part_{part} AS {union}")
    for part in ("spans", "logs", "metric_points"):
        union = " UNION ALL BY NAME ".join(
            f"SELECT p.*, r.attributes AS resource_attributes FROM {name}.{part} p "
            f"LEFT JOIN {name}.resources r ON r.resource_ix = p.resource_ix" for name in told
        )  # fmt: skip
        con.execute(f"CREATE VIEW whole_{part} AS {union}")
    prints = " UNION ALL ".join(f"SELECT error_id, fingerprint FROM {name}.fingerprints" for name in marked)
    nothing = "SELECT NULL::UBIGINT AS error_id, NULL::VARCHAR AS fingerprint WHERE false"
    con.execute(f"CREATE VIEW part_fingerprints AS {prints or nothing}")
    con.execute(connection.statements("views"))
