"""Seeded OTLP traces for `telemetry.py`: a dozen services, some thirteen attributes a span, stacks on 3 % of spans."""

from __future__ import annotations

import hashlib
import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SERVICES = ("frontend", "checkout", "cart", "payments", "catalog", "shipping", "currency", "email", "ads", "accounts",
            "recommend", "ledger")  # fmt: skip
ROUTES = ("/api/orders/{id}", "/api/charge", "/api/cart", "/api/products/{id}", "/login", "/api/quote")
START = 1_790_000_000_000_000_000
HOURS = 6
BATCH = 512


def resources(chance: random.Random) -> list[tuple[str, dict[str, Any]]]:
    """Two versions and two pods of every service."""
    made = []
    for service in SERVICES:
        for version in ("1.4.2", "1.4.3"):
            revision = hashlib.sha1(f"{service} {version}".encode()).hexdigest()
            for pod in range(2):
                made.append((service, {
                    "service.name": service, "service.version": version, "service.namespace": "shop",
                    "service.instance.id": f"{service}-{version}-{pod}-{chance.getrandbits(32):08x}",
                    "deployment.environment.name": "production", "host.name": f"node-{pod}",
                    "k8s.pod.name": f"{service}-{pod}-{chance.getrandbits(20):05x}", "k8s.namespace.name": "shop",
                    "cloud.region": "eu-west-1", "telemetry.sdk.language": "python",
                    "telemetry.sdk.name": "opentelemetry",
                    "telemetry.sdk.version": "1.45.0", "process.pid": chance.randrange(1, 9999),
                    "process.runtime.name": "CPython", "process.runtime.version": "3.11.7", "os.type": "linux",
                    "vcs.ref.head.revision": revision,
                }))  # fmt: skip
    return made


def spans(count: int, seed: int) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    """Batches of spans as plain values, each with the number of its resource."""
    chance = random.Random(seed)
    bits, batch, done = chance.getrandbits, [], 0
    while done < count:
        trace, user = f"{bits(128):032x}", chance.randrange(5000)
        begin, ids = START + int(HOURS * 3600e9 * done / count) + bits(33), [""]
        for number in range(chance.randrange(5, 30)):
            service, failed = chance.randrange(12), chance.random() < 0.03
            route, start, took = chance.choice(ROUTES), begin + bits(26), int(chance.lognormvariate(16, 1))
            span = {
                "traceId": trace, "spanId": f"{bits(64):016x}", "parentSpanId": chance.choice(ids) if number else "",
                "name": ("GET " if number % 2 else "POST ") + route, "kind": 3 if number % 2 else 2, "start": start,
                "end": start + took, "failed": failed, "attributes": {
                    "http.request.method": chance.choice(("GET", "POST")), "http.route": route,
                    "http.response.status_code": 500 if failed else 200,
                    "url.path": route.replace("{id}", str(bits(20))), "url.scheme": "https",
                    "server.address": f"{SERVICES[service]}.shop.svc", "server.port": 8080,
                    "network.peer.address": f"10.0.{bits(8)}.{bits(8)}", "enduser.id": f"user-{user}",
                    "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
                    "app.cart.total": round(chance.random() * 200, 2), "thread.id": bits(16),
                    "app.cached": chance.random() < 0.5,
                    **({"user.email": f"user{user}@example.com"} if chance.random() < 0.1 else {}),
                },
                "stack": _stack(chance, SERVICES[service]) if failed else None,
            }  # fmt: skip
            ids = [*ids[1:], span["spanId"]] if ids == [""] else [*ids, span["spanId"]]
            batch.append((service * 4 + chance.randrange(4), span))
            done += 1
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _stack(chance: random.Random, service: str) -> str:
    frames = "".join(
        f'  File "/srv/{service}/m{n}.py", line {10 * n + 7}, in f{n}\n'
        f"    call_{n}(order, retries={chance.getrandbits(2)})\n"
        for n in range(chance.randrange(6, 16))
    )
    return f"Traceback (most recent call last):\n{frames}ValueError: bad order {chance.getrandbits(24)}"


def write(folder: Path, count: int, seed: int = 7) -> tuple[Path, Path]:
    """`traces.jsonl` and `traces.pb` (the collector's length-prefixed stream), the same spans in both."""
    import orjson
    from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

    lines, stream = folder / "traces.jsonl", folder / "traces.pb"
    pods = resources(random.Random(seed))
    with lines.open("wb") as json_out, stream.open("wb") as proto_out:
        for batch in spans(count, seed):
            grouped: dict[int, list[dict[str, Any]]] = {}
            for pod, span in batch:
                grouped.setdefault(pod, []).append(span)
            document, message = [], TracesData()
            for pod, listed in grouped.items():
                scope = {"scope": {"name": "asgi", "version": "0.66b0"}, "spans": [_json(s) for s in listed]}
                document.append({"resource": {"attributes": _attributes(pods[pod][1])}, "scopeSpans": [scope]})
                _fill(message.resource_spans.add(), pods[pod][1], listed)
            json_out.write(orjson.dumps({"resourceSpans": document}) + b"\n")
            told = message.SerializeToString()
            proto_out.write(struct.pack(">I", len(told)) + told)
    return lines, stream


def _attributes(plain: dict[str, Any]) -> list[dict[str, Any]]:
    names = {bool: "boolValue", float: "doubleValue", str: "stringValue"}
    return [
        {"key": k, "value": {"intValue": str(v)} if type(v) is int else {names[type(v)]: v}} for k, v in plain.items()
    ]


def _exception(span: dict[str, Any]) -> dict[str, Any]:
    return {"exception.type": "ValueError", "exception.message": span["stack"].rsplit(": ", 1)[1],
            "exception.stacktrace": span["stack"]}  # fmt: skip


def _json(span: dict[str, Any]) -> dict[str, Any]:
    told = {
        "traceId": span["traceId"], "spanId": span["spanId"], "parentSpanId": span["parentSpanId"], "flags": 1,
        "name": span["name"], "kind": span["kind"], "startTimeUnixNano": str(span["start"]),
        "endTimeUnixNano": str(span["end"]), "attributes": _attributes(span["attributes"]),
        "status": {"code": 2, "message": "bad order"} if span["failed"] else {},
    }  # fmt: skip
    if span["failed"]:
        event = {"timeUnixNano": str(span["end"] - 5), "name": "exception", "attributes": _attributes(_exception(span))}
        told["events"] = [event]
    return told


def _fill(block: Any, resource: dict[str, Any], listed: list[dict[str, Any]]) -> None:
    _set(block.resource.attributes, resource)
    scope = block.scope_spans.add()
    scope.scope.name, scope.scope.version = "asgi", "0.66b0"
    for span in listed:
        made = scope.spans.add(
            trace_id=bytes.fromhex(span["traceId"]), span_id=bytes.fromhex(span["spanId"]), flags=1, name=span["name"],
            parent_span_id=bytes.fromhex(span["parentSpanId"]), kind=span["kind"], start_time_unix_nano=span["start"],
            end_time_unix_nano=span["end"],
        )  # fmt: skip
        _set(made.attributes, span["attributes"])
        if span["failed"]:
            made.status.code, made.status.message = 2, "bad order"
            event = made.events.add(time_unix_nano=span["end"] - 5, name="exception")
            _set(event.attributes, _exception(span))


def _set(attributes: Any, plain: dict[str, Any]) -> None:
    for key, value in plain.items():
        told = attributes.add(key=key).value
        match value:
            case bool():
                told.bool_value = value
            case int():
                told.int_value = value
            case float():
                told.double_value = value
            case _:
                told.string_value = value
