"""What a request asks of others through httpx."""

import hashlib

from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.trace import SpanKind
from recorded import spans_and_provider


def test_the_outbound_call_and_its_answer_are_kept_and_still_reach_the_caller(recorded, gateway):
    client, recordings, _ = recorded(mirror=True)
    assert client.post("/charges", json={"amount": 5}).json()["gateway"] == {"accepted": {"amount": 5}}
    [call] = recordings()[0]["outbound"]
    assert (call["seq"], call["client"], call["method"], call["url"]) == (0, "httpx", "POST", gateway + "/charge")
    assert call["request_body"] == {"amount": 5}
    assert call["request_body_sha256"] == hashlib.sha256(b'{"amount":5}').hexdigest()
    assert (call["status"], call["body"], call["error"]) == (200, {"accepted": {"amount": 5}}, None)
    assert call["elapsed_ms"] > 0
    assert call["started_ms"] > 0


def test_sync_calls_redirects_and_streams_are_kept_in_order(recorded, gateway):
    client, recordings, _ = recorded(mirror=True)
    assert client.get("/sync?path=/moved").json() == {"first": "here", "pieces": '{"accepted":[1,2]}'}
    one = recordings()[0]
    assert [(call["url"].removeprefix(gateway), call["status"]) for call in one["outbound"]] == [
        ("/moved", 307),
        ("/here", 200),
        ("/charge", 200),
    ]
    assert one["outbound"][2]["request_body"] == [1, 2]
    assert one["outbound"][2]["body"] == {"accepted": [1, 2]}
    assert one["truncated"] == []


def test_outbound_calls_are_kept_once_beside_opentelemetrys_own_instrumentation(recorded):
    spans, provider = spans_and_provider()
    client, recordings, _ = recorded(mirror=True)
    HTTPXClientInstrumentor().instrument(tracer_provider=provider)
    try:
        client.post("/charges", json={"amount": 5})
        assert [call["status"] for call in recordings()[0]["outbound"]] == [200]
    finally:
        HTTPXClientInstrumentor().uninstrument()
    assert [span.kind for span in spans.get_finished_spans()].count(SpanKind.CLIENT) >= 1


def test_an_outbound_call_that_breaks_is_kept_with_its_error(recorded):
    client, recordings, _ = recorded()
    assert client.get("/refused").status_code == 500
    [one] = recordings()
    [call] = one["outbound"]
    assert (call["status"], call["error"]["type"]) == (None, "httpx.RemoteProtocolError")
    assert one["error"]["type"] == "httpx.RemoteProtocolError"


def test_a_large_answer_of_a_peer_is_cut_in_the_recording_and_whole_for_the_caller(recorded):
    client, recordings, _ = recorded(mirror=True)
    assert len(client.get("/sync?path=/of?size=90000").json()["first"]) == 90_000
    assert recordings()[0]["truncated"] == ["response.body", "outbound[0].body"]
