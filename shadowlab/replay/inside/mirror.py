"""Serve many recorded requests in order from one process, state carried along, and time each for real."""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Callable
from typing import Any, BinaryIO

from .clock import REAL_PERF_NS
from .entry import Answer
from .outcome import name_of
from .seams import Seams

Ask = Callable[[dict[str, Any], bytes], Answer]


def mirror(seams: Seams, ask: Ask, requests: list[dict[str, Any]], told: BinaryIO) -> None:
    """Ask once per request and tell one JSON line each: status, error, real latency, digest of the body."""
    # Collections would hit arbitrary requests; between two they hit none.
    gc.disable()
    seams.watch.on = seams.watch.deny = True
    for number, request in enumerate(requests):
        seams.begin(request)
        body = bytes.fromhex(request["body"])
        started = REAL_PERF_NS()
        answer = ask(request["request"], body)
        took_ns = REAL_PERF_NS() - started
        line = {
            "status": answer["status"],
            "error": name_of(type(answer["error"])) if answer["error"] is not None else None,
            "latency_ms": took_ns / 1e6,
            "body": hashlib.sha256(answer["body"]).hexdigest(),
            "unrecorded": len(seams.tape.unrecorded),
        }
        del answer
        told.write(json.dumps(line).encode() + b"\n")
        if number % 50 == 49:
            gc.collect(0)
    told.flush()
