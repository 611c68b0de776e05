"""What a recorder was told, checked when the service starts."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shadowlab_recorder.snapshot import Snapshot

DIRECTORY_VARIABLE = "SHADOWLAB_RECORDINGS"
"""Names the folder for everything that is recorded without one; read by the auto-instrumentation too."""
SWITCH_VARIABLE = "SHADOWLAB_RECORDER"
"""`off` makes every `record` in the process do nothing: a replay sets it."""


@dataclass(frozen=True)
class Settings:
    """`record` and `configure` say what the usual ones mean."""

    directory: Path
    service: str | None = None
    service_version: str | None = None
    commit: str | None = None
    share: float = 0.05
    seed: int = 0
    environment: tuple[str, ...] = ()
    snapshot: Snapshot | None = None
    mirror: bool = False
    seed_random: bool = False
    flags: Callable[[], Mapping[str, Any]] | None = None
    slow_ms: float | None = None
    body_limit: int = 64 * 1024
    redact: tuple[str, ...] = ()
    key: bytes | None = None
    queue_length: int = 1024
    queue_bytes: int = 64 << 20
    """Bytes that recordings may hold while they wait for the disk."""
    database: str | None = None
    """Name of the environment variable that tells the service where its database is."""

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"share is {self.share}: it is a part of all requests, from 0 to 1")
        if self.body_limit < 0 or self.queue_length < 1:
            raise ValueError("body_limit must be 0 or more, queue_length 1 or more")
        object.__setattr__(self, "environment", tuple(self.environment))
        object.__setattr__(self, "redact", tuple(self.redact))


def switched_off() -> bool:
    """Whether this process is told to record nothing."""
    return os.environ.get(SWITCH_VARIABLE, "").lower() == "off"
