"""Seeded randomness in all its forms, drawn from named streams of SHA-256."""

from __future__ import annotations

import hashlib
import os
import random
import ssl
import sys
import uuid
from typing import Any

from .put import put

BOOT_SEED = "boot"


class Chance:
    """The one source behind os.urandom, random, secrets, uuid, ssl and numpy."""

    def __init__(self) -> None:
        self.drawn = 0
        self._key = b""
        self._count = 0
        self._spare = b""

    def install(self) -> None:
        """Take the place of the system's randomness; must come before the service is imported."""
        put(os, urandom=self.draw)
        if hasattr(os, "getrandom"):
            put(os, getrandom=lambda size, flags=0: self.draw(size))
        put(random, _urandom=self.draw)  # what SystemRandom and secrets read
        # Random() without a seed asks the kernel in C: give it a seed of ours instead.
        seeded = random.Random.seed

        def seed(generator: random.Random, a: Any = None, version: int = 2) -> None:
            seeded(generator, int.from_bytes(self.draw(32), "big") if a is None else a, version)

        put(random.Random, seed=seed)
        put(ssl, RAND_bytes=self.draw)
        put(uuid, getnode=lambda: 0x5EADB0B5)
        self.seed(BOOT_SEED)
        random.seed(BOOT_SEED)

    def seed(self, seed: int | str) -> None:
        """Begin the streams of one replay; `random` itself starts at `seed` as `random.seed(seed)` would."""
        self._key = hashlib.sha256(f"shadowlab:os:{seed}".encode()).digest()
        self._count, self._spare, self.drawn = 0, b"", 0
        random.seed(seed)
        numpy = sys.modules.get("numpy")
        if numpy is not None and hasattr(numpy, "random"):
            numpy.random.seed(int.from_bytes(hashlib.sha256(f"numpy:{seed}".encode()).digest()[:4], "big"))

    def draw(self, size: int) -> bytes:
        """`size` bytes of the stream."""
        if size < 0:
            raise ValueError("negative argument not allowed")
        while len(self._spare) < size:
            self._spare += hashlib.sha256(self._key + self._count.to_bytes(8, "big")).digest()
            self._count += 1
        self.drawn += size
        taken, self._spare = self._spare[:size], self._spare[size:]
        return taken
