"""Give every request a stream of `random` that a replay can draw again, or keep what it draws (both opt-in)."""

from __future__ import annotations

import os
import random
import sys
from typing import Any

from shadowlab_recorder.tape import current

_shared: Any = getattr(random, "_inst")  # noqa: B009  # the instance behind random.choice and its siblings
_random = _shared.random
_getrandbits = _shared.getrandbits
_urandom = os.urandom
DRAWS_LIMIT = 4096
"""Bytes kept of what one request draws."""


def seed_requests() -> None:
    """From now on `random.*` draws from a generator of the request's own, seeded by its trace id.

    Requests that run at the same time do not disturb each other. `random.choice`, `shuffle`, `uniform` and the like
    are reached however they were imported; `random.random` and `random.getrandbits` only when they are looked up in
    the module at the call. `random.Random()`, `secrets`, `uuid` and numpy are not touched.
    """
    _shared.random = _draw
    _shared.getrandbits = _draw_bits
    random.random = _draw
    random.getrandbits = _draw_bits


def keep_draws() -> None:
    """From now on the bytes that a request draws by `os.urandom` are kept, 4 kB of them at most.

    `secrets`, `uuid.uuid4` and `random.SystemRandom` draw through it too.
    """
    if os.urandom is _urandom:
        os.urandom = _drawn
        random._urandom = _drawn  # type: ignore[attr-defined]  # SystemRandom and secrets draw here


def _drawn(size: int) -> bytes:
    made = _urandom(size)
    tape = current()
    if tape is not None and not _caller(2).startswith(("opentelemetry.", "shadowlab_recorder.")):
        tape.draws_size += size
        if tape.draws_size <= DRAWS_LIMIT:
            tape.draws.append(made)
    return made


def _own() -> random.Random | None:
    """The request's generator; None outside of a request and for OpenTelemetry, whose ids must stay unique."""
    tape = current()
    if tape is None or _caller(3).startswith("opentelemetry."):
        return None
    if tape.random is None:
        tape.random = random.Random(tape.rand_seed())
    return tape.random


def _caller(depth: int) -> str:
    """The module that draws: `random.randrange` and its siblings draw for somebody."""
    frame: Any = sys._getframe(depth)
    while frame is not None and frame.f_globals.get("__name__") in ("random", "secrets", "uuid"):
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "")) if frame is not None else ""


def _draw() -> float:
    own = _own()
    return float(_random() if own is None else own.random())


def _draw_bits(k: int) -> int:
    own = _own()
    return int(_getrandbits(k) if own is None else own.getrandbits(k))
