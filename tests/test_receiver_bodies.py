"""Hostile bodies: whatever is sent is parsed or refused, within its limits, and nothing else happens."""

import gzip
import json
from collections.abc import Callable
from typing import Any

import otlp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadowlab.telemetry.receiver.bodies import Encoding, Signal, parse, unpack
from shadowlab.telemetry.receiver.refusal import Refused


def _tried(read: Callable[..., Any], *arguments: object) -> Any:
    try:
        return read(*arguments)
    except Refused as why:
        return why


signals, encodings = st.sampled_from(Signal), st.sampled_from(Encoding)
GOOD = json.dumps(otlp.traces([otlp.raising(otlp.span(1, error=True, share=0.5, names=["a", {"b": 1}]))])).encode()


def _protobuf() -> bytes:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    block = request.resource_spans.add()
    block.resource.attributes.add(key="service.name").value.string_value = "shop"
    block.scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name="GET /", start_time_unix_nano=5)
    return request.SerializeToString()


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=300), signal=signals, encoding=encodings)
def test_arbitrary_bytes_are_parsed_or_refused(body, signal, encoding):
    found = _tried(parse, signal, encoding, body)
    if isinstance(found, Refused):
        assert (found.status, found.retry_after) == (400, None)
    else:
        assert found.records >= 0


@settings(max_examples=200, deadline=None)
@given(data=st.data(), encoding=encodings)
def test_a_good_body_with_bytes_changed_is_parsed_or_refused(data, encoding):
    body = bytearray(GOOD if encoding is Encoding.JSON else _protobuf())
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    found = _tried(parse, Signal.TRACES, encoding, bytes(body))
    if isinstance(found, Refused):
        assert found.status == 400
    else:
        assert found.records + found.rejected <= 1
        assert b"\n" not in found.body or encoding is Encoding.PROTOBUF


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=300), coding=st.sampled_from(["gzip", "deflate", "zlib", "GZIP", "br", "x", ""]))
def test_arbitrary_bytes_are_unpacked_or_refused(body, coding):
    found = _tried(unpack, body, coding, 1000)
    assert found.status in (400, 413, 415) if isinstance(found, Refused) else len(found) <= 1000


def test_what_unpacks_to_the_limit_is_taken_and_a_byte_more_is_not():
    assert len(unpack(gzip.compress(b"x" * 1000), "gzip", 1000)) == 1000
    with pytest.raises(Refused, match="more than 1,000 bytes"):
        unpack(gzip.compress(b"x" * 600) * 2, "gzip", 1000)


@pytest.mark.parametrize("depth", [10, 90, 5000])
def test_a_deeply_nested_value_is_parsed_or_refused(depth):
    value = '{"arrayValue":{"values":[' * depth + '{"intValue":"1"}' + "]}}" * depth
    body = GOOD.replace(b'{"stringValue": "shop"}', value.encode())
    found = _tried(parse, Signal.TRACES, Encoding.JSON, body)
    assert "nested too deeply" in found.message if isinstance(found, Refused) else found.records == 1


def test_what_is_left_out_takes_nothing_else_with_it():
    spans = [otlp.span(1, kept="yes"), otlp.span(0), otlp.raising(otlp.span(2))]
    parsed = parse(Signal.TRACES, Encoding.JSON, json.dumps(otlp.traces(spans)).encode())
    told = json.loads(parsed.body)["resourceSpans"][0]
    left = told["scopeSpans"][0]["spans"]
    assert (parsed.records, parsed.rejected, [s["spanId"][-1] for s in left]) == (2, 1, ["1", "2"])
    assert left[0]["attributes"] == [{"key": "kept", "value": {"stringValue": "yes"}}]
    assert left[1]["events"][0]["attributes"] == otlp.raising(otlp.span(2))["events"][0]["attributes"]
    assert told["resource"]["attributes"][0]["value"] == {"stringValue": "shop"}


def test_what_is_left_out_leaves_what_is_said_beside_it():
    request = otlp.traces([otlp.span(1), {**otlp.span(2), "traceId": ""}])
    (block,) = request["resourceSpans"]
    block |= {"schemaUrl": "https://a/1", "resource": {**block["resource"], "droppedAttributesCount": 2}}
    (scope,) = block["scopeSpans"]
    about = {"droppedAttributesCount": 3, "attributes": otlp.attributes({"plugin": "a"})}
    scope |= {"schemaUrl": "https://a/2", "scope": {"name": "tests", **about}}
    parsed = parse(Signal.TRACES, Encoding.JSON, json.dumps(request).encode())
    (kept,) = json.loads(parsed.body)["resourceSpans"]
    assert parsed.rejected == 1
    assert (kept["schemaUrl"], kept["resource"]["droppedAttributesCount"]) == ("https://a/1", 2)
    assert (kept["scopeSpans"][0]["schemaUrl"], kept["scopeSpans"][0]["scope"]) == ("https://a/2", scope["scope"])
