"""What a recorder was told, checked when the service starts."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shadowlab_recorder.patterns import Looks, Places
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
    queue_bytes: int = 32 << 20
    """Bytes that recordings may hold while they wait for the disk."""
    redact_paths: tuple[str, ...] = ()
    """Places in JSON bodies that must not be kept: `$.card.number`, `$.items[*].code`, `$..pin`."""
    redact_patterns: tuple[str, ...] = ()
    """Regular expressions for what must not be kept, wherever it stands."""
    per_minute: int = 20
    """Failing or slow requests of one fingerprint that are written in a minute; so many at once at most."""
    request_bytes: int = 256 * 1024
    """Bytes that one request may hold in memory, of bodies and rows together."""
    memory_bytes: int = 32 << 20
    """Bytes that all requests in flight may hold together."""
    disk_bytes: int = 1 << 30
    """Bytes that the folder may hold; what comes after is dropped."""
    files: tuple[str, ...] = ()
    """Folders of which the files that a request reads are kept."""
    keep_draws: bool = False
    """Keep the bytes that a request draws by `os.urandom`, `secrets`, `uuid4`: they may be its secrets."""
    lock: str | None = None
    """The lock file of the service's packages; its digest is kept."""
    database: str | None = None
    """Name of the environment variable that tells the service where its database is."""

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"share is {self.share}: it is a part of all requests, from 0 to 1")
        if self.body_limit < 0 or self.queue_length < 1:
            raise ValueError("body_limit must be 0 or more, queue_length 1 or more")
        if min(self.per_minute, self.request_bytes, self.memory_bytes, self.disk_bytes) < 1:
            raise ValueError("per_minute, request_bytes, memory_bytes and disk_bytes must be 1 or more")
        for name in ("environment", "redact", "redact_paths", "redact_patterns", "files"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        Looks(self.redact_patterns), Places(self.redact_paths)  # says now what cannot be understood


def switched_off() -> bool:
    """Whether this process is told to record nothing."""
    return os.environ.get(SWITCH_VARIABLE, "").lower() == "off"
