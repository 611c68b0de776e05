"""What one sender leaves out and another writes is one record, and what is odd costs nothing but itself."""

import json
from pathlib import Path

import otlp
import pytest
from google.protobuf import json_format
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from shadowlab import telemetry
from shadowlab.case import Case, open_case
from shadowlab.telemetry.readers import otlp_protobuf

AT = {"timeUnixNano": str(otlp.START)}
BEYOND = str(2**63 + 5)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return open_case(tmp_path / "case")


def _rows(case: Case, query: str) -> list[dict[str, object]]:
    with telemetry.store(case) as store:
        return store.sql(query).rows()


def _points(*points: dict[str, object]) -> dict[str, object]:
    return {"resourceMetrics": [{"scopeMetrics": [{"metrics": list(points)}]}]}


def _attribute(value: object) -> list[dict[str, object]]:
    return [{"key": "a", "value": value}]


_IDS = {"traceId": otlp.TRACE, "spanId": f"{1:016x}"}
_NOTHING = {"attributes": [], "droppedAttributesCount": 0}
_BARE = {**_IDS, "startTimeUnixNano": str(otlp.START), "events": [{**AT}], "links": [_IDS]}
_SPOKEN = {
    **_BARE, **_NOTHING, "parentSpanId": "", "traceState": "", "flags": 0, "name": "", "kind": 0,
    "events": [{**AT, **_NOTHING, "name": ""}], "links": [{**_IDS, **_NOTHING, "traceState": "", "flags": 0}],
    "droppedEventsCount": 0, "droppedLinksCount": 0, "status": {"code": 0, "message": ""},
}  # fmt: skip
_POINTS = (
    {"name": "h", "histogram": {"dataPoints": [AT]}},
    {"name": "e", "exponentialHistogram": {"dataPoints": [{**AT, "positive": {}}]}},
    {"name": "s", "summary": {"dataPoints": [{**AT, "quantileValues": [{}]}]}},
    {"name": "g", "gauge": {"dataPoints": [{**AT, "asInt": "0"}]}},
)
_ZEROS = {**AT, "attributes": [], "startTimeUnixNano": "0", "count": "0", "exemplars": [], "flags": 0}
_SPOKEN_POINTS = (
    {"name": "h", "histogram": {"dataPoints": [{**_ZEROS, "bucketCounts": [], "explicitBounds": []}]}},
    {"name": "e", "exponentialHistogram": {"dataPoints": [
        {**_ZEROS, "scale": 0, "zeroCount": "0", "zeroThreshold": 0.0,
         "positive": {"offset": 0, "bucketCounts": []}}]}},
    {"name": "s", "summary": {"dataPoints": [{**_ZEROS, "sum": 0, "quantileValues": [{"quantile": 0, "value": 0}]}]}},
    {"name": "g", "gauge": {"dataPoints": [{**AT, "asInt": 0, "exemplars": []}]}},
)  # fmt: skip


def _spans(told: dict[str, object]) -> dict[str, object]:
    return {"resourceSpans": [{"scopeSpans": [{"spans": [told]}]}]}


def _logs(told: dict[str, object]) -> dict[str, object]:
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": [told]}]}]}


@pytest.mark.parametrize(
    ("bare", "spoken", "message", "rows"),
    [
        (_spans(_BARE), _spans(_SPOKEN), TracesData, 1),
        (_logs(AT), _logs({**AT, **_NOTHING, "body": {}, "severityNumber": 0, "flags": 0}), LogsData, 1),
        (_points(*_POINTS), _points(*_SPOKEN_POINTS), MetricsData, 4),
    ],
)
def test_what_is_left_out_is_what_is_empty_whoever_writes_it(case, tmp_path, bare, spoken, message, rows):
    in_base64 = json.loads(json.dumps(spoken).replace(otlp.TRACE, "S/kvNXezTaajzpKdDg5HNg==").replace(
        f"{1:016x}", "AAAAAAAAAAE="))  # fmt: skip
    (tmp_path / "c").write_bytes(
        json_format.ParseDict(in_base64, message(), ignore_unknown_fields=True).SerializeToString()
    )
    files = [otlp.lines(tmp_path / "a", bare), otlp.lines(tmp_path / "b", spoken), tmp_path / "c"]
    files.append(otlp.lines(tmp_path / "beside what is odd", bare, {"odd": 1}))
    found = [telemetry.ingest(case, [file]) for file in files]
    assert [one.spans + one.logs + one.metric_points for one in found] == [rows, 0, 0, 0]


