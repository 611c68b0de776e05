"""What an interpreter is: its version, its packages, and what of this machine it has to read."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import msgspec
from packaging.requirements import Requirement

from shadowlab import errors
from shadowlab.replay.environments.locks import Pin, normal
from shadowlab.replay.world import runtime

PROBE = Path(__file__).with_name("probe.py")
_OLDEST = (3, 10)
_ASK_S = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Interpreter:
    """One Python with what is installed beside it."""

    executable: str
    version: str
    """As `3.11.7`."""
    abi: str
    """What compiled modules are made for, as `cpython-311-x86_64-linux-gnu`."""
    path: tuple[str, ...]
    """Folders in which its packages lie."""
    readable: tuple[str, ...]
    """Folders of this machine that it has to read."""
    within: tuple[str, ...] = ()
    """Folders of its image that it has to read."""
    packages: Mapping[str, str] = field(default_factory=dict)
    """Names, normalised, with versions."""
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def platform(self) -> str:
        """What uv calls the platform that compiled modules are made for."""
        machine = self.abi.split("-")[2] if self.abi.count("-") >= 2 else "x86_64"
        return f"{machine}-unknown-linux-{'musl' if self.abi.endswith('musl') else 'gnu'}"

    def options(self) -> tuple[str, ...]:
        """Words after the executable: nothing of the working folder or the user is imported, nothing is written."""
        safe = ("-P",) if tuple(int(part) for part in self.version.split(".")[:2]) >= (3, 11) else ()
        return (*safe, "-s", "-B", "-X", "utf8")


@functools.cache
def here() -> Interpreter:
    """The interpreter that runs shadowlab."""
    path = tuple(dict.fromkeys(place for place in sys.path if place and os.path.isdir(place)))
    return Interpreter(
        executable=sys.executable,
        version=platform.python_version(),
        abi=str(sysconfig.get_config_var("SOABI")),
        path=path,
        readable=runtime(),
        packages=_packages(path),
    )


@functools.cache
def ask(executable: str) -> Interpreter:
    """Ask an interpreter what it is; raises `SourceError` when it does not answer."""
    try:
        done = subprocess.run([executable, "-s", "-B", str(PROBE)], capture_output=True, timeout=_ASK_S, cwd="/")
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise errors.SourceError(f"{executable} does not answer: {exc}", hint="remove it, and it is made anew") from exc
    return parsed(done.stdout, done.stderr, who=executable)


def parsed(answer: bytes, complaint: bytes, *, who: str, here: bool = True) -> Interpreter:
    """The interpreter that answered to the probe; raises `SourceError` when it is none, or too old.

    Of one that does not lie `here`, but in an image, nothing has to be readable on this machine.
    """
    try:
        facts = msgspec.json.decode(answer.strip().splitlines()[-1], type=_Facts)
        version = tuple(int(part) for part in facts.version.split("."))
    except (ValueError, IndexError, RecursionError) as exc:
        last = complaint.decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
        raise errors.SourceError(
            f"{who} is no Python that answers: {last[0][:300]}", hint="it must end in the name of an interpreter"
        ) from exc
    if version[:2] < _OLDEST:
        raise errors.SourceError(f"{who} is Python {facts.version}", hint="3.10 is the oldest that can be replayed")
    return Interpreter(
        executable=facts.executable,
        version=facts.version,
        abi=facts.abi,
        path=facts.path,
        readable=_outer(_places(facts)) if here else (),
        within=() if here else tuple(sorted(_places(facts))),
        packages={normal(name): version for name, version in facts.packages.items()},
        variables=facts.variables,
    )


class _Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What `probe.py` prints."""

    executable: str
    version: str
    abi: str
    prefixes: tuple[str, ...]
    path: tuple[str, ...]
    libraries: tuple[str, ...]
    packages: dict[str, str]
    variables: dict[str, str]


def needed(found: Interpreter, pins: Iterable[Pin]) -> set[str]:
    """The pinned packages of an interpreter and all that they need."""
    installed = dict(installed_at(found.path))
    left, names = [(pin.name, pin.extras) for pin in pins], set[str]()
    seen: set[tuple[str, tuple[str, ...]]] = set()
    while left:
        name, extras = left.pop()
        if (name, extras) in seen or name not in installed:
            continue
        seen.add((name, extras))
        names.add(name)
        for text in installed[name].requires or ():
            wanted = Requirement(text)
            if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                left.append((normal(wanted.name), tuple(sorted(wanted.extras))))
    return names


def digest(found: Interpreter, names: set[str]) -> str:
    """SHA-256 over the Python version and the files of these packages, as their RECORDs tell them.

    What an installer adds of its own (scripts, caches, its name) is left out, so that it is equal wherever the same
    wheels are installed.
    """
    entries: list[Any] = [found.version, found.abi]
    for name, each in installed_at(found.path):
        if name in names:
            entries.append([name, each.version, _contents(each.read_text("RECORD") or "")])
    unique = sorted({json.dumps(entry) for entry in entries})
    return hashlib.sha256(json.dumps(unique).encode()).hexdigest()


def _contents(record: str) -> str:
    kept = sorted(
        line.rsplit(",", 1)[0]
        for line in record.splitlines()
        if ".dist-info/" not in line and ".pyc," not in line and not line.startswith("..")
    )
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()


def installed_at(path: Iterable[str]) -> Iterator[tuple[str, Distribution]]:
    """What lies in these folders, by normalised name; what is left half removed has no name, and is none."""
    for each in importlib.metadata.distributions(path=list(path)):
        if each.metadata["Name"]:
            yield normal(each.metadata["Name"]), each


def _packages(path: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, each in installed_at(path):
        found.setdefault(name, each.version)
    return found


def _places(facts: _Facts) -> set[str]:
    places = {*facts.prefixes, *facts.path, *facts.libraries, os.path.dirname(os.path.realpath(facts.executable))}
    if any(place.startswith("/nix/store/") for place in places):
        places.add("/nix/store")
    return places


def _outer(places: set[str]) -> tuple[str, ...]:
    """The outermost of these folders, under the names and the real names; the whole system is none of them."""
    real = {os.path.realpath(place) for place in places} | places
    kept = {place for place in real if os.path.isdir(place) and place not in ("/", "/usr", "/usr/bin", "/bin", "/lib")}
    return tuple(sorted(p for p in kept if not any(other != p and p.startswith(f"{other}/") for other in kept)))
