"""Say what this interpreter is, as JSON: run by the interpreter in question, with nothing but its standard library."""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
import sysconfig

_VARIABLES = ("LD_LIBRARY_PATH", "PYTHONPATH", "NIX_PYTHONPATH", "NIX_PYTHONPREFIX")


def _libraries() -> list[str]:
    """Folders of the shared libraries that are loaded."""
    found = set()
    with open("/proc/self/maps") as maps:
        for line in maps:
            place = line.split(None, 5)[5:]
            if place and place[0].startswith("/") and ".so" in place[0]:
                found.add(os.path.dirname(place[0].strip()))
    return sorted(found)


def _packages() -> dict[str, str]:
    """What is installed beside it, the first of each name."""
    found: dict[str, str] = {}
    for each in importlib.metadata.distributions():
        if each.metadata["Name"]:
            found.setdefault(each.metadata["Name"], each.version)
    return found


if __name__ == "__main__":
    sys.path[:] = [place for place in sys.path if place != os.path.dirname(os.path.abspath(__file__))]
    print(
        json.dumps(
            {
                "executable": sys.executable,
                "version": ".".join(str(part) for part in sys.version_info[:3]),
                "abi": sysconfig.get_config_var("SOABI") or sys.implementation.cache_tag,
                "prefixes": [sys.prefix, sys.base_prefix, sysconfig.get_path("stdlib")],
                "path": [place for place in sys.path if place],
                "libraries": _libraries(),
                "packages": _packages(),
                "variables": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
            }
        )
    )
