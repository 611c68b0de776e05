"""A PostgreSQL server of a replay's own: nobody's data, no network, gone when the replay ends.

Debian's server runs as a user of its own, in a private folder, on a local socket. Each run gets a database made from
the template that the recorded rows were put into; the service is a role that may neither read files nor start programs.
With libfaketime the server's clock stands at the recorded time.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import pwd
import resource
import secrets
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from shadowlab import errors
from shadowlab.replay import postgres_draws, postgres_state
from shadowlab.replay.fixture import Fixture
from shadowlab.replay.folders import Folder
from shadowlab.replay.state import Database

ROLE, NAME = "shadowlab", "replay"
"""Whom a replay is to the server, and what its database is called."""
_OWNER, _HELD, _PORT = "owner", "held", 5432
_START_S = 30.0
_LONGEST_S = 60.0
"""What recorded rows may take to be put in, and to be read."""
_MOST_BASES = 16
"""Templates that are kept, of some 8 MB each; the one made first goes first."""
INSTALLED = Path("/usr/lib/postgresql")
"""Where Debian puts its servers."""
_PDEATHSIG = 1
_LARGEST_FILE, _MOST_MEMORY = 256 << 20, 2 << 30
"""Bytes of a file and of a process: what the service asks of the server is done outside of its walls."""
_OPTIONS = {
    "listen_addresses": "", "fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum": "off",
    "max_connections": "60", "shared_buffers": "16MB", "timezone": "UTC", "jit": "off", "logging_collector": "off",
    # What one query may put on the disk for itself, in kB.
    "temp_file_limit": "262144",
    # Rows come in the same order every time.
    "max_parallel_workers_per_gather": "0", "synchronize_seqscans": "off",
}  # fmt: skip
_ACCESS = f"local all {ROLE} trust\nlocal all all scram-sha-256\n"
Rows = dict[str, Counter[str]]
"""Rows of each table as text, with how often each is there."""


def needs(fixture: Fixture) -> bool:
    """Whether the recording holds a PostgreSQL database."""
    return fixture.database is not None and fixture.database.dialect == "postgresql"


def how() -> str:
    """What the ledger says of it."""
    clock = (
        "its clock stands at the recorded time" if _libfaketime() else "its clock runs: libfaketime is not installed"
    )
    return (
        f"a PostgreSQL server of the replay's own with the recorded rows; {clock}; random() and random UUIDs are drawn"
        " from rand_seed"
    )


class Postgres:
    """One server. Close it when done; raises `SandboxError` when there is no PostgreSQL, or no driver for it."""

    def __init__(self) -> None:
        self._programs = _programs()
        self._driver = _driver()
        self._password = secrets.token_hex(16)
        self._bases: dict[str, tuple[str, Rows]] = {}
        self._base: Rows = {}
        self._user = pwd.getpwnam("postgres") if os.getuid() == 0 else None
        self._clock = _libfaketime()
        self._folder = Folder()
        self._sockets = self._folder.path / "sockets"
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._process = self._started()
            self._administer(
                "postgres", f"CREATE ROLE {ROLE} LOGIN", f"CREATE DATABASE {_HELD} TEMPLATE template0",
                *(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC" for name in ("postgres", "template1", _HELD)),
            )  # fmt: skip
            with self._connected(_HELD, _OWNER) as connection:
                postgres_draws.hold(connection)
        except BaseException:
            self.close()
            raise

    @property
    def address(self) -> Path:
        """Of its socket, which lies in a folder with nothing else but its lock."""
        return self._sockets / f".s.PGSQL.{_PORT}"

    @property
    def stored(self) -> Path:
        """Where its databases lie, a folder each, and what queries put aside."""
        return self._folder.path / "data" / "base"

    def close(self) -> None:
        """End the server and take its data away."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
        self._folder.remove()

    def ready(self, fixture: Fixture, *, seed: int | None = None) -> None:
        """Make the database of one run, which draws from `seed`, else from the recorded one.

        Raises `RecordingError` when the recorded state cannot be put back.
        """
        database = fixture.database
        assert database is not None
        foreign = bool(fixture.error and "ForeignKey" in fixture.error.type)
        digest = hashlib.sha256(msgspec.json.encode(database) + bytes([foreign])).hexdigest()[:24]
        self._turn_clock(fixture)
        if digest not in self._bases:
            while len(self._bases) >= _MOST_BASES:
                name, _ = self._bases.pop(next(iter(self._bases)))
                self._administer("postgres", f"DROP DATABASE {name}")
            self._bases[digest] = self._restored(f"base_{digest}", database, foreign=foreign)
        name, self._base = self._bases[digest]
        self._administer(
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
        except self._driver.Error as exc:
            raise errors.SandboxError(
                f"the rows that the run left in PostgreSQL cannot be read: {str(exc).splitlines()[0][:200]}",
                hint="the service changed how its tables are read, or left more than can be read in a minute",
            ) from exc
        told, shape = hashlib.sha256(), {}
        for table in sorted(now.keys() | self._base.keys()):
            here, there = now.get(table, Counter()), self._base.get(table, Counter())
            added, removed = sorted((here - there).elements()), sorted((there - here).elements())
            if added or removed or (table in now) != (table in self._base):
                shape[table] = (len(added), len(removed))
                told.update(repr((table, added, removed)).encode())
        return shape, told.hexdigest() if shape else ""

    def _started(self) -> subprocess.Popen[bytes]:
        folder, data = self._folder.path, self._folder.path / "data"
        folder.chmod(0o711)
        data.mkdir(mode=0o700)
        self._sockets.mkdir()
        self._sockets.chmod(0o755)
        secret, log = data.with_name("secret"), (folder / "log").open("wb")
        secret.write_text(self._password)
        for place in (folder, data, secret, self._sockets):
            if self._user:
                os.chown(place, self._user.pw_uid, self._user.pw_gid)
        self._run("initdb", "-D", str(data), "-U", _OWNER, "--pwfile", str(secret), "-A", "scram-sha-256", "-E", "UTF8",
                  "--locale=C.UTF-8", "--no-sync", "--no-instructions")  # fmt: skip
        (data / "pg_hba.conf").write_text(_ACCESS)
        options = [word for name, value in _OPTIONS.items() for word in ("-c", f"{name}={value}")]
        with log:
            process = subprocess.Popen(
                [self._programs / "postgres", "-D", data, "-k", self._sockets, *options], cwd=folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=_bounded, **self._as_user(),
            )  # fmt: skip
        deadline = time.monotonic() + _START_S
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(self._driver.OperationalError):
                self._connected("postgres", _OWNER).close()
                return process
            time.sleep(0.05)
        process.kill()
        process.wait()
        told = (folder / "log").read_text(errors="replace").strip().splitlines()[-1:]
        raise errors.SandboxError(f"PostgreSQL did not start: {told[0][-300:] if told else 'it said nothing'}")

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [self._programs / program, *words],
            capture_output=True,
            env=_PLAIN,
            cwd=self._folder.path,
            **self._as_user(),
        )
        if done.returncode:
            told = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise errors.SandboxError(f"{program} failed: {told[0][-300:] if told else 'it said nothing'}")

    def _as_user(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    def _environment(self) -> dict[str, str]:
        if self._clock is None:
            return _PLAIN
        clock = self._folder.path / "clock"
        clock.write_text("2020-01-01 00:00:00")
        return {**_PLAIN, "LD_PRELOAD": self._clock, "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1"}  # fmt: skip

    def _turn_clock(self, fixture: Fixture) -> None:
        if self._clock is not None:
            beside = self._folder.path / "clock.new"
            beside.write_text(f"{fixture.at:%Y-%m-%d %H:%M:%S.%f}")
            beside.chmod(0o644)
            beside.replace(self._folder.path / "clock")

    def _restored(self, name: str, database: Database, *, foreign: bool) -> tuple[str, Rows]:
        """A template with the recorded state; the service's role makes it, for its statements are hostile."""
        self._administer("postgres", f"CREATE DATABASE {name} OWNER {ROLE} TEMPLATE {_HELD}")
        try:
            with self._as_service(name) as connection:
                postgres_state.put_back(self._driver, connection, database, foreign=foreign)
            before = self._rows(name)
        except (self._driver.Error, ValueError) as exc:
            raise errors.RecordingError(
                f"the recorded state of PostgreSQL cannot be put back: {str(exc).splitlines()[0][:200]}",
                hint="`incomplete` in the recording says what of it was not known",
            ) from exc
        self._administer("postgres", f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
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
            with self._connected(name, ROLE) as connection:
                yield connection
        finally:
            late.cancel()

    def _end_service(self) -> None:
        """End whatever the service's role still does."""
        self._administer("postgres", f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                                     f" WHERE usename = '{ROLE}'")  # fmt: skip

    def _administer(self, database: str, *statements: str) -> None:
        with contextlib.closing(self._connected(database, _OWNER)) as connection:
            connection.autocommit = True
            for statement in statements:
                connection.execute(statement)

    def _connected(self, database: str, user: str) -> Any:
        password = {"password": self._password} if user == _OWNER else {}
        return self._driver.connect(
            host=str(self._sockets), port=_PORT, dbname=database, user=user, connect_timeout=10, **password
        )


_PLAIN = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _programs() -> Path:
    """The folder of the newest PostgreSQL that is installed."""
    found = sorted(INSTALLED.glob("*/bin/initdb"), key=_version)
    if found:
        return found[-1].parent
    told = shutil.which("initdb")
    if told is None or not Path(told).with_name("postgres").exists():
        raise errors.SandboxError(
            "PostgreSQL is not installed, and the recording holds rows of one",
            hint="install Debian's package `postgresql`; it is started for the replay, nothing has to run",
        )
    return Path(told).parent


def _version(initdb: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in initdb.parts[-3].split(".") if part.isdigit())


def _driver() -> Any:
    try:
        import psycopg
        import psycopg.sql
    except ImportError as exc:
        raise errors.SandboxError(
            f"psycopg is not installed, and the recording holds rows of PostgreSQL: {exc}",
            hint="install shadowlab[postgresql]",
        ) from exc
    return psycopg


def _libfaketime() -> str | None:
    return next((str(place) for place in sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)


def _bounded() -> None:
    """In the server's process, before it starts: end with the parent, write and take no more than is due."""
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGQUIT, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LARGEST_FILE, _LARGEST_FILE))
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
