"""A container for one command: nothing of it stays when the work with it is done, however that ends."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container


def start(client: DockerClient, image: str, words: Sequence[str], **options: Any) -> Container:
    """A container of `image` that runs `words`; `options` are those of docker-py's `containers.create`.

    Raises what `troubles` names, and leaves none behind, when the engine does not start it.
    """
    container = client.containers.create(image, list(words), **options)
    try:
        container.start()
    except BaseException:
        remove(container)
        raise
    return container


@contextlib.contextmanager
def started(client: DockerClient, image: str, words: Sequence[str], **options: Any) -> Iterator[Container]:
    """The same for as long as the block runs."""
    container = start(client, image, words, **options)
    try:
        yield container
    finally:
        remove(container)


def remove(container: Container) -> None:
    """Take a container away with all that runs in it; one that is gone, or whose engine is, is let be."""
    with contextlib.suppress(*troubles()):
        container.remove(force=True)


def ended(container: Container, *, timeout_s: float) -> int | None:
    """The exit code of its command; None when it had not ended in time."""
    import requests

    try:
        return int(container.wait(timeout=timeout_s)["StatusCode"])
    except (requests.Timeout, requests.ConnectionError):  # docker-py tells of a late answer in either way
        return None


def troubles() -> tuple[type[Exception], ...]:
    """What docker-py raises when an engine is not there, is not to be reached any more, or refuses."""
    import docker.errors

    return (docker.errors.DockerException, OSError)  # what requests raises is one


def reason(trouble: Exception) -> str:
    """The first line of a refusal, at most 300 characters; of an error of the system within it what the system says."""
    if system := re.search(r"\w+Error\(\d+, '([^']+)'\)", str(trouble)):
        return system[1][:300]
    return next(iter(str(trouble).splitlines()), type(trouble).__name__)[:300]
