"""Walls around a fork server, one file each, behind one small protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from shadowlab import errors


@dataclass(frozen=True, kw_only=True, slots=True)
class Launch:
    """What is to be run, and what it may see."""

    command: tuple[str, ...]
    """Holds `place` as one of its words."""
    place: str
    """Path of the supervisor's socket."""
    environment: Mapping[str, str]
    readable: tuple[str, ...]
    """Paths that it may read: tree, interpreter, packages."""
    system: tuple[str, ...] = ()
    """Further paths of the host that the interpreter needs."""
    work: Path
    """The one folder that it may write; the supervisor's socket lies in it."""
    limits: Mapping[str, int]
    image: str | None = None
    """The container image to run in, for a sandbox that has images."""
    runs: bool = False
    """Whether its children become other programs."""
    preload: tuple[str, ...] = ()
    """Installed modules that the service imports anyway."""
    tools: str | None = None
    """A folder with what the child side needs beyond the service's packages."""
    perturbed: bool = False
    """Whether this is the twin: another host name, one processor."""
    socket: str = ""
    """The folder of the replay's PostgreSQL socket, for a sandbox that mounts it."""


class Box(Protocol):
    """A running fork server and everything that it started."""

    def met(self, pid: int) -> None:
        """The server told its process id, before it imported anything of the tree."""

    def alive(self) -> bool:
        """Whether it still runs."""

    def kill(self) -> None:
        """End it and all that it started; returns when nothing is left."""

    def stderr_tail(self) -> str:
        """The end of what it wrote on standard error, for a message when it died."""


class Sandbox(Protocol):
    """Starts a fork server behind walls."""

    name: str
    guard: bool
    """Whether the server also confines itself from within."""
    socket_at: str
    """Where it mounts the folder of PostgreSQL's socket; empty where its kernel hands `connect` to a listener."""

    def start(self, launch: Launch) -> Box:
        """Start it; raises `SandboxError` when this sandbox is not to be had here."""

    def enforced(self, held: Mapping[str, Any]) -> tuple[str, ...]:
        """What is really held, in words; `held` is what the server probed from within."""


def named(name: str) -> Sandbox:
    """The sandbox called `name`; raises `SandboxError` when there is none of that name."""
    known = _known()
    if name not in known:
        raise errors.SandboxError(
            f"there is no sandbox {name!r}", hint=f"choose one of {', '.join(known)}; `embedded` needs nothing"
        )
    return known[name]()


def names() -> tuple[str, ...]:
    """Every sandbox, the default first; `unconfined` holds nothing and is used by explicit name only."""
    return tuple(_known())


def _known() -> dict[str, Callable[[], Sandbox]]:
    from shadowlab.replay.sandboxes.bwrap import Bwrap
    from shadowlab.replay.sandboxes.docker import Docker
    from shadowlab.replay.sandboxes.embedded import Embedded, Unconfined
    from shadowlab.replay.sandboxes.gvisor import Gvisor

    return {"embedded": Embedded, "bwrap": Bwrap, "docker": Docker, "gvisor": Gvisor, "unconfined": Unconfined}


def is_device(place: str) -> bool:
    """Whether a path is one of the devices that every sandbox has of its own; folders in memory are none."""
    return place.startswith("/dev/") and not place.startswith("/dev/shm/")


def held_within(held: Mapping[str, Any]) -> tuple[str, ...]:
    """What the guard inside holds, in words; what it could not hold is said as well."""
    lines = []
    version = held.get("landlock") or 0
    lines.append(
        f"files: own folder writable, code readable (Landlock ABI {version})"
        if version and held.get("host_files")
        else "files: NOT held, this kernel has no Landlock"
    )
    sockets = "none but the replay's own PostgreSQL" if held.get("door") else "no socket can be made"
    lines.append(f"network: {sockets}" if held.get("network") else "network: NOT held by the kernel")
    lines.append(
        "calls: seccomp filter, refusals are errors" if held.get("seccomp") else "calls: NOT held, no seccomp filter"
    )
    lines.append("signals: own process only" if version >= 6 or held.get("seccomp") else "signals: NOT held")
    if held.get("processes"):
        lines.append(f"processes: none in a replay, {held['processes']} in the fork server")
    else:
        lines.append(
            f"processes: {'none in a replay' if held.get('seccomp') else 'NOT held'}, not counted in the server"
        )
    lines.append(f"memory: {held.get('memory', 0) >> 20} MiB of {held.get('memory_of', 'addresses')}")
    lines.append(f"disk: {held.get('file_size', 0) >> 20} MiB a file, {held.get('disk', 0) >> 20} MiB in all")
    lines.append(f"processor: {held.get('cpu_s', 0)} s a replay")
    if held.get("user"):
        lines.append(f"user: {held['user']}, who owns nothing")
    return tuple(lines)
