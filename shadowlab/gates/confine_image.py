"""Run a command on a private copy of a tree in the container image that the service names: its own folder and no more.

The walls are the engine's: no network but the container's own, a read-only root, no capability, a few processes. Of
this machine it sees the run's folder and the test tools, at the same paths as out here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shadowlab import errors
from shadowlab.gates import confine
from shadowlab.gates.confine import Ran
from shadowlab.replay import containers

_MEMORY = 4 << 30
_PROCESSES = 256
_HELD = (
    "private copy", "clean environment", "time limit", "no network", "no write outside of the copy",
    "the container of its image",
)  # fmt: skip


def run(
    image: str, words: Sequence[str], tree: Path, *, timeout_s: float, environment: Mapping[str, str],
    reads: Sequence[str],
) -> Ran:  # fmt: skip
    """Run `words` in a container of `image`, in `tree`, whose parent folder is the command's own; `reads` can be read.

    Raises `SandboxError` when no engine answers, or it would not run the container.
    """
    import docker

    began = time.monotonic()
    options = _options(tree, environment, reads, timeout_s)
    try:
        with containers.started(docker.from_env(timeout=60), image, words, **options) as container:
            code = containers.ended(container, timeout_s=timeout_s)
            output = container.logs(tail=200)[-confine.TAIL :].decode(errors="replace").replace(str(tree), ".")
    except containers.troubles() as exc:
        raise errors.SandboxError(
            f"the service's image cannot be run: {containers.reason(exc)}",
            hint="start a container engine and set DOCKER_HOST",
        ) from exc
    return Ran(code=code, seconds=time.monotonic() - began, output=output, held=_HELD)


def _options(tree: Path, environment: Mapping[str, str], reads: Sequence[str], timeout_s: float) -> dict[str, Any]:
    from docker.types import LogConfig, Mount, Ulimit

    folder, seconds = str(tree.parent), int(timeout_s) + 5
    return {
        "environment": {**confine.variables(tree.parent), **environment},
        "working_dir": str(tree),
        "user": f"{os.getuid()}:{os.getgid()}",
        "network_mode": "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "pids_limit": _PROCESSES,
        "mem_limit": _MEMORY,
        "memswap_limit": _MEMORY,
        "ipc_mode": "private",
        "shm_size": "64m",
        "tmpfs": {"/tmp": "size=1m,nosuid,nodev"},
        "ulimits": [
            Ulimit(name="cpu", soft=seconds, hard=seconds),
            Ulimit(name="fsize", soft=confine.LARGEST_FILE, hard=confine.LARGEST_FILE),
            Ulimit(name="core", soft=0, hard=0),
        ],
        "mounts": [
            Mount(folder, folder, type="bind"),
            *(Mount(place, place, type="bind", read_only=True) for place in reads),
        ],
        # What it prints is kept by the engine and read whole: without a bound a test could fill the disk with it.
        "log_config": LogConfig(type=LogConfig.types.JSON, config={"max-size": "8m", "max-file": "1"}),
        "labels": {"shadowlab": "gate"},
    }
