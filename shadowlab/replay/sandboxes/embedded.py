"""The default walls, which need neither root nor a container engine: the server confines itself from within."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from typing import Any

from shadowlab import errors
from shadowlab.replay.sandboxes import Launch, held_within


class Process:
    """A fork server in a session of its own, so that all of it can be ended at once."""

    def __init__(self, command: tuple[str, ...], launch: Launch) -> None:
        self._errors = (launch.work / "stderr").open("w+b")
        try:
            self._process = subprocess.Popen(
                command,
                env=dict(launch.environment),
                cwd=launch.work,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                start_new_session=True,
            )
        except OSError as exc:
            self._errors.close()
            raise errors.SandboxError(f"{command[0]} cannot be started: {exc.strerror}") from exc

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End the whole session."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._errors.close()

    def told(self) -> str:
        """The end of its standard error."""
        if self._errors.closed:
            return ""
        self._errors.seek(0)
        return self._errors.read()[-2000:].decode(errors="replace").strip()


class Embedded:
    """Limits, no new privileges, Landlock and seccomp, each as far as this kernel has it."""

    name = "embedded"
    guard = True

    def start(self, launch: Launch) -> Process:
        """Start the server; it confines itself before it imports the service."""
        return Process(launch.command, launch)

    def enforced(self, held: Mapping[str, Any]) -> tuple[str, ...]:
        """What the server found to be held."""
        return held_within(held)


class Unconfined:
    """No walls at all: for code that is trusted as much as the caller's own."""

    name = "unconfined"
    guard = False

    def start(self, launch: Launch) -> Process:
        """Start the server as an ordinary process."""
        return Process(launch.command, launch)

    def enforced(self, held: Mapping[str, Any]) -> tuple[str, ...]:
        """Nothing; the seams are patched in Python only."""
        return ("nothing: unconfined was asked for by name; network and processes are refused in Python only",)
