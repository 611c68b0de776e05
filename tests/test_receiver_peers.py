"""Real senders: the OpenTelemetry SDK for Node.js, and a collector between an SDK and the receiver."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from sending import receiving

import shadowlab as sl
from shadowlab.case import Case

NODE = Path(__file__).parent / "assets" / "otel-node"
SPANS = 500

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Node.js service with the packages of its lock."""
    folder = tmp_path_factory.mktemp("node") / "service"
    shutil.copytree(NODE, folder, ignore=shutil.ignore_patterns("node_modules"))
    done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def count(case: Case, query: str) -> int:
    return int(sl.open(case.path).sql(query).rows()[0]["n"])


@pytest.mark.parametrize("encoding", ["json", "proto"])
def test_the_node_sdk_loses_nothing_on_the_way(case, service, encoding):
    with receiving(case) as door:
        sent = subprocess.run(
            ["node", "send.js", encoding, door.http, str(SPANS)], cwd=service, capture_output=True, text=True
        )
        assert sent.returncode == 0, sent.stderr
    assert count(case, "SELECT count(DISTINCT span_id) AS n FROM spans WHERE service = 'node-shop'") == SPANS
    assert count(case, "SELECT count(*) AS n FROM logs WHERE body LIKE 'item %'") == SPANS
    assert count(case, "SELECT sum(value)::BIGINT AS n FROM metric_points WHERE name = 'orders'") == SPANS
    (error,) = (
        sl.open(case.path)
        .sql("SELECT exception_type, stack, service_version FROM errors WHERE exception_message = 'no item 10'")
        .rows()
    )
    assert (error["exception_type"], error["service_version"]) == ("TypeError", "1.2.3")
    assert "send.js" in error["stack"]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextlib.contextmanager
def collector(protocol: str, endpoint: str) -> Iterator[tuple[str, str]]:
    """Rotel, a collector, that passes on what it takes; gives its doors for gRPC and HTTP."""
    grpc, http = (f"127.0.0.1:{free_port()}" for _ in range(2))
    command = [
        str(resources.files("rotel").joinpath("rotel-agent")), "start", "--exporter", "otlp",
        "--otlp-grpc-endpoint", grpc, "--otlp-http-endpoint", http, "--otlp-exporter-endpoint", endpoint,
        "--otlp-exporter-protocol", protocol, "--otlp-exporter-compression", "gzip", "--batch-timeout", "100ms",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not listens(grpc):
            assert process.poll() is None, process.stdout.read() if process.stdout else ""
            time.sleep(0.1)
        yield grpc, http
    finally:
        process.terminate()
        process.communicate(timeout=20)


def listens(address: str) -> bool:
    host, _, port = address.partition(":")
    with socket.socket() as tried:
        return tried.connect_ex((host, int(port))) == 0


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_collector_passes_on_everything(case, protocol):
    with receiving(case, grpc="127.0.0.1:0") as door:
        endpoint = f"http://{door.grpc}" if protocol == "grpc" else door.http
        with collector(protocol, endpoint) as (grpc, http):
            provider = TracerProvider(resource=Resource.create({"service.name": "behind-a-collector"}))
            exporter = (
                GrpcExporter(endpoint=f"http://{grpc}", insecure=True)
                if protocol == "grpc"
                else HttpExporter(endpoint=f"http://{http}/v1/traces")
            )
            provider.add_span_processor(BatchSpanProcessor(exporter))
            tracer = provider.get_tracer("shop")
            for n in range(SPANS):
                with tracer.start_as_current_span(f"item {n}"):
                    pass
            provider.shutdown()
            deadline = time.monotonic() + 20
            while door.told[-1].status.records < SPANS and time.monotonic() < deadline:
                time.sleep(0.1)
    assert count(case, "SELECT count(DISTINCT span_id) AS n FROM spans WHERE service = 'behind-a-collector'") == SPANS
