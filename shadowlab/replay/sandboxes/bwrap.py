"""bubblewrap around the fork server: namespaces of its own without root; the guard inside adds limits and filters."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shadowlab import errors
from shadowlab.replay.sandboxes import Launch, held_within, is_device
from shadowlab.replay.sandboxes.process import Process

_LINKS = ("bin", "lib", "lib64", "sbin")


class Bwrap:
    """An empty root, read-only mounts, no network, own processes."""

    name = "bwrap"
    guard = True
    socket_at = ""

    def start(self, launch: Launch) -> Process:
        """Start the server under bwrap; raises `SandboxError` when it is not installed."""
        program = shutil.which("bwrap")
        if program is None:
            raise errors.SandboxError(
                "bwrap is not installed", hint="install bubblewrap, or use --sandbox embedded, which needs nothing"
            )
        return Process((program, *_walls(launch), "--", *launch.command), launch.environment, launch.work)

    def enforced(self, held: Mapping[str, Any]) -> tuple[str, ...]:
        """bwrap's walls, then what the guard inside holds."""
        return ("namespaces: no network, empty root, own processes", *held_within(held))


def _walls(launch: Launch) -> list[str]:
    words = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    words += ["--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"]
    if os.getuid():
        words += ["--unshare-user", "--disable-userns"]
    else:
        # Only to become a user that owns nothing; the server lets go of them before the service is imported.
        for name in ("CAP_CHOWN", "CAP_DAC_READ_SEARCH", "CAP_SETGID", "CAP_SETUID"):
            words += ["--cap-add", name]
    words += ["--hostname", "shadowlab-twin" if launch.perturbed else "shadowlab"]
    words += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
    for name in _LINKS:
        if Path("/", name).is_symlink():
            words += ["--symlink", os.readlink(f"/{name}"), f"/{name}"]
    for place in dict.fromkeys((*launch.system, *launch.readable)):
        first = Path(place).parts[1]
        linked = first in _LINKS and Path("/", first).is_symlink()
        if os.path.exists(place) and not linked and not is_device(place):
            words += ["--ro-bind", place, place]
    words += ["--bind", str(launch.work), str(launch.work), "--chdir", str(launch.work)]
    for name, value in launch.environment.items():
        words += ["--setenv", name, value]
    return [*words, "--remount-ro", "/"]
