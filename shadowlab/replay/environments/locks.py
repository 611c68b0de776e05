"""Read a lock: a requirements file in which every line pins one version, with hashes where it has them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from packaging.markers import InvalidMarker, UndefinedComparison
from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from shadowlab import errors

_HASH = re.compile(r"\s--hash[= ](sha(?:256|384|512):[0-9a-fA-F]+)")
_IGNORED = ("-i ", "--index-url", "--extra-index-url", "--find-links", "-f ", "--trusted-host", "--pre",
            "--only-binary", "--no-binary", "--prefer-binary", "--require-hashes", "--no-index")  # fmt: skip
"""Options that a tree may not choose for this machine: the user's own settings say where packages come from."""
_PROJECT = (".", "-e .", "-e file:.", "--editable .")
"""The service itself, as `uv export` writes it: its tree is on the path anyway."""


@dataclass(frozen=True, slots=True)
class Pin:
    """One package in one version."""

    name: str
    """Normalised."""
    version: str
    extras: tuple[str, ...] = ()
    hashes: tuple[str, ...] = ()

    def line(self) -> str:
        """As a requirements file has it."""
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        return " ".join((f"{self.name}{extras}=={self.version}", *(f"--hash={each}" for each in self.hashes)))


@dataclass(frozen=True, slots=True)
class Lock:
    """The pins that hold for this machine, in order of names."""

    pins: tuple[Pin, ...]

    @property
    def hashed(self) -> bool:
        """Whether every pin carries hashes."""
        return bool(self.pins) and all(pin.hashes for pin in self.pins)

    def text(self) -> str:
        """The pins as a requirements file that says nothing else."""
        # Installers refuse a file in which some lines carry hashes and others do not.
        pins = self.pins if self.hashed else tuple(Pin(p.name, p.version, p.extras) for p in self.pins)
        return "".join(f"{pin.line()}\n" for pin in pins)


def read(text: str, *, where: str) -> Lock:
    """The lock that `text` holds. Paths, URLs, repositories and open ranges are refused: raises `SourceError`."""
    pins: dict[str, Pin] = {}
    for number, line in _lines(text):
        pin = _pin(line, f"{where} line {number}")
        if pin is not None:
            pins[pin.name] = pin
    return Lock(tuple(pins[name] for name in sorted(pins)))


def normal(name: str) -> str:
    """A distribution's name, normalised as PEP 503 says."""
    return re.sub(r"[-_.]+", "-", name).lower()


def unmet(pins: Iterable[Pin], packages: Mapping[str, str]) -> tuple[Pin, ...]:
    """Those pins of which `packages` has another version, or none."""
    return tuple(pin for pin in pins if pin.name not in packages or not _same(pin.version, packages[pin.name]))


def _same(one: str, other: str) -> bool:
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other


def _lines(text: str) -> Iterable[tuple[int, str]]:
    """Logical lines without comments, numbered as they begin."""
    begun, parts = 0, ""
    for number, raw in enumerate(text.splitlines(), 1):
        line = re.sub(r"(^|\s)#.*$", "", raw).strip()
        begun = begun if parts else number
        parts += line.removesuffix("\\")
        if line.endswith("\\"):
            parts += " "
            continue
        if parts.strip():
            yield begun, parts.strip()
        parts = ""
    if parts.strip():
        yield begun, parts.strip()


def _pin(line: str, where: str) -> Pin | None:
    if line in _PROJECT or line.startswith(_IGNORED):
        return None
    hashes = tuple(_HASH.findall(line))
    try:
        wanted = Requirement(_HASH.sub("", line))
        holds = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
    except (InvalidRequirement, InvalidMarker, UndefinedComparison) as exc:
        raise _refused(line, where) from exc
    bounds = list(wanted.specifier)
    if wanted.url or len(bounds) != 1 or bounds[0].operator not in ("==", "===") or "*" in bounds[0].version:
        raise _refused(line, where)
    return Pin(normal(wanted.name), bounds[0].version, tuple(sorted(wanted.extras)), hashes) if holds else None


def _refused(line: str, where: str) -> errors.SourceError:
    return errors.SourceError(
        f"{where} pins no version: {line[:100]}",
        hint="a lock has lines such as httpx==0.28.1: `uv pip compile`, `uv export` and `pip-compile` write one",
    )
