"""Serve many recorded requests in order from one process, state carried along, and time each for real."""

from __future__ import annotations

import gc
import hashlib
import json
from collections.abc import Callable
from typing import Any, BinaryIO

from .clock import REAL_PERF_NS
from .entry import Answer
from .names import Names
from .outcome import name_of
from .seams import Seams
from .stopwatch import Stopwatches

Ask = Callable[[dict[str, Any], bytes], Answer]


def mirror(seams: Seams, ask: Ask, requests: list[dict[str, Any]], watches: Stopwatches, results: BinaryIO) -> None:
    """Ask once per request and tell one JSON line each: status, error, real latency, calls, digest of the body."""
    # Collections would hit arbitrary requests; between two they hit none.
    gc.disable()
    names = Names()
    seams.watch.on = seams.watch.deny = True
    for number, request in enumerate(requests):
        sent, body = _today(names, request)
        watches.clear()
        seams.begin(request)
        started = REAL_PERF_NS()
        answer = ask(sent, body)
        took_ns = REAL_PERF_NS() - started
        line = {
            "status": answer["status"],
            "error": name_of(type(answer["error"])) if answer["error"] is not None else None,
            "latency_ms": took_ns / 1e6,
            "body": hashlib.sha256(answer["body"]).hexdigest(),
            "unrecorded": len(seams.tape.unrecorded),
            "timed": watches.readings(),
        }
        names.learn(bytes.fromhex(request["answer"]), answer["body"])
        del answer
        results.write(json.dumps(line).encode() + b"\n")
        if number % 50 == 49:
            gc.collect(0)
    results.flush()


def _today(names: Names, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The request and its body with today's ids, its tape as well."""
    body, sent = bytes.fromhex(request["body"]), request["request"]
    if not names.known:
        return sent, body
    for call in request["outbound"]:
        call["url"] = names.put(call["url"])
    try:
        body = names.put(body.decode()).encode()
    except UnicodeDecodeError:
        return sent, body
    headers, pieces = sent["headers"], sent["pieces"]
    if len(body) != len(request["body"]) // 2:
        pieces = ()
    if not sent["unread"]:
        length = str(len(body))
        headers = [[name, length if name.lower() == "content-length" else value] for name, value in headers]
    return {
        **sent,
        "pieces": pieces,
        "path": names.put(sent["path"]),
        "query": names.put(sent["query"]),
        "headers": headers,
    }, body
