"""A container image, named by its digest, that brings interpreter and packages: for the docker sandbox only."""

from __future__ import annotations

import functools
import re
from typing import Any

from shadowlab import errors
from shadowlab.replay import containers
from shadowlab.replay.environments import interpreters
from shadowlab.replay.environments.interpreters import Interpreter

_DIGEST = re.compile(r"([\w./:-]+@)?sha256:[0-9a-f]{64}")
_PROBE_S = 60.0
_PROBE_PLACE = "/tmp/shadowlab-probe.py"


@functools.lru_cache(maxsize=8)
def interpreter(image: str) -> tuple[str, Interpreter]:
    """The image's id and its Python, pulled when the engine has not got it.

    Raises `SourceError` when the image is not named by a digest, cannot be had, or holds no Python.
    """
    if not _DIGEST.fullmatch(image):
        raise errors.SourceError(
            f"the image {image!r} is not named by a digest",
            hint='write image = "name@sha256:…"; `docker images --digests` shows it',
        )
    import docker

    try:
        client = docker.from_env(timeout=60)
        found = _found(client, image)
        answer, complaint = _probed(client, found)
    except containers.troubles() as exc:
        raise errors.SourceError(
            f"the image {image[:60]} cannot be used: {containers.reason(exc)}",
            hint="pull it where a registry is reached; it must have a python3",
        ) from exc
    return found, interpreters.parsed(answer, complaint, who=f"python3 of {image[:60]}", here=False)


def _probed(client: Any, image: str) -> tuple[bytes, bytes]:
    """What the image's Python tells of itself on standard output and error."""
    from docker.types import Mount

    probe = Mount(_PROBE_PLACE, str(interpreters.PROBE), type="bind", read_only=True)
    words = ["python3", "-s", "-B", _PROBE_PLACE]
    with containers.started(client, image, words, network_mode="none", mounts=[probe]) as container:
        containers.ended(container, timeout_s=_PROBE_S)
        return container.logs(stdout=True, stderr=False), container.logs(stdout=False, stderr=True)


def _found(client: Any, image: str) -> str:
    import docker.errors

    try:
        return str(client.images.get(image).id)
    except docker.errors.ImageNotFound:
        name, _, digest = image.partition("@")
        return str(client.images.pull(name, tag=digest or None).id)
