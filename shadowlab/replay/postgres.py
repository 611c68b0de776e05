"""The databases of a replay in a PostgreSQL server of its own: nobody's data, gone when the replay ends.

Each run gets a database made from the template that the recorded rows were put into.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from shadowlab import errors
from shadowlab.replay import postgres_draws, postgres_state
from shadowlab.replay.fixture import Fixture
from shadowlab.replay.postgres_server import ROLE, Cluster, libfaketime
from shadowlab.replay.state import Database

NAME = "replay"
"""What a replay's database is called."""
_HELD = "held"
_LONGEST_S = 60.0
"""What recorded rows may take to be put in, and to be read."""
_MOST_BASES = 16
"""Templates that are kept, of some 8 MB each; the one made first goes first."""
Rows = dict[str, Counter[str]]
"""Rows of each table as text, with how often each is there."""


def needs(fixture: Fixture) -> bool:
    """Whether the recording holds a PostgreSQL database."""
    return fixture.database is not None and fixture.database.dialect == "postgresql"


def how() -> str:
    """What the ledger says of it."""
    clock = "its clock stands at the recorded time" if libfaketime() else "its clock runs: libfaketime is not installed"
    return (
        f"a PostgreSQL server of the replay's own with the recorded rows; {clock}; random() and random UUIDs are drawn"
        " from rand_seed"
    )


class Postgres:
    """One server. Close it when done; raises `SandboxError` when there is no PostgreSQL, or no driver for it."""

    def __init__(self) -> None:
        self._cluster = Cluster()
        self._bases: dict[str, tuple[str, Rows]] = {}
        self._base: Rows = {}
        try:
            self._cluster.administer(
                "postgres", f"CREATE ROLE {ROLE} LOGIN", f"CREATE DATABASE {_HELD} TEMPLATE template0",
                *(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC" for name in ("postgres", "template1", _HELD)),
            )  # fmt: skip
            with self._cluster.owned(_HELD) as connection:
                postgres_draws.hold(connection)
        except BaseException:
            self.close()
            raise

    @property
    def address(self) -> Path:
        """Of the server's socket, which lies in a folder with nothing else but its lock."""
        return self._cluster.address

    @property
    def stored(self) -> Path:
        """Where its databases lie, a folder each, and what queries put aside."""
        return self._cluster.stored

    def close(self) -> None:
        """End the server and take its data away."""
        self._cluster.close()

    def ready(self, fixture: Fixture, *, seed: int | None = None) -> None:
        """Make the database of one run, which draws from `seed`, else from the recorded one.

        Raises `RecordingError` when the recorded state cannot be put back.
        """
        database = fixture.database
        assert database is not None
        foreign = bool(fixture.error and "ForeignKey" in fixture.error.type)
        digest = hashlib.sha256(msgspec.json.encode(database) + bytes([foreign])).hexdigest()[:24]
        self._cluster.turn_clock(fixture.at)
        if digest not in self._bases:
            while len(self._bases) >= _MOST_BASES:
                name, _ = self._bases.pop(next(iter(self._bases)))
                self._cluster.administer("postgres", f"DROP DATABASE {name}")
            self._bases[digest] = self._restored(f"base_{digest}", database, foreign=foreign)
        name, self._base = self._bases[digest]
        self._cluster.administer(
            "postgres", f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)",
            f"CREATE DATABASE {NAME} TEMPLATE {name} OWNER {ROLE}",
            f"ALTER DATABASE {NAME} SET shadowlab.seed = '{fixture.rand_seed if seed is None else seed:d}'",
        )  # fmt: skip

    def change(self) -> tuple[Mapping[str, tuple[int, int]], str]:
        """Rows added and removed by table since the run began, and a digest of them ('' for none).

        Whatever the run still asks of the server ends first. Raises `SandboxError` when the rows cannot be read.
        """
        self._end_service()
        try:
            now = self._rows(NAME)
        except self._cluster.driver.Error as exc:
            raise errors.SandboxError(
                f"the rows that the run left in PostgreSQL cannot be read: {str(exc).splitlines()[0][:200]}",
                hint="the service changed how its tables are read, or left more than can be read in a minute",
            ) from exc
        digest, shape = hashlib.sha256(), {}
        for table in sorted(now.keys() | self._base.keys()):
            here, there = now.get(table, Counter()), self._base.get(table, Counter())
            added, removed = sorted((here - there).elements()), sorted((there - here).elements())
            if added or removed or (table in now) != (table in self._base):
                shape[table] = (len(added), len(removed))
                digest.update(repr((table, added, removed)).encode())
        return shape, digest.hexdigest() if shape else ""

    def _restored(self, name: str, database: Database, *, foreign: bool) -> tuple[str, Rows]:
        """A template with the recorded state; the service's role makes it, for its statements are hostile."""
        self._cluster.administer("postgres", f"CREATE DATABASE {name} OWNER {ROLE} TEMPLATE {_HELD}")
        try:
            with self._as_service(name) as connection:
                postgres_state.put_back(self._cluster.driver, connection, database, foreign=foreign)
            before = self._rows(name)
        except (self._cluster.driver.Error, ValueError) as exc:
            raise errors.RecordingError(
                f"the recorded state of PostgreSQL cannot be put back: {str(exc).splitlines()[0][:200]}",
                hint="`incomplete` in the recording says what of it was not known",
            ) from exc
        self._cluster.administer("postgres", f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        return name, before

    def _rows(self, name: str) -> Rows:
        tables = (
            "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')"
            " AND n.nspname NOT LIKE 'pg~_%' ESCAPE '~' AND n.nspname <> 'information_schema' AND NOT c.relispartition"
        )
        # The tables are the service's: a cast that it made must not run as anybody else.
        with self._as_service(name) as connection:
            connection.execute("SET search_path = pg_catalog")
            found = [table for (table,) in connection.execute(tables).fetchall()]
            return {
                table: Counter(row for (row,) in connection.execute(f"SELECT t::text FROM ONLY {table} t").fetchall())
                for table in found
            }

    @contextlib.contextmanager
    def _as_service(self, name: str) -> Iterator[Any]:
        """A connection as the service's role, ended after a while: what runs in it is the recording's or the service's,
        and the server's own time limit waits for a clock that stands."""
        late = threading.Timer(_LONGEST_S, self._end_service)
        late.daemon = True
        late.start()
        try:
            with self._cluster.connected(name) as connection:
                yield connection
        finally:
            late.cancel()
            late.join()  # it may be ending what has ended by now: the server must not go before it

    def _end_service(self) -> None:
        """End whatever the service's role still does."""
        self._cluster.administer("postgres", f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                                     f" WHERE usename = '{ROLE}'")  # fmt: skip
