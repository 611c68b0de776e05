"""A PostgreSQL server of this process's own: in a private folder, on a local socket, ended with its owner.

Debian's server runs as a user of its own. With libfaketime its clock stands where it is turned to.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import resource
import secrets
import shutil
import signal
import subprocess
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from shadowlab import errors
from shadowlab.replay.folders import Folder

ROLE = "shadowlab"
"""Whom a replay is to the server: it may neither read files nor start programs."""
_OWNER, _PORT = "owner", 5432
_START_S = 30.0
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
_PLAIN = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


class Cluster:
    """One server with its databases. Close it when done.

    Raises `SandboxError` when there is no PostgreSQL, no driver for it, or it does not start.
    """

    def __init__(self) -> None:
        self._programs = _programs()
        self.driver = _driver()
        self._password = secrets.token_hex(16)
        self._user = pwd.getpwnam("postgres") if os.getuid() == 0 else None
        self._clock = libfaketime()
        self._folder = Folder()
        self._sockets = self._folder.path / "sockets"
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._process = self._started()
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
            self._process = None
        self._folder.remove()

    def turn_clock(self, at: datetime) -> None:
        """Let the server's clock stand at `at`, UTC, where it can be held."""
        if self._clock is not None:
            beside = self._folder.path / "clock.new"
            beside.write_text(f"{at:%Y-%m-%d %H:%M:%S.%f}")
            beside.chmod(0o644)
            beside.replace(self._folder.path / "clock")

    def administer(self, database: str, *statements: str) -> None:
        """Run statements as the server's owner, each in a transaction of its own."""
        with contextlib.closing(self.owned(database)) as connection:
            connection.autocommit = True
            for statement in statements:
                connection.execute(statement)

    def owned(self, database: str) -> Any:
        """A connection of the server's owner."""
        return self._connected(database, user=_OWNER, password=self._password)

    def connected(self, database: str) -> Any:
        """A connection of the service's role."""
        return self._connected(database, user=ROLE)

    def _connected(self, database: str, **who: str) -> Any:
        return self.driver.connect(host=str(self._sockets), port=_PORT, dbname=database, connect_timeout=10, **who)

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
            with contextlib.suppress(self.driver.OperationalError):
                self.owned("postgres").close()
                return process
            time.sleep(0.05)
        process.kill()
        process.wait()
        last = (folder / "log").read_text(errors="replace").strip().splitlines()[-1:]
        raise errors.SandboxError(f"PostgreSQL did not start: {last[0][-300:] if last else 'it said nothing'}")

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [self._programs / program, *words],
            capture_output=True,
            env=_PLAIN,
            cwd=self._folder.path,
            **self._as_user(),
        )
        if done.returncode:
            last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise errors.SandboxError(f"{program} failed: {last[0][-300:] if last else 'it said nothing'}")

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


def _programs() -> Path:
    """The folder of the newest PostgreSQL that is installed."""
    found = sorted(INSTALLED.glob("*/bin/initdb"), key=_version)
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    if initdb is None or not Path(initdb).with_name("postgres").exists():
        raise errors.SandboxError(
            "PostgreSQL is not installed, and the recording holds rows of one",
            hint="install Debian's package `postgresql`; it is started for the replay, nothing has to run",
        )
    return Path(initdb).parent


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


def libfaketime() -> str | None:
    """The library that holds a process's clock, where it is installed."""
    return next((str(place) for place in sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)


def _bounded() -> None:
    """In the server's process, before it starts: end with the parent, write and take no more than is due."""
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGQUIT, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LARGEST_FILE, _LARGEST_FILE))
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