_ODD = [
    {**otlp.span(1), "attributes": _attribute({"arrayValue": {"values": [{"intValue": "many"}]}})},
    {**otlp.span(1), "attributes": _attribute({"doubleValue": float("nan")})},
    {**otlp.span(1), "traceId": "-_-_AAECAwQFBgcICQoLDA=="},
    {**otlp.span(1), "attributes": _attribute({"boolValue": "true"})},
    {**otlp.span(1), "attributes": _attribute({"stringValue": 5})},
    {**otlp.span(1), "startTimeUnixNano": "-5"},
    {**otlp.span(1), "startTimeUnixNano": "1.79e18"},
]


@pytest.mark.parametrize("odd", _ODD)
def test_an_odd_span_is_the_same_row_whatever_stands_beside_it(tmp_path, odd):
    alone, beside = open_case(tmp_path / "alone"), open_case(tmp_path / "beside")
    telemetry.ingest(alone, [otlp.lines(tmp_path / "a", otlp.traces([odd, otlp.span(2)]))])
    telemetry.ingest(beside, [otlp.lines(tmp_path / "b", otlp.traces([odd, otlp.span(2)]), {"odd": 1})])
    asked = "SELECT * FROM spans ORDER BY span_id"
    assert len(_rows(alone, asked)) == 2
    assert _rows(alone, asked) == _rows(beside, asked)


def test_an_id_that_is_none_costs_its_span_and_no_other(case, tmp_path):
    told = [{**otlp.span(1), "traceId": "?="}, {**otlp.span(2), "parentSpanId": "AA-A=A="}, otlp.span(3), 5]
    done = telemetry.ingest(case, [otlp.lines(tmp_path / "a", otlp.traces(told))])
    assert done.spans == 1
    assert [(one.position, one.reason) for one in done.rejected] == [
        ("line 1, span 1", "its traceId '?=' is no id"), ("line 1, span 2", "its parentSpanId 'AA-A=A=' is no id"),
        ("line 1, span 4", "it is no object"),
    ]  # fmt: skip


def test_numbers_within_a_list_keep_their_type_and_a_map_all_of_its_keys(case, tmp_path):
    numbers = {"arrayValue": {"values": [{"doubleValue": 1}, {"doubleValue": "1.5"}, {"intValue": "1"}]}}
    twice = {"kvlistValue": {"values": [{"key": "k", "value": {"intValue": n}} for n in (1, 2)]}}
    spans = [{**otlp.span(1), "attributes": _attribute(numbers)}, {**otlp.span(2), "attributes": _attribute(twice)}]
    telemetry.ingest(case, [otlp.lines(tmp_path / "a", otlp.traces(spans))])
    found = _rows(case, "SELECT attributes['a'] AS a FROM spans ORDER BY span_id")
    assert [row["a"] for row in found] == ["[1.0,1.5,1]", '{"k":1,"k":2}']


_LARGE = _points(
    {"name": "h", "histogram": {"dataPoints": [{**AT, "count": BEYOND, "bucketCounts": ["1", BEYOND]}]}},
    {"name": "e", "exponentialHistogram": {"dataPoints": [
        {**AT, "zeroCount": BEYOND, "positive": {"offset": 3, "bucketCounts": [BEYOND]}}]}},
    {"name": "s", "summary": {"dataPoints": [{"timeUnixNano": BEYOND, "count": "1"}]}},
)  # fmt: skip


@pytest.mark.parametrize("in_protobuf", [False, True])
def test_a_number_that_no_column_holds_is_kept_as_text(case, tmp_path, in_protobuf):
    (tmp_path / "a").write_bytes(json_format.ParseDict(_LARGE, MetricsData()).SerializeToString())
    given = tmp_path / "a" if in_protobuf else otlp.lines(tmp_path / "b", _LARGE)
    assert telemetry.ingest(case, [given]).rejected == ()
    e, h, s = _rows(case, "SELECT * FROM metric_points ORDER BY name")
    assert (h["count"], h["bucket_counts"], h["attributes"]) == (
        None, None, {"otlp.count": BEYOND, "otlp.bucketCounts": f'["1","{BEYOND}"]'})  # fmt: skip
    assert (e["zero_count"], e["positive_offset"], e["positive_counts"]) == (None, 3, None)
    assert e["attributes"] == {"otlp.zeroCount": BEYOND, "otlp.positive.bucketCounts": f'["{BEYOND}"]'}
    assert (s["at_ns"], s["count"], s["attributes"]) == (None, 1, {"otlp.timeUnixNano": BEYOND})


