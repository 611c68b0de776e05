"""The server's span and the recording name each other, wherever the recorder sits."""

import asyncio

import fastapi
import httpx
import pytest
import shadowlab_recorder
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from paying import called, payments, serving, traced
from recorded import read, server_spans, spans_and_provider


def test_the_server_span_and_the_recording_name_each_other_with_the_instrumentation_inside(recorded, database, gateway):
    app = payments(database, gateway)
    spans = traced(app)
    client, recordings, _ = recorded(app)
    client.post("/charges", json={"amount": 1})
    client.post("/charges", json={"amount": 2, "surcharge": True})
    [one] = recordings()
    found = server_spans(spans)
    assert len(found) == 2
    assert found[one["span_id"]] == one["id"]
    assert list(found.values()).count(None) == 1


def test_instrumenting_the_recorded_application_reaches_the_inner_one(recorded, database, gateway, tmp_path):
    app = shadowlab_recorder.record(payments(database, gateway), directory=tmp_path / "recordings", share=0)
    spans = traced(app)
    with serving(app) as (client, _):
        client.get("/status/500")
    assert app.recorder.flush()
    [one] = map(read, (tmp_path / "recordings").glob("*.json"))
    assert server_spans(spans) == {one["span_id"]: one["id"]}


@pytest.mark.parametrize("instrumented", ["outside", "inside"])
def test_a_plain_asgi_application_is_linked_in_both_arrangements(tmp_path, instrumented):
    spans, provider = spans_and_provider()

    async def plain(scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b"no"})

    if instrumented == "inside":
        app = recorder = shadowlab_recorder.record(
            OpenTelemetryMiddleware(plain, tracer_provider=provider), directory=tmp_path
        )
    else:
        recorder = shadowlab_recorder.record(plain, directory=tmp_path)
        app = OpenTelemetryMiddleware(recorder, tracer_provider=provider)
    asyncio.run(called(app))
    assert recorder.recorder.flush()
    [one] = map(read, tmp_path.glob("*.json"))
    assert server_spans(spans) == {one["span_id"]: one["id"]}


def test_an_exception_after_the_answer_began_still_reaches_the_span(recorded, database, gateway):
    app = payments(database, gateway)
    spans = traced(app)

    @app.get("/halfway")
    async def halfway():
        async def pieces():
            yield b"first"
            raise ValueError("the rest is gone")

        return fastapi.responses.StreamingResponse(pieces())

    client, recordings, _ = recorded(app)
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/halfway")
    [one] = recordings()
    assert (one["error"]["type"], one["response"]["status"], one["response"]["body"]) == ("ValueError", 200, "first")
    assert server_spans(spans) == {one["span_id"]: one["id"]}
