"""Start listening at the seams of a process: what a request asks of others."""

from __future__ import annotations

from shadowlab_recorder import environment, outbound_httpx, randomness
from shadowlab_recorder.settings import Settings


def start(settings: Settings) -> None:
    """Places every ear that the settings ask for; each is placed once in a process, however often this is called."""
    environment.watch()
    outbound_httpx.watch()
    if settings.seed_random:
        randomness.seed_requests()