def test_a_number_that_is_none_costs_its_point_and_no_other(case, tmp_path):
    points = [{**AT, "asDouble": "much"}, {**AT, "asInt": "7"}]
    wrong = {"name": "h", "histogram": {"dataPoints": [{**AT, "bucketCounts": [None]}, {**AT, "explicitBounds": 3}]}}
    told = _points({"name": "g", "gauge": {"dataPoints": points}}, wrong)
    done = telemetry.ingest(case, [otlp.lines(tmp_path / "a", told)])
    assert done.metric_points == 1
    assert [(one.position, one.reason) for one in done.rejected] == [
        ("line 1, metric 1, point 1", "its asDouble 'much' is no number"),
        ("line 1, metric 2, point 1", "its bucketCounts 'None' is no number"),
        ("line 1, metric 2, point 2", "its explicitBounds is no list"),
    ]


def _protobuf(count: int) -> TracesData:
    told = TracesData()
    spans = told.resource_spans.add().scope_spans.add().spans
    for number in range(1, count + 1):
        spans.add(trace_id=bytes([7] * 16), span_id=number.to_bytes(8, "big"), start_time_unix_nano=otlp.START)
    return told


def test_what_is_odd_in_protobuf_is_kept_or_named_by_its_place(case, tmp_path):
    plain, odd = _protobuf(3), _protobuf(5)
    first, second, third, *_ = odd.resource_spans[0].scope_spans[0].spans
    first.end_time_unix_nano = 2**64 - 1
    first.events.add(name="late", time_unix_nano=2**63)
    second.trace_id = b""
    value = third.attributes.add(key="deep").value
    for _ in range(80):
        value = value.array_value.values.add()
    parts = [one.SerializeToString() for one in (plain, odd, plain)]
    (tmp_path / "a").write_bytes(b"".join(len(part).to_bytes(4, "big") + part for part in parts))
    done = telemetry.ingest(case, [tmp_path / "a"])
    assert [(one.position, one.reason) for one in done.rejected] == [
        ("request 2, span 2", "its traceId is missing or all zeros"),
        ("request 2, span 3", "one of its values is a arrayValue of another type"),
    ]
    late = _rows(case, "SELECT start_ns, end_ns, attributes FROM spans WHERE cardinality(attributes) > 0")
    assert late == [{"start_ns": otlp.START, "end_ns": None, "attributes": {"otlp.endTimeUnixNano": str(2**64 - 1)}}]
    assert _rows(case, "SELECT attributes FROM events") == [{"attributes": {"otlp.timeUnixNano": str(2**63)}}]


def test_of_a_large_request_of_protobuf_what_is_odd_is_counted_and_the_rest_kept(case, tmp_path, monkeypatch):
    monkeypatch.setattr(otlp_protobuf, "_SPELLED_OUT", 10)
    told = _protobuf(3)
    told.resource_spans[0].scope_spans[0].spans[1].trace_id = b""
    (tmp_path / "a").write_bytes(told.SerializeToString())
    done = telemetry.ingest(case, [tmp_path / "a"])
    assert (done.spans, [(one.position, one.reason) for one in done.rejected]) == (
        2, [("from request 1", "1 records without ids or a name, or with numbers beyond 2^63")])  # fmt: skip


def test_a_time_that_protobuf_does_not_send_is_none(case, tmp_path):
    (tmp_path / "a").write_bytes(_protobuf(1).SerializeToString())
    telemetry.ingest(case, [tmp_path / "a"])
    assert _rows(case, "SELECT start_ns, end_ns, duration_ns FROM spans") == [
        {"start_ns": otlp.START, "end_ns": None, "duration_ns": None}
    ]


def _tag(key: str, value: object, kind: str = "string") -> dict[str, object]:
    return {"key": key, "type": kind, "value": value}


