"""Give every request a stream of `random` that a replay can draw again (opt-in)."""

from __future__ import annotations

import random
import sys
from typing import Any

from shadowlab_recorder.tape import current

_shared: Any = getattr(random, "_inst")  # noqa: B009  # the instance behind random.choice and its siblings
_random = _shared.random
_getrandbits = _shared.getrandbits


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


def _own() -> random.Random | None:
    """The request's generator; None outside of a request and for OpenTelemetry, whose ids must stay unique."""
    tape = current()
    if tape is None or _caller().startswith("opentelemetry."):
        return None
    if tape.random is None:
        tape.random = random.Random(tape.rand_seed())
    return tape.random


def _caller() -> str:
    """The module that draws: `random.randrange` and its siblings draw for somebody."""
    frame: Any = sys._getframe(3)
    while frame is not None and frame.f_globals.get("__name__") == "random":
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "")) if frame is not None else ""


def _draw() -> float:
    own = _own()
    return float(_random() if own is None else own.random())


def _draw_bits(k: int) -> int:
    own = _own()
    return int(_getrandbits(k) if own is None else own.getrandbits(k))
