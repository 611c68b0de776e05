"""A PostgreSQL server of the tests' own: its own data folder, a Unix socket, no password, never as root."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path


def programs():
    """The folder of Debian's newest PostgreSQL."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda each: int(each.parts[-3]))
    assert found, "PostgreSQL is not installed: apt-get install postgresql"
    return found[-1].parent


@contextlib.contextmanager
def serving():
    """A running server with an empty database `shop`; yields its conninfo."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
    folder.chmod(0o755)
    owner = "postgres" if os.getuid() == 0 else None
    if owner:
        shutil.chown(folder, owner)

    def run(*command):
        as_owner = ["setpriv", "--reuid", owner, "--regid", owner, "--clear-groups"] if owner else []
        subprocess.run([*as_owner, *map(str, command)], check=True, stdout=subprocess.DEVNULL, cwd=folder, timeout=60)

    place = programs()
    settings = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off -c shared_buffers=16MB"
    try:
        run(
            place / "initdb",
            "-D",
            folder / "data",
            "-U",
            "shop",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
            "--locale=C",
        )
        run(place / "pg_ctl", "-D", folder / "data", "-w", "-o", settings, "-l", folder / "log", "start")
        run(place / "createdb", "-h", folder, "-U", "shop", "shop")
        yield f"host={folder} user=shop dbname=shop"
    finally:
        with contextlib.suppress(subprocess.SubprocessError):
            run(place / "pg_ctl", "-D", folder / "data", "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)