def test_jaeger_tags_that_come_twice_are_kept_as_attributes_that_do(case, tmp_path):
    logs = [{"timestamp": 1, "fields": [_tag("event", "retry"), _tag("x", "1"), _tag("x", "2")]}]
    tags = [_tag("span.kind", "server"), _tag("k", "first"), _tag("k", 2, "int64"), _tag("span.kind", "client")]
    span = {"traceID": "a", "spanID": "b", "operationName": "op", "tags": tags, "logs": logs, "flags": 3}
    other = {**span, "tags": [*tags[:2], _tag("k", 3, "int64"), tags[3]]}
    processes = {"p": {"serviceName": "shop", "tags": [_tag("d", "1"), _tag("d", "2")]}}
    told = [{**one, "processID": "p"} for one in (span, other)]
    document = {"data": [{"traceID": "a", "spans": told, "processes": processes}]}
    assert telemetry.ingest(case, [otlp.lines(tmp_path / "a", document)]).spans == 2
    found = _rows(case, "SELECT kind, flags, attributes, attribute_types, resource_attributes AS r FROM spans")
    assert {row["attributes"]["k"] for row in found} == {"first"}
    assert {(row["kind"], row["flags"], row["attribute_types"]) for row in found} == {("server", 3, "sis")}
    assert found[0]["attributes"]["span.kind"] == "client"
    assert found[0]["r"] == {"service.name": "shop", "d": "1"}
    assert _rows(case, "SELECT DISTINCT attributes FROM events") == [{"attributes": {"x": "1"}}]


def test_a_jaeger_span_without_a_process_has_no_service(case, tmp_path):
    span = {"traceID": "a", "spanID": "b", "operationName": "op", "processID": "gone"}
    telemetry.ingest(case, [otlp.lines(tmp_path / "a", {"data": [{"traceID": "a", "spans": [span]}]})])
    assert _rows(case, "SELECT service, resource_attributes AS r FROM spans") == [{"service": None, "r": {}}]


def test_what_zipkin_says_of_an_endpoint_takes_no_tag_away(case, tmp_path):
    remote = {"serviceName": "stock", "ipv4": "10.0.0.2", "ipv6": "2001:db8::1", "port": 80}
    tags = {"peer.service": "mine", "otel.library.name": "lib"}
    span = {"traceId": "a", "id": "b", "timestamp": 1_790_000_000_000_000.5, "remoteEndpoint": remote, "tags": tags}
    telemetry.ingest(case, [otlp.lines(tmp_path / "a", [span])])
    assert _rows(case, "SELECT start_ns, scope_name, attributes FROM spans") == [{
        "start_ns": 1_790_000_000_000_000_500, "scope_name": "lib",
        "attributes": {"peer.service": "mine", "zipkin.peer.service": "stock", "network.peer.address": "10.0.0.2",
                       "network.peer.port": "80", "zipkin.network.peer.address": "2001:db8::1"}}]  # fmt: skip


_RAISED = {"exception.type": "KeyError", "exception.message": "'tea'", "retries": 2}


@pytest.mark.parametrize("value", [json.dumps({"exception": _RAISED}), f"exception|{json.dumps(_RAISED)}|3"])
def test_what_opentelemetry_says_in_zipkins_words_is_read_as_it_was_meant(case, tmp_path, value):
    notes = [{"timestamp": 1_790_000_000_000_001, "value": text} for text in (value, "a|b|1", '{"a": 1}', "[1")]
    tags = {"service.version": "1.8", "otel.scope.name": "shop",
            "otel.library.name": "shop", "host": "a", "error": "no tea"}  # fmt: skip
    span = {"traceId": "ab", "id": "1", "timestamp": 1_790_000_000_000_000, "duration": 5, "annotations": notes,
            "localEndpoint": {"serviceName": "shop"}, "tags": tags}  # fmt: skip
    telemetry.ingest(case, [otlp.lines(tmp_path / "a", [span])])
    (kept,) = _rows(case, "SELECT service, service_version, scope_name, attributes FROM spans")
    assert kept == {"service": "shop", "service_version": "1.8", "scope_name": "shop",
                    "attributes": {"host": "a", "error": "no tea"}}  # fmt: skip
    (error,) = _rows(case, "SELECT exception_type, exception_message FROM errors")
    assert error == {"exception_type": "KeyError", "exception_message": "'tea'"}
    events = _rows(case, "SELECT name, attribute_types, dropped_attributes FROM events ORDER BY name")
    assert [event["name"] for event in events] == ["[1", "a|b|1", "exception", '{"a": 1}']
    assert events[2]["attribute_types"] == "ssi"
    assert events[2]["dropped_attributes"] == (3 if "|" in value else None)


def test_a_sentence_in_place_of_an_events_name_is_redacted(case, tmp_path):
    told = {**otlp.span(1), "events": [{**AT, "name": "ann@example.org logged in"}, {**AT, "name": "retry"}]}
    done = telemetry.ingest(case, [otlp.lines(tmp_path / "a", otlp.traces([told, otlp.span(2)]))])
    assert done.redacted == 1
    first, second = _rows(case, "SELECT name, attributes FROM events ORDER BY name")
    assert str(first["name"]).startswith("<email:")
    assert second["name"] == "retry"
