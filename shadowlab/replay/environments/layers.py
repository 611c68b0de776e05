"""Test tools beside a service's packages: behind them on the path, and refused where they would want another version.

A lock for production seldom pins pytest. What its tests need is layered: in a folder of its own, resolved against every
version that the environment has, so that no pin changes, and put behind the environment's own packages, so that none
could be hidden.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import Distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from shadowlab import errors
from shadowlab.replay import environments
from shadowlab.replay.environments import building, interpreters, locks
from shadowlab.replay.environments.interpreters import Interpreter
from shadowlab.replay.environments.locks import Lock, normal
from shadowlab.source import Service

TOOLS = ("pytest", "freezegun")
"""What a service's tests, and those that shadowlab writes, run with when the environment has none."""
_FORM = 1
"""Raised when layers are made otherwise than before."""
_COMPILE_S = 120.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """Packages beside an environment's own."""

    place: str | None = None
    """The folder that they lie in; None when nothing was missing."""
    packages: Mapping[str, str] = field(default_factory=dict)
    """Names with versions, of those that the environment has not."""


def under(tree: Path, service: Service) -> environments.Environment:
    """What the service at `tree` runs on, built apart where its tests need what this interpreter has otherwise.

    Raises `SourceError` as `environments.of` does, and when `tests_lock` cannot be read.
    """
    unmet = locks.unmet(_wanted(tree, service).pins, interpreters.here().packages)
    return environments.of(tree, service, apart=bool(service.lock and unmet))


def beside(environment: environments.Environment, tree: Path, service: Service) -> Layer:
    """What the tests of the service at `tree` need and its environment has not: `tests_lock`, and `TOOLS`.

    Raises `SourceError` when they need another version of a package than the service runs on, or cannot be installed.
    """
    wanted, name = _wanted(tree, service), service.tests_lock
    has = environment.interpreter
    others = locks.unmet([pin for pin in wanted.pins if pin.name in has.packages], has.packages)
    if others:
        differing = ", ".join(
            f"{pin.name} {pin.version} (the service has {has.packages[pin.name]})" for pin in others[:5]
        )
        raise errors.SourceError(
            f"{name} would change what the service runs on: {differing}",
            hint="compile it against the service's lock: `uv pip compile --constraint LOCK …`",
        )
    there = has.packages.keys() | {pin.name for pin in wanted.pins}
    tools = [tool for tool in TOOLS if tool not in there]
    if not tools and not locks.unmet(wanted.pins, has.packages):
        return Layer()
    return _made(has, environment.variables, wanted, tools)


def _wanted(tree: Path, service: Service) -> Lock:
    name = service.tests_lock
    return locks.read(environments.text(tree, name), where=name) if name else Lock(())


def _made(has: Interpreter, variables: Mapping[str, str], wanted: Lock, tools: list[str]) -> Layer:
    versions = [f"{tool} {importlib.metadata.version(tool)}" for tool in tools]
    key = [_FORM, has.version, has.abi, sorted(has.packages.items()), wanted.text(), versions]

    def make(place: Path) -> None:
        place.mkdir()
        if wanted.pins:
            _install(has, wanted, place)
        if tools:
            _equip(has, tools, place)
        _compile(has, variables, place)

    place = building.kept("layers", key, make)
    packages = {name: version for name, version in _within(place).items() if name not in has.packages}
    return Layer(place=str(place), packages=packages)


def _within(place: Path) -> dict[str, str]:
    return dict(sorted((name, each.version) for name, each in interpreters.installed_at([str(place)])))


def _install(has: Interpreter, wanted: Lock, place: Path) -> None:
    # A lock with hashes is whole: what it does not name is not installed.
    words = ["--require-hashes"] if wanted.hashed else ["--constraint", str(_held(has.packages, place))]
    requirements = place.with_name("wanted.txt")
    requirements.write_text(wanted.text())
    building.install_into(has, place, *words, "--requirement", str(requirements), what="what tests_lock pins")


def _held(packages: Mapping[str, str], place: Path) -> Path:
    held = place.with_name("held.txt")
    held.write_text("".join(f"{name}=={version}\n" for name, version in packages.items()))
    return held


def _equip(has: Interpreter, tools: list[str], place: Path) -> None:
    """Our own copies of the tools where they fit, else the newest that do, none newer than ours."""
    there = {**has.packages, **_within(place)}
    fitting = _fitting(has.version, there, tools)
    if not isinstance(fitting, str):
        building.copied(fitting, place)
        return
    requirements = [f"{tool}<={importlib.metadata.version(tool)}" for tool in tools]
    try:
        building.install_into(
            has, place, "--constraint", str(_held(there, place)), *requirements, what=" and ".join(tools)
        )
    except errors.SourceError as exc:
        raise errors.SourceError(
            f"the tests need {' and '.join(tools)} beside what the service runs on, without a change to it: {fitting}; "
            f"{exc.args[0]}",
            hint="name a lock of what the tests need, made to fit the service's own, as tests_lock in shadowlab.toml",
        ) from exc


def _fitting(python: str, there: Mapping[str, str], tools: Sequence[str]) -> list[Distribution] | str:
    """Our own copies of what these tools need and is not there; why they would not do, when they would not."""
    version = {"python_version": ".".join(python.split(".")[:2]), "python_full_version": python, "extra": ""}
    left, found = [Requirement(tool) for tool in tools], dict[str, Distribution]()
    while left:
        wanted = left.pop()
        name = normal(wanted.name)
        if name in found or (wanted.marker is not None and not wanted.marker.evaluate(version)):
            continue
        if name in there:
            if not wanted.specifier.contains(there[name], prereleases=True):
                return f"they want {wanted.name}{wanted.specifier}, it has {there[name]}"
            continue
        try:
            found[name] = ours = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            return f"they want {name}, which is not installed beside shadowlab"
        if not _serves(ours, python):
            return f"{name} {ours.version} is made for another Python"
        left += [Requirement(text) for text in ours.requires or ()]
    return list(found.values())


def _serves(ours: Distribution, python: str) -> bool:
    """Whether a package of ours is pure Python, of a version that the interpreter takes."""
    pure = "Root-Is-Purelib: true" in (ours.read_text("WHEEL") or "")
    return pure and SpecifierSet(ours.metadata["Requires-Python"] or "").contains(python, prereleases=True)


def _compile(has: Interpreter, variables: Mapping[str, str], place: Path) -> None:
    """What is compiled once is not compiled by every run; an interpreter in an image cannot be asked."""
    if not has.within:
        words = [has.executable, "-I", "-S", "-m", "compileall", "-q", str(place)]
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(words, capture_output=True, timeout=_COMPILE_S, env=dict(variables), check=False)
