"""Node.js: a small harness with virtual timers, seeded randomness and the recording's own tape."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from shadowlab import errors
from shadowlab.replay.environments import Environment, building, interpreters
from shadowlab.replay.runners import Tool
from shadowlab.source import Service

HARNESS = Path(__file__).with_name("node")
_OLDEST = 18
_INSTALL_S = 600.0
_OPTIONS = ("--random-seed=1", "--max-old-space-size=1024", "--no-warnings")


class Node:
    """Runs a service on the node that is installed, with the packages that its `package-lock.json` pins."""

    def prepared(self, tree: Path, service: Service, folder: Path) -> Tool:
        """The harness on a copy of the tree, its packages beside; raises `SourceError` when they are not to be had."""
        program, version = _node()
        place = folder / "tree"
        shutil.copytree(tree, place, symlinks=True, ignore=shutil.ignore_patterns("node_modules"))
        parts: list[Any] = [version, *(file.read_text() for file in sorted(HARNESS.glob("*.js")))]
        packages, how = dict[str, str](), "no lock is named"
        modules: tuple[str, ...] = ()
        if service.lock:
            lock = _lock(tree, service.lock)
            kept = building.kept("node", [version.split(".")[0], _text(lock)], lambda at: _install(lock, at))
            # Node looks for packages in the folders above a module.
            (folder / "node_modules").symlink_to(kept / "node_modules")
            packages, modules, how = _packages(lock), (str(kept),), f"{len(_packages(lock))} packages of {service.lock}"
            parts.append(_text(lock))
        return Tool(
            command=(program, *_OPTIONS, str(HARNESS / "harness.js")),
            tree=place,
            environment=Environment(
                interpreter=interpreters.here(), digest=hashlib.sha256(json.dumps(parts).encode()).hexdigest(), how=how,
                packages=packages, runtime=f"Node.js {version}", variables={"UV_THREADPOOL_SIZE": "1"},
            ),
            readable=(program, str(folder), str(HARNESS), *modules),
        )  # fmt: skip


@functools.cache
def _node() -> tuple[str, str]:
    found = shutil.which("node") or shutil.which("nodejs")
    if found is None:
        raise errors.SourceError(
            "the service runs on Node.js, and no node is installed", hint="install Node.js 18 or newer (Debian: nodejs)"
        )
    version = subprocess.run([found, "--version"], capture_output=True, text=True).stdout.strip().removeprefix("v")
    if not version.split(".")[0].isdigit() or int(version.split(".")[0]) < _OLDEST:
        raise errors.SourceError(f"node is version {version or 'unknown'}", hint=f"{_OLDEST} is the oldest that serves")
    return os.path.realpath(found), version


def _lock(tree: Path, name: str) -> dict[str, Any]:
    """A `package-lock.json` of version 2 or 3, without the addresses it names; raises `SourceError`."""
    place = (tree / name).resolve()
    try:
        if not place.is_relative_to(tree):
            raise ValueError("it lies outside of the tree")
        document = json.loads(place.read_text(encoding="utf-8"))
        packages = document["packages"]
        for path, entry in packages.items():
            # Where packages come from is the user's setting; what they must hold is the lock's.
            resolved = str(entry.pop("resolved", ""))
            if entry.get("link") or resolved.startswith(("git", "file:")) or (path and not entry.get("version")):
                raise ValueError(f"{path} is no package of an index")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise errors.SourceError(
            f"{name} is no package lock that can be used: {exc}", hint="`npm install --package-lock-only` writes one"
        ) from exc
    return {"name": "service", "version": "0.0.0", "lockfileVersion": 3, "packages": packages}


def _text(lock: dict[str, Any]) -> str:
    return json.dumps(lock, sort_keys=True)


def _packages(lock: dict[str, Any]) -> dict[str, str]:
    named = {path.rpartition("node_modules/")[2]: entry.get("version", "") for path, entry in lock["packages"].items()}
    return {name: version for name, version in named.items() if name}


def _install(lock: dict[str, Any], place: Path) -> None:
    """Install what the lock pins, running no script of any package."""
    npm = shutil.which("npm")
    if npm is None:
        raise errors.SourceError("npm is missing, which installs the lock's packages", hint="install it (Debian: npm)")
    place.mkdir()
    root = lock["packages"].get("", {})
    (place / "package-lock.json").write_text(_text(lock))
    (place / "package.json").write_text(json.dumps({"name": "service", "version": "0.0.0", **root}))
    words = [npm, "ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"]
    with tempfile.TemporaryDirectory(prefix="shadowlab-npm-") as home:
        log = Path(home, "npm.log")
        try:
            with log.open("wb") as file:
                done = subprocess.run(words, cwd=place, stdout=file, stderr=file, timeout=_INSTALL_S)
            failed = log.read_text(errors="replace").strip() or "npm said nothing" if done.returncode else ""
        except (OSError, subprocess.TimeoutExpired) as exc:
            failed = str(exc)
    if failed:
        raise errors.SourceError(
            f"the lock's {len(_packages(lock))} packages cannot be installed: {' '.join(failed.split())[-400:]}",
            hint="connect npm to your registry once (what was installed is kept)",
        )
