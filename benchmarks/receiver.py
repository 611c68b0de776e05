"""How many spans a second a receiver acknowledges and stores beside its load generator, and how long a client waits.

    python benchmarks/receiver.py [--rate 20000] [--seconds 20] [--json]

The generator runs in this process (four connections, OTLP/HTTP in protobuf unless `--json`, 512 spans a request,
twelve attributes a span, every span of its own), the receiver is `shadowlab receive` in another. Spans are sent at a
fixed pace: `late` says how far behind it the generator fell, which is what to look at first when the rate is not
reached. `cpu_s` is the receiver's, from its start until everything is stored.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

BATCH = 512
CLIENTS = 4
ROUTES = ("POST /charges", "GET /charges/{id}", "POST /refunds", "GET /health")


def template(seed: int, as_json: bool) -> tuple[bytes, list[tuple[int, int]]]:
    """A request and where its ids lie: `(offset, length)` of bytes that may be anything (in JSON: any hexadecimal)."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    draw = random.Random(seed)
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    _attribute(resource.resource, "service.name", "payments-api")
    scope = resource.scope_spans.add()
    scope.scope.name = "benchmark"
    ids = []
    now = time.time_ns()
    for number in range(BATCH):
        ids += [draw.randbytes(16), draw.randbytes(8)]
        route = draw.choice(ROUTES)
        start = now + number * 1000
        span = scope.spans.add(trace_id=ids[-2], span_id=ids[-1], name=route, kind=2)
        span.start_time_unix_nano, span.end_time_unix_nano = start, start + draw.randrange(10**6, 10**8)
        for key in range(9):
            _attribute(span, f"app.attribute.{key}", f"value {draw.randrange(1000)}")
        _attribute(span, "http.route", route)
        _attribute(span, "http.request.method", "POST")
        span.attributes.add(key="http.response.status_code").value.int_value = 200
    if not as_json:
        body = request.SerializeToString()
        return body, [(body.index(one), len(one)) for one in ids]
    from google.protobuf.json_format import MessageToDict

    told = json.dumps(MessageToDict(request, use_integers_for_enums=True), separators=(",", ":"))
    for one in ids:  # OTLP writes ids in hex, protobuf's own JSON in base64
        told = told.replace(base64.b64encode(one).decode(), one.hex(), 1)
    body = told.encode()
    return body, [(body.index(one.hex().encode()), 2 * len(one)) for one in ids]


def _attribute(holder: object, key: str, text: str) -> None:
    holder.attributes.add(key=key).value.string_value = text


def fresh(body: bytes, places: list[tuple[int, int]], as_json: bool) -> bytes:
    """The same request about other spans."""
    out = bytearray(body)
    noise = os.urandom(16 * len(places))
    for number, (at, length) in enumerate(places):
        piece = noise[16 * number : 16 * number + (length // 2 if as_json else length)]
        out[at : at + length] = piece.hex().encode() if as_json else piece
    return bytes(out)


def load(port: int, rate: int, seconds: float, as_json: bool) -> dict[str, float]:
    """Send at a pace from four connections; gives counts and latencies."""
    body, places = template(7, as_json)
    kind = "application/json" if as_json else "application/x-protobuf"
    took: list[float] = []
    late: list[float] = []
    refused = [0]
    begun = time.perf_counter() + 0.2
    turns = iter(range(int(rate * seconds / BATCH)))
    lock = threading.Lock()

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while True:
            with lock:
                turn = next(turns, None)
            if turn is None:
                return
            due = begun + turn * BATCH / rate
            content = fresh(body, places, as_json)
            time.sleep(max(0.0, due - time.perf_counter()))
            sent = time.perf_counter()
            connection.request("POST", "/v1/traces", content, {"Content-Type": kind})
            answer = connection.getresponse()
            answer.read()
            took.append(time.perf_counter() - sent)
            late.append(sent - due)
            refused[0] += answer.status != 200

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - begun
    took.sort()
    return {
        "requests": len(took), "refused": refused[0], "spans": (len(took) - refused[0]) * BATCH, "wall_s": wall,
        "spans_per_s": (len(took) - refused[0]) * BATCH / wall, "p50_ms": took[len(took) // 2] * 1e3,
        "p99_ms": took[int(len(took) * 0.99)] * 1e3, "max_ms": took[-1] * 1e3, "late_ms": max(late) * 1e3,
    }  # fmt: skip


def measure(rate: int, seconds: float, as_json: bool) -> dict[str, float]:
    """One run: a receiver, its load, and the time until SQL has seen the last span."""
    with tempfile.TemporaryDirectory() as folder:
        case = Path(folder) / "case"
        command = [sys.executable, "-m", "shadowlab", "receive", str(case), "--http", "127.0.0.1:0", "--json"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stderr is not None
        port = int(re.findall(r"http://127.0.0.1:(\d+)", process.stderr.readline())[0])
        told = load(port, rate, seconds, as_json)
        log = sum(p.stat().st_size for p in (case / "telemetry" / "incoming").glob(".0*"))
        used = Path(f"/proc/{process.pid}/status").read_text()
        ended = time.perf_counter()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=300)
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        stored = json.loads(out)["spans"]
        if stored != told["spans"]:
            raise SystemExit(f"acknowledged {told['spans']} spans, stored {stored}\n{err}")
        segments = len(list((case / "telemetry").glob("*.duckdb")))
    return {
        **told, "log_at_end_mb": log / 1e6, "drain_s": time.perf_counter() - ended, "segments": segments,
        "peak_mb": int(re.findall(r"VmHWM:\s+(\d+)", used)[0]) / 1e3, "cpu_s": spent.ru_utime + spent.ru_stime,
    }  # fmt: skip


def main() -> None:
    """Print one row a figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=int, default=20_000, help="spans per second to send")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", action="store_true", help="send OTLP/JSON")
    told = parser.parse_args()
    found = measure(told.rate, told.seconds, told.json)
    encoding = "JSON" if told.json else "protobuf"
    print(f"OTLP/HTTP {encoding}, {told.rate:,} spans/s asked for, n = {found['requests']} requests")
    for name, value in found.items():
        print(f"{name:>14}  {value:,.1f}")


if __name__ == "__main__":
    main()
