"""One hardened container for a whole batch, through the docker SDK; the guard inside still confines what runs in it.

No registry is needed: the image is empty but for the host's own links (`/lib -> usr/lib`), and interpreter, packages,
tree and system libraries are mounted read-only where they lie on the host, so that paths in outcomes are equal too.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shadowlab import errors
from shadowlab.replay import containers
from shadowlab.replay.inside.bpf import REFUSED_OUTRIGHT
from shadowlab.replay.sandboxes import Launch, held_within, is_device

if TYPE_CHECKING:
    from docker.client import DockerClient
    from docker.models.containers import Container

_IMAGE = "shadowlab-nothing"
_LINKS = ("bin", "lib", "lib64", "sbin")
_FOLDERS = ("dev", "etc", "proc", "sys", "tmp", "usr")
# What the server needs while it starts; its own filter takes these away before the service is imported.
_UNTIL_GUARDED = {"socket", "connect", "execve", "personality", "chown", "sched_setaffinity"}
_TO_LEAVE_ROOT = ["CHOWN", "DAC_READ_SEARCH", "SETGID", "SETUID"]


class _Box:
    def __init__(self, container: Container) -> None:
        self._container = container

    def met(self, pid: int) -> None:
        """The server told its process id, which means nothing out here."""

    def alive(self) -> bool:
        """Whether the container runs."""
        try:
            self._container.reload()
        except containers.troubles():  # gone, or its engine is
            return False
        return bool(self._container.status in ("created", "running"))

    def kill(self) -> None:
        """Remove the container with all that runs in it."""
        containers.remove(self._container)

    def stderr_tail(self) -> str:
        """The end of its standard error."""
        with contextlib.suppress(*containers.troubles()):
            return self._container.logs(stdout=False, stderr=True, tail=40)[-2000:].decode(errors="replace").strip()
        return ""


class Docker:
    """A container without a network, with a read-only root, no capabilities to keep and few processes."""

    name = "docker"
    guard = True
    socket_at = ""

    def start(self, launch: Launch) -> _Box:
        """Start the server in a container; raises `SandboxError` when no engine answers."""
        import docker

        try:
            client = docker.from_env(timeout=60)
            client.ping()
        except Exception as exc:  # docker-py leaks what its transport raises: whatever it is, no engine answers
            raise errors.SandboxError(
                f"no container engine answers: {containers.reason(exc)}",
                hint="start one and set DOCKER_HOST, or use --sandbox embedded, which needs none",
            ) from exc
        try:
            image = launch.image or _image(client)
            return _Box(containers.start(client, image, launch.command, **_options(launch)))
        except containers.troubles() as exc:
            raise errors.SandboxError(f"the engine would not run the container: {containers.reason(exc)}") from exc

    def enforced(self, held: Mapping[str, Any]) -> tuple[str, ...]:
        """The container's walls, then what the guard inside holds."""
        return ("container: no network, read-only root, own processes, no new privileges", *held_within(held))


def answers() -> bool:
    """Whether a container engine answers here."""
    import docker

    try:
        client = docker.from_env(timeout=2)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except Exception:  # whatever is in the way, no engine can be used
        return False


def _options(launch: Launch) -> dict[str, Any]:
    root = os.getuid() == 0
    return {
        "environment": dict(launch.environment),
        "working_dir": str(launch.work),
        "hostname": "shadowlab-twin" if launch.perturbed else "shadowlab",
        "user": f"{os.getuid()}:{os.getgid()}",
        "network_mode": "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        # Only to become a user that owns nothing; the server lets go of them before the service is imported.
        "cap_add": _TO_LEAVE_ROOT if root else [],
        "security_opt": ["no-new-privileges:true", f"seccomp={_profile()}"],
        "pids_limit": launch.limits["processes"] + 16,
        "mem_limit": launch.limits["memory"],
        "memswap_limit": launch.limits["memory"],
        "cpuset_cpus": "0" if launch.perturbed else None,
        "ipc_mode": "private",
        "shm_size": "1m",
        "mounts": _mounts(launch),
        "labels": {"shadowlab": "replay"},
    }


def _mounts(launch: Launch) -> list[Any]:
    from docker.types import Mount

    places = [place for place in (*launch.readable, *launch.system) if os.path.exists(place)]
    bound = [place for place in dict.fromkeys(places) if not _through_a_link(place)]
    return [
        *(Mount(place, place, type="bind", read_only=True) for place in bound if not is_device(place)),
        Mount(str(launch.work), str(launch.work), type="bind"),
    ]


def _through_a_link(place: str) -> bool:
    """Whether the image's own link leads there already."""
    first = Path(place).parts[1]
    return first in _LINKS and Path("/", first).is_symlink()


def _profile() -> str:
    """The engine's filter: what the guard refuses anyway, from the container's first instruction on."""
    refused = {"names": sorted(REFUSED_OUTRIGHT - _UNTIL_GUARDED), "action": "SCMP_ACT_ERRNO"}
    profile: dict[str, Any] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [refused]}
    if os.uname().machine == "x86_64":
        # The engine would kill on a call by x32's numbers; the guard's filter returns an error.
        profile["architectures"] = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X32"]
    return json.dumps(profile)


def _image(client: DockerClient) -> str:
    """The empty image's name; made when the engine has none."""
    import docker.errors

    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name in _FOLDERS:
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
        for name in _LINKS:
            if Path("/", name).is_symlink():
                link = tarfile.TarInfo(name)
                link.type, link.linkname = tarfile.SYMTYPE, os.readlink(f"/{name}")
                tar.addfile(link)
    tag = hashlib.sha256(content.getvalue()).hexdigest()[:12]
    try:
        client.images.get(f"{_IMAGE}:{tag}")
    except docker.errors.ImageNotFound:
        client.api.import_image_from_data(content.getvalue(), repository=_IMAGE, tag=tag)
    return f"{_IMAGE}:{tag}"
