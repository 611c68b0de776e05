"""Receive OTLP: what is answered is kept, what is refused is said, and the case shows it a moment later."""

import gzip
import json
import time
import zlib
from pathlib import Path

import otlp
import pytest
from asking import asked
from sending import JSON, PROTOBUF, Running, fetch, receiving

from shadowlab import errors
from shadowlab.case import Case, open_case
from shadowlab.telemetry import receiver


def _body(document: dict[str, object]) -> bytes:
    return json.dumps(document).encode()


def _eventually(case: Case, query: str, wanted: object, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while (found := asked(case, query)) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    assert found == wanted


def test_what_is_sent_as_json_is_sql_a_moment_later(case):
    gauge = {"name": "pool", "gauge": {"dataPoints": [{"timeUnixNano": str(otlp.START), "asInt": "7"}]}}
    with receiving(case) as running:
        assert running.post("/v1/traces", _body(otlp.traces([otlp.span(1), otlp.span(2)])))[:2] == (200, b"{}")
        assert running.post("/v1/logs", _body(otlp.logs([otlp.log("it broke")])))[0] == 200
        assert running.post("/v1/metrics", _body(otlp.metrics([gauge])))[0] == 200
        _eventually(case, "SELECT (SELECT count(*) FROM spans) AS s, (SELECT count(*) FROM logs) AS l, "
                          "(SELECT count(*) FROM metric_points) AS m", [{"s": 2, "l": 1, "m": 1}])  # fmt: skip
    assert (running.gained.spans, running.gained.logs, running.gained.metric_points) == (2, 1, 1)


def test_pretty_printed_json_over_many_lines_is_one_request(case):
    with receiving(case) as running:
        assert running.post("/v1/traces", json.dumps(otlp.traces([otlp.span(1)]), indent=4).encode())[0] == 200
    assert asked(case, "SELECT name FROM spans") == [{"name": "POST /orders"}]


def test_gzip_and_deflate_are_unpacked_and_other_codings_refused(case):
    body = _body(otlp.traces([otlp.span(1)]))
    with receiving(case) as running:
        assert running.post("/v1/traces", gzip.compress(body), Content_Encoding="gzip")[0] == 200
        assert running.post("/v1/traces", zlib.compress(body), Content_Encoding="deflate")[0] == 200
        status, told, headers = running.post("/v1/traces", body, Content_Encoding="br")
        assert (status, headers["Accept-Encoding"]) == (415, "gzip, deflate")
        assert running.post("/v1/traces", body, Content_Encoding="gzip")[0] == 400
        assert running.post("/v1/traces", gzip.compress(body)[:-12], Content_Encoding="gzip")[0] == 400
    assert b"'br' is not read" in told
    assert asked(case, "SELECT count(*) AS n FROM spans") == [{"n": 1}]


def test_a_gzip_stream_of_several_parts_is_read_to_its_end_and_too_many_are_refused(case):
    body = _body(otlp.traces([otlp.span(1), otlp.span(2)]))
    with receiving(case) as running:
        parts = gzip.compress(body[:100]) + gzip.compress(body[100:])
        assert running.post("/v1/traces", parts, Content_Encoding="gzip")[0] == 200
        assert running.post("/v1/traces", parts + b"garbage", Content_Encoding="gzip")[0] == 400
        assert running.post("/v1/traces", gzip.compress(b"") * 2000, Content_Encoding="gzip")[0] == 400
    assert running.gained.spans == 2


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"\x00\xff", b'{"resourceLogs": []}', b'{"resourceSpans": {}}', b"[" * 200_000,
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": 7}]}]}]}', b'{"resourceSpans": [{"scopeSpans"',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "\xff"}]}]}]}',
    ],
)  # fmt: skip
def test_json_that_is_no_request_is_refused_and_leaves_nothing(case, body):
    with receiving(case) as running:
        status, told, headers = running.post("/v1/traces", body)
        assert (status, headers["Content-Type"]) == (400, JSON)
        assert json.loads(told)["code"] == 3
        assert "Retry-After" not in headers
    assert running.gained.spans == 0


@pytest.mark.parametrize("body", [b"\x0a\xff", b"xx", b"\x00", b"\x0a\x05\x12\x03\x12\xff\x01", b"<html></html>"])
def test_protobuf_that_is_no_request_is_refused(case, body):
    with receiving(case) as running:
        status, _, headers = running.post("/v1/traces", body, PROTOBUF)
        assert (status, headers["Content-Type"]) == (400, PROTOBUF)


def test_an_empty_request_is_fine_and_keeps_nothing(case):
    with receiving(case) as running:
        assert running.post("/v1/traces", b"{}")[:2] == (200, b"{}")
        assert running.post("/v1/traces", b"", PROTOBUF)[:2] == (200, b"")


