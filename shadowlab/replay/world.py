"""The world that a server starts in: its environment, and what it may read of this machine."""

from __future__ import annotations

import importlib.util
import os
import re
import site
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from shadowlab.replay import addresses
from shadowlab.replay.fixture import Fixture
from shadowlab.replay.postgres import NAME, needs
from shadowlab.replay.postgres_server import ROLE
from shadowlab.source import Settings

DATABASE = "/proc/self/cwd/replay.sqlite"
"""Where a replay finds its own copy of the database."""
DOOR = "/proc/self/cwd"
"""The folder in which a replay looks for PostgreSQL's socket; the supervisor connects it, wherever it looks."""
_SERVER = addresses.Address(socket=DOOR, user=ROLE, name=NAME)
_NOTHING = Settings()
INSIDE = Path(__file__).with_name("inside")
_ZONES = Path("/usr/share/zoneinfo")
_RULE = re.compile(r"[A-Za-z]{3,6}[+-]?\d{1,2}(?::\d\d)?(?:[A-Za-z]{3,6}(?:,[\w./]{1,20},[\w./]{1,20})?)?")
"""A zone told by its rule, as POSIX writes it: `CET-1CEST`."""
_STAND_IN = ("shadowlab-stand-in-0", "shadowlab-stand-in-1")

BASE = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "USER": "shadowlab",
    "LOGNAME": "shadowlab",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OTEL_SDK_DISABLED": "true",
}
ELSEWHERE = {
    "USER": "app",
    "LOGNAME": "app",
    "OMP_NUM_THREADS": "2",
    "OPENBLAS_NUM_THREADS": "2",
    "OTEL_SDK_DISABLED": "True",
    "PYTHONHASHSEED": "2718",
    "SHADOWLAB_ELSEWHERE": "1",
}
"""What is otherwise where a replay runs elsewhere; `inside/host.py` tells of another host besides."""
SYSTEM = (
    "/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib", "/usr/share/zoneinfo", "/etc/ld.so.cache",
    "/etc/localtime", "/etc/mime.types", "/etc/ssl", "/usr/share/ca-certificates", "/dev/urandom", "/dev/zero",
)  # fmt: skip


def runtime() -> tuple[str, ...]:
    """The interpreter, its library and the installed packages: read, never written."""
    places = {sys.prefix, sys.base_prefix, sysconfig.get_path("stdlib"), *site.getsitepackages(), str(INSIDE)}
    places |= {path for path in sys.path if path.endswith(("site-packages", "dist-packages"))}
    recorder = importlib.util.find_spec("shadowlab_recorder")
    if recorder is not None and recorder.origin:
        places.add(str(Path(recorder.origin).parent))
    real = {os.path.realpath(place) for place in places} | places
    outer = {place for place in real if not any(other != place and place.startswith(f"{other}/") for other in real)}
    return tuple(sorted(place for place in outer if place not in ("/", "/usr")))


def environment_of(
    fixture: Fixture, changed: Mapping[str, str], *, twin: bool, declared: Settings = _NOTHING
) -> dict[str, str]:
    """Recorded values, a stand-in for each name that was read and whose value is not known, the database's place, zone.

    `declared` is what the tree's `shadowlab.toml` says of PostgreSQL's settings.
    """
    environment = fixture.environment
    unknown = [name for name in environment.read if name not in environment.values and name not in environment.unset]
    values = {name: _STAND_IN[twin] for name in unknown if not _reserved(name)}
    values |= {name: value for name, value in environment.values.items() if not _reserved(name)}
    located = environment.values.get(fixture.db_environment or "", "")
    if needs(fixture):
        values = {name: values[name] for name in values.keys() - addresses.led_astray(values, environment.values)}
        found = addresses.settings(fixture, _SERVER, declared)
        values |= {name: value for name, value in found.items() if not _reserved(name)}
    elif fixture.db_environment:
        values[fixture.db_environment] = _located(located)
    if (zone := zone_of(fixture)) != BASE["TZ"]:
        values["TZ"] = zone
    if fixture.schedule and fixture.schedule.threads:
        values["SHADOWLAB_THREADS"] = "1"
    return {**values, **changed}


def zone_of(fixture: Fixture) -> str:
    """The time zone that a replay lives in: the recorded one, UTC where none is told or it is not known here."""
    zone = fixture.versions.time_zone
    return zone if zone and known_zone(zone) else BASE["TZ"]


def known_zone(zone: str) -> bool:
    """Whether a process here can live in a recorded time zone."""
    named = re.fullmatch(r"[A-Za-z][\w+-]*(?:/[\w+-]+)*", zone) is not None and (_ZONES / zone).is_file()
    return named or _RULE.fullmatch(zone) is not None


def _reserved(name: str) -> bool:
    """Names through which a recording could steer the interpreter or the loader instead of the service."""
    return name.startswith(("PYTHON", "LD_", "SHADOWLAB_", "GLIBC_", "MALLOC_")) or name in BASE or name == "HOME"


def _located(recorded: str) -> str:
    """The database's place in the form in which it was recorded: `sqlite:///…`, `file:…` or a path."""
    scheme, mark, _ = recorded.partition(":///")
    if addresses.is_postgresql(recorded):
        return recorded  # nothing is known of it, and no path would do
    if mark:
        return f"{scheme}:///{DATABASE}"
    return f"file:{DATABASE}" if recorded.startswith("file:") else DATABASE
