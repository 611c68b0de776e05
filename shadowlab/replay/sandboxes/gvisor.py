"""gVisor around the fork server, when its `runsc` is installed: a kernel of its own, to which the host's is no target.

A bundle after the OCI runtime specification: an empty root, read-only mounts where they lie on the host, no network.
Its kernel has no listener for seccomp, so the one socket that a replay may reach, PostgreSQL's, is mounted too.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shadowlab import errors
from shadowlab.replay.folders import Folder
from shadowlab.replay.sandboxes import Launch, held_within, is_device
from shadowlab.replay.sandboxes.process import Process

_LINKS = ("bin", "lib", "lib64", "sbin")
_NAMESPACES = ("pid", "network", "ipc", "uts", "mount")
# Only to become a user that owns nothing; the server lets go of them before the service is imported.
_TO_LEAVE_ROOT = ["CAP_CHOWN", "CAP_DAC_READ_SEARCH", "CAP_SETGID", "CAP_SETUID"]
_END_S = 30.0
_SOCKET_AT = "/run/postgresql"
"""Debian's own place for it."""


class _Box(Process):
    """A container that `runsc` runs in the foreground."""

    def __init__(self, command: tuple[str, ...], launch: Launch, bundle: Folder) -> None:
        self._runsc, self._bundle = command, bundle
        words = (*command, "run", "--bundle", str(bundle.path), bundle.path.name)
        super().__init__(words, {"PATH": os.environ.get("PATH", os.defpath)}, launch.work)

    def kill(self) -> None:
        """End the container with all that runs in it, then `runsc` itself."""
        # `delete` alone waits for an end that `run`, which has to see it, keeps it from: five seconds, in vain.
        if self._order("kill", self._bundle.path.name, "KILL"):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_S)
        self._order("delete", "--force", self._bundle.path.name)
        super().kill()
        self._bundle.remove()

    def _order(self, *words: str) -> bool:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run([*self._runsc, *words], capture_output=True, timeout=_END_S, check=False)
            return done.returncode == 0
        return False


class Gvisor:
    """System calls are answered by gVisor's own kernel, in user space."""

    name = "gvisor"
    guard = True
    socket_at = _SOCKET_AT

    def start(self, launch: Launch) -> _Box:
        """Start the server in a container of `runsc`; raises `SandboxError` when that is not installed."""
        program = shutil.which("runsc")
        if program is None:
            raise errors.SandboxError(
                "gVisor's runsc is not installed",
                hint="install it (Debian: runsc), or use --sandbox embedded, which needs nothing",
            )
        bundle = Folder()
        _root(bundle.path / "root", _places(launch))
        (bundle.path / "config.json").write_text(json.dumps(_config(launch)))
        return _Box((program, *_flags(program, bundle.path)), launch, bundle)

    def enforced(self, held: Mapping[str, Any]) -> tuple[str, ...]:
        """gVisor's walls, then what the guard inside holds within them."""
        inner = (line for line in held_within(held) if not line.startswith("files: NOT held"))
        return (
            "gVisor: a kernel of its own, no network, own processes",
            "files: own folder writable, code readable, nothing else is mounted",
            *inner,
            "folders of other replays in the same batch: NOT held, gVisor has no Landlock",
        )


@functools.cache
def _known_flags(program: str) -> str:
    done = subprocess.run([program, "flags"], capture_output=True, text=True, timeout=_END_S)
    return done.stdout + done.stderr


def _flags(program: str, bundle: Path) -> tuple[str, ...]:
    # The supervisor's socket lies on the host, and PostgreSQL's; nothing else there can be connected to, for nothing
    # else is mounted.
    sockets = (
        "--host-uds=open"
        if "host-uds" in _known_flags(program).replace("fsgofer-host-uds", "")
        else ("--fsgofer-host-uds")
    )
    rootless = () if os.getuid() == 0 else ("--rootless",)
    return (f"--root={bundle / 'state'}", "--network=none", "--ignore-cgroups", sockets, *rootless)


def _places(launch: Launch) -> dict[str, str]:
    """What is mounted, read-only: where, and what of the host; but for PostgreSQL's socket the same."""
    places = (place for place in dict.fromkeys((*launch.readable, *launch.system)) if os.path.exists(place))
    found = {place: place for place in places if not is_device(place) and not _linked(Path(place).parts[1])}
    return {**found, _SOCKET_AT: launch.socket} if launch.socket else found


def _linked(first: str) -> bool:
    return first in _LINKS and Path("/", first).is_symlink()


def _root(root: Path, places: Mapping[str, str]) -> None:
    """An empty root with what mounts need to stand on, and the host's own links (`/lib -> usr/lib`)."""
    for name in ("dev", "proc", "tmp"):
        (root / name).mkdir(parents=True)
    for name in filter(_linked, _LINKS):
        (root / name).symlink_to(os.readlink(f"/{name}"))
    for place, source in sorted(places.items()):
        point = root / place.lstrip("/")
        point.parent.mkdir(parents=True, exist_ok=True)
        if os.path.isdir(source):
            point.mkdir(exist_ok=True)
        else:
            point.touch()


def _config(launch: Launch) -> dict[str, Any]:
    # gVisor knows no ambient capabilities, by which a program that is started could go on reading: it stays root, of
    # gVisor's own kernel and without a capability.
    held = _TO_LEAVE_ROOT if os.getuid() == 0 and not launch.runs else []
    kinds = ("bounding", "effective", "permitted")
    bound = [
        {"destination": place, "source": source, "type": "bind", "options": ["bind", "ro"]}
        for place, source in _places(launch).items()
    ]
    work = str(launch.work)
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": os.getuid(), "gid": os.getgid()},
            "args": list(launch.command),
            "env": [f"{name}={value}" for name, value in launch.environment.items()],
            "cwd": work,
            "capabilities": dict.fromkeys(kinds, held),
            "noNewPrivileges": True,
        },
        "root": {"path": "root", "readonly": True},
        "hostname": "shadowlab-twin" if launch.perturbed else "shadowlab",
        "mounts": [
            {"destination": "/proc", "source": "proc", "type": "proc"},
            {"destination": "/dev", "source": "tmpfs", "type": "tmpfs"},
            {"destination": "/tmp", "source": "tmpfs", "type": "tmpfs", "options": ["mode=1777", "size=16m"]},
            *bound,
            {"destination": work, "source": work, "type": "bind", "options": ["bind", "rw"]},
        ],
        "linux": {"namespaces": [{"type": kind} for kind in _NAMESPACES]},
    }