def test_spans_without_ids_are_left_out_and_the_answer_says_how_many(case):
    told = otlp.traces([otlp.span(1), otlp.span(0), {**otlp.span(2), "traceId": "0" * 32}])
    with receiving(case) as running:
        answer = json.loads(running.post("/v1/traces", _body(told))[1])
        assert answer["partialSuccess"]["rejectedSpans"] == "2"
        assert "without a valid trace or span id" in answer["partialSuccess"]["errorMessage"]
    assert running.gained.spans == 1


def test_times_that_no_column_holds_are_left_out_of_every_signal(case):
    late = str(2**63)
    spans = otlp.traces([otlp.span(1), {**otlp.span(2), "endTimeUnixNano": late}, {**otlp.span(3), "unknown": [1]}])
    logs = otlp.logs([otlp.log("early"), {**otlp.log("late"), "timeUnixNano": late}])
    points = [{"timeUnixNano": when, "asDouble": 1.5} for when in (str(otlp.START), late)]
    metrics = otlp.metrics([{"name": "pool", "gauge": {"dataPoints": points}}, {"gauge": {"dataPoints": points}}])
    with receiving(case) as running:
        told = [
            running.post(f"/v1/{n}", _body(b))[1] for n, b in (("traces", spans), ("logs", logs), ("metrics", metrics))
        ]
    partial = [json.loads(answer)["partialSuccess"] for answer in told]
    assert (partial[0]["rejectedSpans"], partial[1]["rejectedLogRecords"]) == ("1", "1")
    assert partial[2]["rejectedDataPoints"] == "3"
    gained = running.gained
    assert (gained.spans, gained.logs, gained.metric_points, gained.rejected) == (2, 1, 1, ())


def test_other_paths_methods_and_types_get_the_right_status(case):
    with receiving(case) as running:
        assert running.post("/v1/profiles", b"{}")[0] == 404
        assert fetch(f"{running.http}/v1/traces")[0] == 405
        assert running.post("/v1/traces", b"{}", "text/plain")[0] == 415
        assert running.post("/v1/traces", b"{}", "application/json; charset=utf-8")[0] == 200


def test_a_body_that_is_too_large_is_refused_before_and_after_unpacking(case):
    limits = {"body": 100_000, "unpacked": 300_000}
    with receiving(case, limits=limits) as running:
        status, told, _ = running.post("/v1/traces", b" " * 150_000)
        assert (status, json.loads(told)["message"]) == (413, "the body is larger than 100,000 bytes")
        bomb = gzip.compress(b" " * 50_000_000)
        status, told, _ = running.post("/v1/traces", bomb, Content_Encoding="gzip")
        assert (status, json.loads(told)["message"]) == (413, "the body unpacks to more than 300,000 bytes")


def test_a_long_log_makes_clients_wait_until_it_is_shorter(case):
    body = _body(otlp.traces([otlp.span(1)]))
    with receiving(case, limits={"log": 100, "retry_s": 7}, interval_s=0.3) as running, case.writing("something long"):
        assert running.post("/v1/traces", body)[0] == 200
        while (answer := running.post("/v1/traces", body))[0] == 200:  # how long the log is, it looks now and then
            time.sleep(0.1)
        status, told, headers = answer
        assert (status, headers["Retry-After"]) == (429, "7")
        assert json.loads(told)["details"][0]["retryDelay"] == "7s"
    assert running.gained.spans == 1


def test_a_token_is_asked_for_and_never_told(case, tmp_path):
    (tmp_path / "token").write_text("open-sesame\n")
    with receiving(case, token_file=tmp_path / "token") as running:
        status, told, headers = running.post("/v1/traces", b"{}", Authorization="Bearer open-barley")
        assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
        assert running.post("/v1/traces", b"{}")[0] == 401
        assert running.post("/v1/traces", b"{}", Authorization="Bearer open-sesame")[0] == 200
        assert fetch(f"{running.http}/healthz")[0] == 200
    assert b"sesame" not in told
    assert "sesame" not in running.told[-1].status.prometheus()


def test_health_and_metrics_say_what_goes_on(case):
    with receiving(case) as running:
        running.post("/v1/traces", _body(otlp.traces([otlp.span(1)])))
        running.post("/v1/traces", b"nonsense")
        health = json.loads(fetch(f"{running.http}/healthz")[1])
        text = fetch(f"{running.http}/metrics")[1].decode()
    assert (health["status"], health["received"], health["refused"]) == ("ok", {"traces": 1}, 1)
    assert 'shadowlab_records_received_total{signal="traces"} 1' in text
    assert 'shadowlab_requests_total{status="400"} 1' in text
    assert "1 refused, last error: the body is no OTLP/JSON request" in running.told[-1].status.line(0)


def test_a_second_receiver_is_refused_with_the_holder(case):
    with receiving(case), pytest.raises(errors.CaseError, match=r"received into by process \d+ \(receiving on http"):
        receiver.receive(case, receiver.Listen.read(http="127.0.0.1:0"))


def test_an_address_in_use_is_refused(case, tmp_path):
    other = open_case(tmp_path / "other")
    with receiving(case) as running, pytest.raises(errors.UsageError, match="cannot listen on 127"):
        receiver.receive(other, receiver.Listen.read(http=running.http.removeprefix("http://")))


