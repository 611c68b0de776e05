"""OTLP/gRPC: the calls of the protocol, its status codes, and TLS for both doors."""

import ssl
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from sending import PROTOBUF, receiving

from shadowlab import errors
from shadowlab.telemetry import receiver

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"


def _request(*ids: int) -> bytes:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for number in ids:
        spans.add(trace_id=b"t" * 16, span_id=number.to_bytes(8, "big"), name="GET /", start_time_unix_nano=1)
    return request.SerializeToString()


def _call(address: str, method: str, body: bytes, *, certificate: bytes | None = None, **told: object) -> bytes:
    credentials = grpc.ssl_channel_credentials(certificate) if certificate else None
    make = grpc.secure_channel if credentials else grpc.insecure_channel
    with make(address, *([credentials] if credentials else [])) as channel:
        return channel.unary_unary(method)(body, timeout=15, **told)


def _code(address: str, body: bytes, **told: object) -> tuple[str, bytes]:
    with pytest.raises(grpc.RpcError) as caught:
        _call(address, TRACES, body, **told)
    return caught.value.code().name, dict(caught.value.trailing_metadata() or ()).get("grpc-status-details-bin", b"")


def test_a_call_is_answered_and_says_what_it_left_out(case):
    with receiving(case, http="off", grpc="127.0.0.1:0") as running:
        assert _call(running.grpc, TRACES, _request(1, 2)) == b""
        answer = ExportTraceServiceResponse.FromString(_call(running.grpc, TRACES, _request(3, 0)))
        assert answer.partial_success.rejected_spans == 1
        logs = ExportLogsServiceRequest()
        logs.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=5).body.string_value = "hello"
        _call(running.grpc, LOGS, logs.SerializeToString(), compression=grpc.Compression.Gzip)
    assert (running.gained.spans, running.gained.logs) == (3, 1)


def test_refusals_have_the_protocols_codes_and_a_delay_only_where_it_helps(case):
    with receiving(case, http="off", grpc="127.0.0.1:0", limits={"body": 50_000, "in_flight": 10_000}) as running:
        assert _code(running.grpc, b"garbage")[0] == "INVALID_ARGUMENT"
        code, details = _code(running.grpc, b"\0" * 20_000)
        assert (code, b"RetryInfo" in details) == ("RESOURCE_EXHAUSTED", True)
        assert _code(running.grpc, b"\0" * 60_000) == ("RESOURCE_EXHAUSTED", b"")
        bomb = _code(running.grpc, b"\0" * 50_000_000, compression=grpc.Compression.Gzip)
        assert bomb == ("RESOURCE_EXHAUSTED", b"")


def test_a_token_is_asked_for_here_too(case, tmp_path):
    (tmp_path / "token").write_text("open-sesame")
    with receiving(case, http="off", grpc="127.0.0.1:0", token_file=tmp_path / "token") as running:
        assert _code(running.grpc, _request(1))[0] == "UNAUTHENTICATED"
        assert _call(running.grpc, TRACES, _request(1), metadata=(("authorization", "Bearer open-sesame"),)) == b""


def test_without_grpcio_one_message_says_what_to_install(case, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(errors.UsageError, match="grpcio, which is not installed") as caught:
        receiver.receive(case, receiver.Listen.read(grpc="127.0.0.1:0"))
    assert caught.value.hint == "pip install 'shadowlab[grpc]'"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(7).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("tls")
    plain = serialization.NoEncryption()
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, form, plain))
    return folder / "cert.pem", folder / "key.pem"


def test_both_doors_speak_tls(case, certificate):
    with receiving(case, http="localhost:0", grpc="localhost:0", tls=certificate) as running:
        assert running.http.startswith("https://localhost:")
        context = ssl.create_default_context(cafile=str(certificate[0]))
        request = urllib.request.Request(f"{running.http}/v1/traces", _request(1), {"Content-Type": PROTOBUF})
        assert urllib.request.urlopen(request, context=context, timeout=10).status == 200
        assert _call(running.grpc, TRACES, _request(2), certificate=certificate[0].read_bytes()) == b""
    assert running.gained.spans == 2


def test_files_that_are_no_certificate_are_refused(case, certificate, tmp_path):
    for broken in ((certificate[0], tmp_path / "missing.pem"), (certificate[1], certificate[1])):
        with pytest.raises(errors.UsageError, match="cannot be used"):
            receiver.receive(case, receiver.Listen.read(http="127.0.0.1:0", tls=broken))
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(errors.UsageError, match="holds no token"):
        receiver.Listen.read(http="127.0.0.1:0", token_file=tmp_path / "empty")
