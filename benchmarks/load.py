"""Telemetry of a busy shop, written straight as OTLP/JSON lines: six services, 3 % exceptions, an incident at last."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from faults import Event, causes, event

START = 1_790_000_000_000_000_000
SECOND = 1_000_000_000
_CHAIN = ("gateway", "checkout", "payments", "ledger", "stock", "mail")
_CALLS = 5
"""Spans of a request in each service."""


def write(path: Path, spans: int, *, minutes: int = 360, seed: int = 1, first_minute: int = 0) -> int:
    """Write about `spans` spans over `minutes`; gives the number written."""
    r = random.Random(f"load {seed} {first_minute}")
    known = causes(seed, 60)
    each = len(_CHAIN) // 2 * _CALLS
    requests, written = spans // each, 0
    with path.open("w") as file:
        batch: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for n in range(requests):
            at = START + first_minute * 60 * SECOND + n * minutes * 60 * SECOND // requests
            for service, version, told in _request(
                r, at, known, at - START > (first_minute + minutes - 20) * 60 * SECOND
            ):
                batch.setdefault((service, version), []).append(told)
                written += 1
            if n % 60 == 59 or n == requests - 1:
                for (service, version), listed in batch.items():
                    file.write(json.dumps(_export(service, version, listed), separators=(",", ":")) + "\n")
                batch = {}
    return written


def _request(r: random.Random, at: int, known: list[Any], late: bool) -> Iterator[tuple[str, str, dict[str, Any]]]:
    trace, parent, surcharge = f"{r.getrandbits(128):032x}", "", r.random() < 0.05
    plain = _attributes(surcharge=str(surcharge).lower(), region=r.choice(("eu", "us", "ap")),
                        user=f"u{r.randrange(5000)}", amount=f"{r.random() * 900:.2f}")  # fmt: skip
    for depth, service in enumerate(("gateway", *r.sample(_CHAIN[1:], 2))):
        version = "2.0" if late and service == "payments" else "1.0"
        broken = version == "2.0" and surcharge
        for step in range(_CALLS):
            begin, end = at + depth * 1_000_000 + step * 1000, at + 9_000_000 - depth * 1_000_000 - step * 1000
            told: dict[str, Any] = {
                "traceId": trace, "spanId": f"{r.getrandbits(64):016x}", "parentSpanId": parent,
                "kind": 1 if step else 2, "startTimeUnixNano": str(begin),
                "name": f"step {step}" if step else f"GET /{service}",
                "endTimeUnixNano": str(end), "attributes": plain if step else plain + _HTTP[service]}  # fmt: skip
            if broken:
                told["status"] = {"code": 2}
            if (broken and step == _CALLS - 1) or r.random() < 0.028:
                told.update(_raised(event(r, known[0] if broken else r.choice(known)), end))
            parent = told["spanId"]
            yield service, version, told


def _raised(e: Event, end: int) -> dict[str, Any]:
    told = {"exception.type": e.type, "exception.message": e.message, "exception.stacktrace": e.stack}
    happened = {"timeUnixNano": str(end), "name": "exception", "attributes": _attributes(**told)}
    return {"status": {"code": 2}, "events": [happened]}


def _attributes(**plain: str) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in plain.items()]


_HTTP = {name: _attributes(**{"http.request.method": "GET", "http.route": f"/{name}"}) for name in _CHAIN}


def _export(service: str, version: str, spans: list[dict[str, Any]]) -> dict[str, Any]:
    resource = _attributes(**{"service.name": service, "service.version": version, "host.name": f"{service}-1"})
    scopes = [{"scope": {"name": "shop"}, "spans": spans}]
    return {"resourceSpans": [{"resource": {"attributes": resource}, "scopeSpans": scopes}]}
