"""A child that becomes another program: a runner for a language that is not Python, behind the same walls."""

from __future__ import annotations

import contextlib
import json
import os
import traceback
from typing import Any

from . import guard
from .child import settle
from .database import NAME

_OUTCOME = 3


class Tool:
    """Hands a recording over as a file and environment variables; the program's outcome comes back on descriptor 3."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config

    def run(self, number: int, job_fd: int, result_fd: int) -> None:
        """Do the job that can be read from `job_fd`; never returns."""
        try:
            with os.fdopen(job_fd, "rb") as file:
                job = json.load(file)
            # Nothing else of ours is handed on: what lies behind the next descriptors is closed.
            os.dup2(result_fd, _OUTCOME)
            os.closerange(_OUTCOME + 1, os.sysconf("SC_OPEN_MAX"))
            work = settle(self._config, number, job)
            place = os.path.join(work, "recording.json")
            with open(place, "w", encoding="utf-8") as file:
                json.dump(job["recording"], file)
            command, environment = self._config["tool"], {**os.environ, **self._variables(job, work, place)}
            if self._config["guard"]:
                guard.confine_child(work, filter(None, (job.get("snapshot"),)), self._config["limits"], runs=True)
            os.execve(command[0], command, environment)
        except BaseException as exc:
            if os.environ.get("SHADOWLAB_DEBUG"):
                traceback.print_exc()
            with contextlib.suppress(OSError):
                os.write(_OUTCOME, json.dumps({"failed": f"the runner cannot be started: {exc}"}).encode())
        finally:
            os._exit(1)

    def _variables(self, job: dict[str, Any], work: str, recording: str) -> dict[str, str]:
        variables = {
            "SHADOWLAB_RECORDING": recording,
            "SHADOWLAB_TREE": self._config["tree"],
            "SHADOWLAB_WORK": work,
            "SHADOWLAB_ENTRYPOINT": self._config["entrypoint"],
            "SHADOWLAB_OUTCOME_FD": str(_OUTCOME),
            "SHADOWLAB_TIME_NS": str(job["time_ns"]),
            "SHADOWLAB_SEED": str(job["seed"]),
            "SHADOWLAB_PERTURBED": str(int(self._config["perturbed"])),
        }
        return {**variables, "SHADOWLAB_DATABASE": os.path.join(work, NAME)} if job.get("snapshot") else variables
