"""PostgreSQL as it was when the request began: its own snapshots make it, touched tables are dumped if it is kept."""

from __future__ import annotations

import threading
from typing import Any

from shadowlab_recorder.catalog_postgres import QUERY, Described, described, quoted
from shadowlab_recorder.quiet import quietly


class PostgresSnapshot:
    """A transaction `REPEATABLE READ, READ ONLY` is opened beside each request, on a connection of our own.

    It sees what the request found, however much is committed meanwhile. If the recording is kept, the writer's thread
    dumps the touched tables through it (those of `tables` too), else it is rolled back. Costs two round trips a request
    and a connection for each that runs at the same time, at most `connections`: while all are taken there is no
    snapshot. An open transaction holds back vacuum. Tables of more than `limit` rows are not dumped.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        environment: str | None = None,
        tables: tuple[str, ...] = (),
        limit: int = 10_000,
        connections: int = 8,
    ) -> None:
        self.conninfo = conninfo
        self.environment = environment
        """Name of the environment variable that tells the service where its database is."""
        self.tables = tuple(tables)
        self.limit = limit
        self._free: list[Any] = []
        self._left = connections
        self._lock = threading.Lock()

    def take(self) -> Held | None:
        """The present state, held by the server; None while all connections are taken."""
        connection = self._connection()
        if connection is None:
            return None
        try:
            # The first query of the transaction takes the snapshot; the two travel together.
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1")
        except BaseException:  # gevent's timeouts are no Exception, and a place that is lost never comes back
            self._lose(connection)
            raise
        return Held(self, connection)

    def _connection(self) -> Any:
        with self._lock:
            if self._free:
                return self._free.pop()
            if self._left == 0:
                return None
            self._left -= 1
        import psycopg

        try:
            return psycopg.connect(self.conninfo, autocommit=True, connect_timeout=2)
        except BaseException:  # as above
            with self._lock:
                self._left += 1
            raise

    def back(self, connection: Any) -> None:
        """Ends the transaction and puts its connection back."""
        try:
            connection.execute("ROLLBACK")
        except Exception:  # a connection that cannot end its transaction is of no more use; the next is made anew
            self._lose(connection)
        except BaseException:
            self._lose(connection)
            raise
        else:
            with self._lock:
                self._free.append(connection)

    def _lose(self, connection: Any) -> None:
        quietly(connection.close)
        with self._lock:
            self._left += 1


class Held:
    """One state, until it is released."""

    weight = 4096

    def __init__(self, source: PostgresSnapshot, connection: Any) -> None:
        self._source = source
        self._connection: Any = connection

    def release(self) -> None:
        """Lets go of the state; again and again does no harm."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._source.back(connection)

    def dump(self, touched: list[str]) -> list[tuple[Described, list[tuple[Any, ...]]]]:
        """Tables with all their rows, values as PostgreSQL prints them; those beyond the limit are left out."""
        found: dict[str, tuple[Described, list[tuple[Any, ...]]]] = {}
        for name in dict.fromkeys([*touched, *self._source.tables]):
            table = self._table(name)
            rows = None if table is None else self._rows(table)
            if table is not None and rows is not None:
                found[table.name] = (table, rows)
        return list(found.values())

    def _table(self, name: str) -> Described | None:
        address = ".".join(map(quoted, name.split("."))).replace("'", "''")
        rows = _texts(self._connection.execute(QUERY.format(f"to_regclass('{address}')")).pgresult)
        return described(rows[0]) if rows else None

    def _rows(self, table: Described) -> list[tuple[Any, ...]] | None:
        schema, _, name = table.name.partition(".")
        query = f"SELECT * FROM {quoted(schema)}.{quoted(name)} LIMIT {self._source.limit + 1}"
        rows = _texts(self._connection.execute(query).pgresult)
        return rows if len(rows) <= self._source.limit else None


def _texts(result: Any) -> list[tuple[Any, ...]]:
    columns = range(result.nfields)
    return [
        tuple(None if (value := result.get_value(row, column)) is None else bytes(value).decode() for column in columns)
        for row in range(result.ntuples)
    ]
