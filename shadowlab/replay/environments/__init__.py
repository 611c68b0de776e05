"""Which interpreter and which packages a service is replayed on: what its lock pins, not what happens to be here."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shadowlab import errors
from shadowlab.replay.environments import building, interpreters, locks
from shadowlab.replay.environments.interpreters import Interpreter
from shadowlab.source import Service

ALLOWED = "SHADOWLAB_ENVIRONMENT_COMMAND"
"""Names the one command of a tree that may be run to find its interpreter."""
_COMMAND_S = 900.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """An interpreter with its packages, and where they come from."""

    interpreter: Interpreter
    digest: str
    """Over the Python version and the contents of every package: equal wherever the same is installed."""
    how: str
    """Where it comes from, in words."""
    packages: Mapping[str, str]
    """Names, normalised, with versions."""
    tools: str | None = None
    """A folder that holds time-machine for it, when its packages do not."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """What must be set for the interpreter to find its libraries."""
    image: str | None = None
    """The id of the container image that it lies in; None on this machine."""
    runtime: str = ""
    """Name and version of the runtime, when it is not the interpreter."""

    @property
    def name(self) -> str:
        """`Python 3.11.7`, or the name and version of another runtime."""
        return self.runtime or f"Python {self.interpreter.version}"


def of(tree: Path, service: Service, *, apart: bool = False) -> Environment:
    """What the service at `tree` runs on: its image, the command that it names, its lock, else this interpreter.

    With `apart` a lock has an environment of its own even where this interpreter has every version that it pins.
    Raises `SourceError` when the lock cannot be read or installed, or the command is not allowed or names no Python.
    """
    if service.image:
        return _imaged(service.image)
    if service.environment_command:
        return _commanded(service.environment_command, tree)
    if not service.lock:
        return _running("the interpreter that runs shadowlab: the service names no lock")
    return _locked(text(tree, service.lock), service.lock, apart)


def text(tree: Path, lock: str) -> str:
    """What a lock of a tree says; raises `SourceError` when it is no file within the tree."""
    with contextlib.suppress(ValueError, OSError):  # what is no path at all
        place = (tree / lock).resolve()
        if place.is_relative_to(tree.resolve()) and place.is_file():
            return place.read_text(encoding="utf-8", errors="replace")
    raise errors.SourceError(
        f"the lock {lock[:200]!r} is not a file of the tree",
        hint="name a requirements file in shadowlab.toml, or no lock",
    )


@functools.lru_cache(maxsize=32)
def _locked(lock_text: str, name: str, apart: bool) -> Environment:
    lock = locks.read(lock_text, where=name)
    if not apart and not locks.unmet(lock.pins, interpreters.here().packages):
        return _running(f"the interpreter that runs shadowlab: it has every version that {name} pins", lock)
    found = interpreters.ask(str(building.built(lock) / "bin" / "python"))
    beyond = len(found.packages) - len(lock.pins)
    pins = f"{len(lock.pins)} versions that {name} pins" + (f" and {beyond} that they need" if beyond > 0 else "")
    return _made(found, f"built for it: {pins}")


@functools.lru_cache(maxsize=32)
def _running(how: str, lock: locks.Lock | None = None) -> Environment:
    found = interpreters.here()
    names = interpreters.needed(found, lock.pins) if lock else set(found.packages)
    packages = {name: version for name, version in found.packages.items() if name in names}
    return Environment(interpreter=found, digest=interpreters.digest(found, names), how=how, packages=packages)


def _made(found: Interpreter, how: str, variables: Mapping[str, str] | None = None) -> Environment:
    return Environment(
        interpreter=found,
        digest=interpreters.digest(found, set(found.packages)),
        how=how,
        packages=found.packages,
        tools=None if "time-machine" in found.packages else str(building.tools(found)),
        variables=variables or {},
    )


def _commanded(command: str, tree: Path) -> Environment:
    if os.environ.get(ALLOWED) != command:
        raise errors.SourceError(
            f"shadowlab.toml names the environment command {command!r}, which runs outside of every sandbox",
            hint=f"read it; then allow it: export {ALLOWED}={shlex.quote(command)}",
        )
    try:
        words = shlex.split(command)
    except ValueError:  # a quotation mark that nothing closes
        words = []
    if not words or shutil.which(words[0]) is None:
        raise errors.SourceError(
            f"the environment command {command!r} cannot be run", hint="install it, or change shadowlab.toml"
        )
    key = (command, *(hashlib.sha256(file.read_bytes()).hexdigest() for file in _described_by(tree)))
    if key not in _answers:
        try:
            done = subprocess.run([*words, str(interpreters.PROBE)], cwd=tree, capture_output=True,
                                  timeout=_COMMAND_S, stdin=subprocess.DEVNULL)  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise errors.SourceError(f"the environment command {command!r} did not end well: {exc}") from exc
        found = interpreters.parsed(done.stdout, done.stderr, who=f"the environment command {command!r}")
        _answers[key] = _made(found, f"`{command}`", found.variables)
    return _answers[key]


_answers: dict[tuple[str, ...], Environment] = {}


def _described_by(tree: Path) -> list[Path]:
    """Files at the top of a tree that may say what its environment is: all but its code."""
    return [
        file for file in sorted(tree.iterdir()) if file.is_file() and not file.is_symlink() and file.suffix != ".py"
    ]


def _imaged(image: str) -> Environment:
    from shadowlab.replay.environments import images

    found, interpreter = images.interpreter(image)
    return Environment(
        interpreter=interpreter,
        digest=found.removeprefix("sha256:"),
        how=f"the image {image}",
        packages=interpreter.packages,
        tools=None if "time-machine" in interpreter.packages else str(building.tools(interpreter)),
        image=found,
    )


def differences(recorded: Mapping[str, str], here: Mapping[str, str]) -> tuple[str, ...]:
    """Packages that the recording and this environment both have in other versions, as `httpx 0.28.1, here 0.27.2`."""
    known = {locks.normal(name): version for name, version in recorded.items()}
    return tuple(
        f"{name} {version}, here {here[name]}"
        for name, version in sorted(known.items())
        if name in here and here[name] != version
    )