@pytest.mark.parametrize("text", ["4318x", "localhost:", "127.0.0.1:99999", "", "off"])
def test_words_that_are_no_address_are_refused(text):
    with pytest.raises(errors.UsageError):
        receiver.Listen.read(http=text)


def test_an_open_door_without_a_token_is_warned_of():
    assert receiver.Listen.read(http="127.0.0.1:1").warnings == ()
    assert receiver.Listen.read(http="[::1]:1", grpc="localhost:2").warnings == ()
    assert "anyone may send" in receiver.Listen.read(http="0.0.0.0:1").warnings[0]


def test_secrets_are_replaced_before_they_reach_a_segment(case):
    told = otlp.traces([otlp.span(1, user__email="ann@example.org")])
    with receiving(case) as running:
        running.post("/v1/traces", _body(told))
    assert running.gained.redacted == 1
    assert not any(b"ann@example.org" in p.read_bytes() for p in case.telemetry.rglob("*") if p.is_file())


def test_redaction_can_be_switched_off_here_too(case):
    with receiving(case, redact=None) as running:
        running.post("/v1/traces", _body(otlp.traces([otlp.span(1, user__email="ann@example.org")])))
    assert running.gained.redaction == "off"
    assert asked(case, "SELECT attributes['user.email'] AS e FROM spans") == [{"e": "ann@example.org"}]


def test_what_comes_twice_is_kept_once(case):
    body = _body(otlp.traces([otlp.span(1)]))
    with receiving(case) as running:
        for _ in range(3):
            running.post("/v1/traces", body)
            time.sleep(0.3)
    assert asked(case, "SELECT count(*) AS n FROM spans") == [{"n": 1}]


def test_another_writer_is_waited_for_and_nothing_is_lost(tmp_path):
    case = open_case(tmp_path / "case", lock_timeout=0.3)
    with receiving(case) as running, open_case(case.path).writing("a long triage"):
        running.post("/v1/traces", _body(otlp.traces([otlp.span(1)])))
        while "is being written by" not in (running.told[-1].status.last_error or ""):
            time.sleep(0.1)
    assert running.gained.spans == 1


def test_a_request_that_cannot_be_stored_is_put_aside_and_the_others_are_stored(case, monkeypatch):
    from shadowlab.telemetry.receiver import drain

    real = drain.ingest

    def picky(case: Case, paths: list[Path], **told: object) -> object:
        if any(b"poison" in path.read_bytes() for path in paths):
            raise RuntimeError("a fault that this content causes")
        return real(case, paths, **told)

    monkeypatch.setattr(drain, "ingest", picky)
    with receiving(case, interval_s=0.5) as running:
        for number, name in enumerate(["GET /a", "poison", "GET /b", "GET /c"], 1):
            assert running.post("/v1/traces", _body(otlp.traces([otlp.span(number, name=name)])))[0] == 200
    assert running.gained.spans == 3
    assert [r.reason for r in running.gained.rejected] == ["RuntimeError: a fault that this content causes"]
    kept = case.telemetry / "incoming" / running.gained.rejected[0].file
    assert b"poison" in kept.read_bytes()
    assert kept.stat().st_mode & 0o077 == 0


def test_requests_in_hand_are_answered_when_the_receiver_leaves(case):
    with receiving(case, interval_s=30) as running:
        assert all(running.post("/v1/traces", _body(otlp.traces([otlp.span(n)])))[0] == 200 for n in range(1, 6))
    assert running.gained.spans == 5
    assert not list((case.telemetry / "incoming").glob(".0*"))


def _sent_by(running: Running, kind: str) -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    if kind == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        exporter = OTLPSpanExporter(endpoint=running.grpc, insecure=True)
    else:
        from opentelemetry.exporter.otlp.proto.http import Compression
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        exporter = OTLPSpanExporter(endpoint=f"{running.http}/v1/traces", compression=Compression.Gzip)
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("tests")
    with tracer.start_as_current_span("outer") as outer:
        outer.add_event("seen", {"count": 3, "share": 0.5, "names": ["a", "b"]})
        for number in range(600):
            with tracer.start_as_current_span("inner", attributes={"number": number, "ok": True}):
                pass
    provider.shutdown()


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_the_python_sdk_loses_nothing_on_the_way(case, kind):
    with receiving(case, grpc="127.0.0.1:0") as running:
        _sent_by(running, kind)
    assert running.gained.spans == 601
    found = asked(case, "SELECT count(*) AS n, count(DISTINCT trace_id) AS t, sum((attributes['number'])::INT) AS s, "
                        "count(parent_span_id) AS p, any_value(attributes['ok']) AS ok FROM spans")[0]  # fmt: skip
    assert found == {"n": 601, "t": 1, "s": 179_700, "p": 600, "ok": "true"}
    event = asked(case, "SELECT attributes FROM events")[0]["attributes"]
    assert dict(event) == {"count": "3", "share": "0.5", "names": '["a","b"]'}
