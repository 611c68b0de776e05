"""A PostgreSQL server of an incident's own: `postgres.py PORT ROLE` serves until it is told to stop, never as root."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path


def programs() -> Path:
    """The folder of Debian's newest PostgreSQL."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda each: int(each.parts[-3]))
    if not found:
        sys.exit("PostgreSQL is not installed: apt-get install postgresql")
    return found[-1].parent


def main(port: str, role: str) -> None:
    """Make a data folder, and serve from it; the folder goes when the server ends."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    folder.chmod(0o755)
    owner: tuple[str, ...] = ()
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
        owner = ("setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups")
    places = (programs(), folder / "data")
    make = ("initdb", "-U", role, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
    try:
        subprocess.run([*owner, places[0] / make[0], "-D", places[1], *make[1:]], check=True, cwd=folder)
        settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": str(folder), "fsync": "off"}
        told = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        server = subprocess.Popen([*owner, places[0] / "postgres", "-D", places[1], "-p", port, *told], cwd=folder)
        # SIGINT ends it without waiting for those who are connected.
        signal.signal(signal.SIGTERM, lambda *_: server.send_signal(signal.SIGINT))
        server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
