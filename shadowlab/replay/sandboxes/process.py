"""A fork server as an ordinary process in a session of its own, so that all of it can be ended at once."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from shadowlab import errors


class Process:
    """A process that works in `work`, with exactly the environment that is given."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], work: Path) -> None:
        self._errors = (work / "stderr").open("w+b")
        try:
            self._process = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=work,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                start_new_session=True,
            )
        except OSError as exc:
            self._errors.close()
            raise errors.SandboxError(f"{command[0]} cannot be started: {exc.strerror}") from exc

    def met(self, pid: int) -> None:
        """The server told its process id; it is known here already."""

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End the whole session."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._errors.close()

    def stderr_tail(self) -> str:
        """The end of its standard error."""
        if self._errors.closed:
            return ""
        self._errors.seek(0)
        return self._errors.read()[-2000:].decode(errors="replace").strip()
