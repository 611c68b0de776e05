"""Who recorded: service, version, commit, interpreter, packages."""

from __future__ import annotations

import hashlib
import locale
import os
import platform
import re
import sys
import time
from functools import lru_cache
from importlib import metadata
from typing import Any
from urllib.parse import unquote

from opentelemetry import trace

_COMMIT = re.compile(r"^[0-9a-f]{40}$")
_COMMIT_VARIABLES = ("SHADOWLAB_COMMIT", "GIT_COMMIT", "COMMIT_SHA", "GITHUB_SHA", "CI_COMMIT_SHA")


def service(given: str | None) -> str:
    return given or os.environ.get("OTEL_SERVICE_NAME") or resource("service.name") or "unknown_service"


def service_version(given: str | None) -> str | None:
    return given or resource("service.version")


def commit(given: str | None) -> str | None:
    """Forty hex digits: as given, from the resource (`vcs.ref.head.revision`), or from the usual variables."""
    named = (given, resource("vcs.ref.head.revision"), *(os.environ.get(name) for name in _COMMIT_VARIABLES))
    return next((found.lower() for found in named if found and _COMMIT.match(found.lower())), None)


def resource(name: str) -> str | None:
    """An attribute of OpenTelemetry's resource: what the SDK holds, else what its environment variable says."""
    held: Any = getattr(getattr(trace.get_tracer_provider(), "resource", None), "attributes", None) or {}
    found = held.get(name) or _announced().get(name)
    return str(found) if found and not str(found).startswith("unknown_service") else None


def _announced() -> dict[str, str]:
    """`OTEL_RESOURCE_ATTRIBUTES`: `key=value` pairs, percent-encoded."""
    pairs = (pair.partition("=") for pair in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
    return {name.strip(): unquote(value.strip()) for name, equals, value in pairs if equals}


@lru_cache(maxsize=8)
def versions(lock: str | None = None) -> dict[str, Any]:
    """The interpreter, the platform, its locale and time zone, and the distributions whose modules are loaded."""
    loaded = {name.partition(".")[0] for name in tuple(sys.modules)}
    named = {each for module, names in metadata.packages_distributions().items() if module in loaded for each in names}
    packages = {name: metadata.version(name) for name in sorted(named, key=str.lower)}
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "locale": locale.setlocale(locale.LC_ALL),
        "encoding": sys.getfilesystemencoding(),
        "time_zone": os.environ.get("TZ") or _zone(),
        "lock": _digest(lock) if lock else None,
        "packages": packages,
    }


def _zone() -> str:
    """The zone's name where the system tells it, else its abbreviations."""
    place = os.path.realpath("/etc/localtime")
    return place.partition("/zoneinfo/")[2] or "/".join(dict.fromkeys(time.tzname))


def _digest(lock: str) -> str | None:
    try:
        with open(lock, "rb") as opened:
            return hashlib.sha256(opened.read()).hexdigest()
    except OSError:
        return None
