"""All segments as one set of views, read-only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from shadowlab import errors, interrupts
from shadowlab.case import Case
from shadowlab.telemetry import connection, questions, sealed, segments
from shadowlab.telemetry.rows import Rows
from shadowlab.telemetry.sealed import Sealed
from shadowlab.telemetry.segments import Segment
from shadowlab.telemetry.views import Views, alone

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Store:
    """A case's telemetry, open for questions. Make one with `store`; close it, or use it in a `with` block."""

    con: DuckDBPyConnection
    views: Views
    segments: Mapping[object, str] = field(default_factory=dict)
    """What stands for each segment's content in this process, and the name under which it is attached."""
    sealed: Mapping[object, Sealed] = field(default_factory=dict)
    """Where what was learned of each of them is kept; nothing where the store was opened without a secret."""
    _listening: ExitStack = field(default_factory=ExitStack, compare=False, repr=False)

    def sql(self, query: str, params: Mapping[str, Any] | Sequence[Any] = ()) -> Rows:
        """Ask; `params` are bound to `$name` or `?`. For this package's own questions: `user_sql` is for people's.

        Raises `QueryError` with DuckDB's reason.
        """
        import duckdb

        try:
            with connection.closing(self.con.cursor()) as cursor:
                return Rows(query, self.answer(cursor, query, params))
        except duckdb.Error as exc:
            raise errors.QueryError(f"the query cannot run: {exc}", hint="`shadowlab sql CASE 'SHOW TABLES'`") from exc

    def sql_alone(self, segment: str, query: str, params: Mapping[str, Any] | Sequence[Any] = ()) -> Rows:
        """Ask one attached segment alone: the views that the query names hold nothing of others.

        Raises `QueryError` with DuckDB's reason, `CaseError` for a segment that is none.
        """
        import duckdb

        views = {name: f"NOT MATERIALIZED ({text})" for name, text in alone(segment, query).items()}
        try:
            with connection.closing(self.con.cursor()) as cursor:
                text = questions.opened(views, query.strip())
                return Rows(query, cursor.sql(text, params=params or None).to_arrow_table())
        except (duckdb.CatalogException, duckdb.BinderException) as exc:
            raise _of_another_version() from exc
        except duckdb.Error as exc:
            raise errors.QueryError(f"the query cannot run: {exc}", hint="`shadowlab sql CASE 'SHOW TABLES'`") from exc

    def answer(self, con: DuckDBPyConnection, query: str, params: Mapping[str, Any] | Sequence[Any] = ()) -> Any:
        """The Arrow table that answers `query`, asked on `con` or its cursor. Raises `duckdb.Error`, `CaseError`."""
        import duckdb

        self._make_views(query)
        try:
            return con.sql(query, params=params or None).to_arrow_table()
        except duckdb.CatalogException:
            # It may name a view in a way that is not seen in its text, such as `query_table('sp' || 'ans')`.
            if not self._make_views(None):
                raise
            return con.sql(query, params=params or None).to_arrow_table()

    def _make_views(self, question: str | None) -> bool:
        import duckdb

        try:
            if question is None:
                return self.views.make_all()
            self.views.make_for(question)
        except duckdb.Error as exc:
            raise _of_another_version() from exc
        return True

    def close(self) -> None:
        """Let go of the segments."""
        self.con.close()

    def __enter__(self) -> Self:
        self._listening.enter_context(interrupts.heard())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.close()
        self.close()
        interrupts.restore(error)


def store(case: Case, *, memory: str = connection.MEMORY, secret: bytes | None = None) -> Store:
    """Open a case's telemetry. Raises `CaseError` when a segment is missing or damaged.

    A snapshot: what is ingested later shows in the next `store`. With a `secret` of the person's what is learned of
    segments may be kept beside them, sealed.
    """
    missing: list[str] = []
    for _ in range(
        _TRIES
    ):  # segments may be merged between manifest and attach; the next manifest names the merged one
        listed = [s for s in segments.manifest(case).segments if s.kind in ("telemetry", "fingerprints")]
        con = connection.connect(memory=memory)
        try:
            attach_all(con, case.telemetry, listed)
            views = Views(con, _names(listed, "telemetry"), _names(listed, "fingerprints"))
            con.execute("SET enable_external_access = false")  # from here on nothing but the segments is read
            told = [one for one in listed if one.kind == "telemetry"]
            stamps = {_stamp(path := case.telemetry / one.file): (name_of(one), path) for one in told}
            kept: dict[object, Sealed] = {}
            if secret:
                kept = {key: sealed.beside(path, secret) for key, (_, path) in stamps.items()}
            return Store(con, views, {key: name for key, (name, _) in stamps.items()}, kept)
        except BaseException:
            con.close()
            missing = [s.file for s in listed if not (case.telemetry / s.file).exists()]
            if not missing:
                raise
    raise errors.CaseError(
        f"{case.telemetry} lacks {', '.join(missing)}, which its manifest names",
        hint="restore the case from a copy, or ingest its telemetry into a new one",
    )


def _of_another_version() -> errors.CaseError:
    return errors.CaseError(
        "a segment of this case has not the tables that this shadowlab writes",
        hint="it was made by another version, or changed; ingest the telemetry into a new case",
    )


def _stamp(path: Path) -> tuple[object, ...]:
    """What stands for a file that is never written twice."""
    told = path.stat()
    return str(path.resolve()), told.st_ino, told.st_size, told.st_mtime_ns


def _names(listed: Sequence[Segment], kind: str) -> list[str]:
    return [name_of(one) for one in listed if one.kind == kind]


def attach_all(con: DuckDBPyConnection, folder: Path, listed: Sequence[Segment]) -> None:
    """Attach segments read-only, each under `name_of` it."""
    import duckdb

    for one in listed:
        path = folder / one.file
        try:
            con.execute(f"ATTACH {connection.quoted(str(path))} AS {name_of(one)} (READ_ONLY)")
        except duckdb.Error as exc:
            raise errors.CaseError(
                f"{path} is no segment that can be read: {exc}", hint="`shadowlab verify CASE` says what was changed"
            ) from exc
    asked = "SELECT database_name, view_name FROM duckdb_views() WHERE NOT internal"
    names = {name_of(one) for one in listed}
    views = [row for row in con.execute(asked).fetchall() if row[0] in names] if listed else []
    if views:  # a segment holds tables; a view in it would be a question of its maker's own, over our files
        raise errors.CaseError(
            f"{folder / views[0][0]} is no segment: it holds the view {views[0][1]!r}",
            hint="nothing of it was asked; do not trust this case",
        )


def name_of(one: Segment) -> str:
    """The name under which a segment is attached."""
    return "segment_" + one.file.removesuffix(".duckdb").replace("-", "_")
