"""The default walls, which need neither root nor a container engine: the server confines itself from within."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shadowlab.replay.sandboxes import Box, Launch, held_within, shared
from shadowlab.replay.sandboxes.process import Process


class Embedded:
    """Limits, no new privileges, Landlock and seccomp, each as far as this kernel has it."""

    name = "embedded"
    guard = True
    socket_at = ""

    def start(self, launch: Launch) -> Box:
        """Start the server; it confines itself before it imports the service."""
        return _started(launch)

    def enforced(self, held: Mapping[str, Any]) -> tuple[str, ...]:
        """What the server found to be held."""
        return held_within(held)


class Unconfined:
    """No walls at all: for code that is trusted as much as the caller's own."""

    name = "unconfined"
    guard = False
    socket_at = ""

    def start(self, launch: Launch) -> Box:
        """Start the server as an ordinary process."""
        return _started(launch)

    def enforced(self, held: Mapping[str, Any]) -> tuple[str, ...]:
        """Nothing; the seams are patched in Python only."""
        return ("nothing: unconfined was asked for by name; network and processes are refused in Python only",)


def _started(launch: Launch) -> Box:
    box = shared.forked(launch) if launch.preload else None
    return box or Process(launch.command, launch.environment, launch.work)
