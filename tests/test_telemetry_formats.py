"""Every format the field writes leads to the same rows."""

import gzip
import json
import struct
import sys
from pathlib import Path

import fsspec
import otlp
import pyarrow
import pytest
from asking import asked
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from shadowlab import telemetry
from shadowlab.case import Case, open_case

RICH = otlp.raising(otlp.span(1, error=True, text="a", n=7, ratio=0.5, yes=True, many=["a", 1], nested={"a": {"b": 2}}))
TRACES = otlp.traces([RICH, otlp.span(2, parent=1, ms=3)], service__version="1")
MESSAGE = otlp.protobuf(TRACES)
LOGS = otlp.logs([otlp.log("it broke", number=17, user="7")])
GAUGE = {"name": "pool", "gauge": {"dataPoints": [{"timeUnixNano": str(otlp.START), "asInt": "7"}]}}
EXEMPLAR = {"timeUnixNano": str(otlp.START), "asDouble": 1.5, "traceId": otlp.TRACE, "spanId": f"{1:016x}"}
BUCKETS = {"timeUnixNano": str(otlp.START), "count": "2", "sum": 3.0, "scale": 1, "zeroCount": "1",
           "positive": {"offset": 2, "bucketCounts": ["1"]}, "exemplars": [EXEMPLAR]}  # fmt: skip
EXPONENTIAL = {"name": "sizes", "exponentialHistogram": {"aggregationTemporality": 1, "dataPoints": [BUCKETS]}}
QUANTILES = [{"quantile": 0.5, "value": 1.0}]
SUMMARY = {
    "name": "gc",
    "summary": {"dataPoints": [{"timeUnixNano": str(otlp.START), "count": "1", "quantileValues": QUANTILES}]},
}


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return open_case(tmp_path / "case")


def _rows(case: Case, query: str) -> list[dict[str, object]]:
    with telemetry.store(case) as store:
        return store.sql(query).rows()


def _snake(document):
    match document:
        case dict():
            return {"".join(f"_{c.lower()}" if c.isupper() else c for c in k): _snake(v) for k, v in document.items()}
        case list():
            return [_snake(inner) for inner in document]
        case _:
            return document


def _named_enums(document):
    text = json.dumps(document).replace('"kind": 2', '"kind": "SPAN_KIND_SERVER"')
    return json.loads(text.replace('"code": 2', '"code": "STATUS_CODE_ERROR"'))


def _upper(document):
    return json.loads(json.dumps(document).replace(otlp.TRACE, otlp.TRACE.upper()))


def _old(document):
    text = json.dumps(document).replace('"scopeSpans"', '"instrumentationLibrarySpans"')
    return json.loads(text.replace('"scope"', '"instrumentationLibrary"'))


def _line(document) -> bytes:
    return json.dumps(document).encode() + b"\n"


SPELLINGS = {
    "lines": _line(TRACES),
    "without the last newline": _line(TRACES).rstrip(),
    "a document over lines": json.dumps(TRACES, indent=2).encode(),
    "a list": json.dumps([TRACES, TRACES]).encode(),
    "with a byte order mark and blank lines": b"\n\n" + _line(TRACES) + b"\n",
    "upper case ids": _line(_upper(TRACES)),
    "base64 ids": _line(otlp.in_base64(TRACES)),
    "enums by name": _line(_named_enums(TRACES)),
    "snake case": _line(_snake(TRACES)),
    "batches": _line({"batches": TRACES["resourceSpans"]}),
    "wrapped": _line({"trace": TRACES}),
    "instrumentation libraries": _line(_old(TRACES)),
    "unknown fields": _line({**TRACES, "more": 1}),
    "gzip": gzip.compress(_line(TRACES)),
    "two gzip members": gzip.compress(b"\n") + gzip.compress(_line(TRACES)),
    "zstd": bytes(pyarrow.compress(_line(TRACES), codec="zstd", asbytes=True)),
    "one protobuf request": MESSAGE,
    "a protobuf stream": struct.pack(">I", len(MESSAGE)) + MESSAGE,
    "a varint stream": bytes([len(MESSAGE) & 0x7F | 0x80, len(MESSAGE) >> 7]) + MESSAGE,
    "protobuf in gzip": gzip.compress(MESSAGE),
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("plain")
    made = open_case(folder / "case")
    telemetry.ingest(made, [otlp.lines(folder / "a.jsonl", TRACES)])
    return made


def test_every_spelling_of_otlp_is_the_same_record(plain, tmp_path):
    for number, (spelling, content) in enumerate(SPELLINGS.items()):
        (tmp_path / f"{number:02}").write_bytes(content)
        done = telemetry.ingest(plain, [tmp_path / f"{number:02}"])
        assert (spelling, done.spans, done.refused, done.rejected) == (spelling, 0, (), ())
    assert _rows(plain, "SELECT count(*) AS n FROM spans") == [{"n": 2}]


@pytest.mark.parametrize("spelling", ["instrumentation libraries", "snake case", "batches", "wrapped"])
def test_a_spelling_is_read_where_nothing_was_before(case, tmp_path, spelling):
    (tmp_path / "told").write_bytes(SPELLINGS[spelling])
    assert telemetry.ingest(case, [tmp_path / "told"]).spans == 2


def test_half_a_surrogate_pair_costs_one_letter_and_not_the_file(case, tmp_path):
    odd = {**otlp.span(1, name="a"), "name": "a\0b\ud800c"}
    telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces([odd, otlp.span(2, name="plain")]))])
    assert [row["name"] for row in _rows(case, "SELECT name FROM spans ORDER BY span_id")] == ["a\0b?c", "plain"]


def test_attribute_types_are_kept_apart_in_json_and_protobuf(case, tmp_path):
    for name, content in {"a": _line(TRACES), "b": otlp.protobuf(otlp.traces([{**RICH, "name": "again"}]))}.items():
        (tmp_path / name).write_bytes(content)
        telemetry.ingest(case, [tmp_path / name])
    for row in _rows(case, "SELECT attributes, attribute_types FROM spans WHERE status = 'error'"):
        assert row["attribute_types"] == "sidbak"
        assert row["attributes"] == {"text": "a", "n": "7", "ratio": "0.5", "yes": "true", "many": '["a",1]',
                                     "nested": '{"a":{"b":2}}'}  # fmt: skip


def test_logs_and_metrics_in_protobuf_are_those_of_json(case, tmp_path):
    metrics = otlp.metrics([GAUGE, EXPONENTIAL, SUMMARY])
    (tmp_path / "a").write_bytes(otlp.protobuf(LOGS, LogsData))
    (tmp_path / "b").write_bytes(otlp.protobuf(metrics, MetricsData))
    done = telemetry.ingest(case, [tmp_path / "a", tmp_path / "b"])
    assert (done.logs, done.metric_points, done.refused) == (1, 3, ())
    again = telemetry.ingest(case, [otlp.lines(tmp_path / "c", LOGS, metrics)])
    assert (again.logs, again.metric_points) == (0, 0)
    rows = _rows(case, "SELECT * FROM metric_points WHERE name = 'sizes'")[0]
    assert (rows["kind"], rows["temporality"], rows["positive_offset"], rows["positive_counts"]) == (
        "exponential_histogram", "delta", 2, [1])  # fmt: skip
    assert rows["exemplars"][0]["trace_id"] == otlp.TRACE
    assert rows["exemplars"][0]["attributes"] == {}
    assert _rows(case, "SELECT quantiles FROM metric_points WHERE name = 'gc'")[0]["quantiles"] == QUANTILES


def _framed(*messages: bytes) -> bytes:
    packed = [pyarrow.Codec("zstd").compress(message, asbytes=True) for message in messages]
    return b"".join(struct.pack(">I", len(one)) + one for one in packed)


@pytest.mark.parametrize(
    "write", [lambda document, _: json.dumps(document, indent=1).encode(), otlp.protobuf], ids=["json", "protobuf"]
)
def test_messages_that_a_collector_packed_one_by_one_are_read(case, tmp_path, write):
    whole = _framed(write(TRACES, TracesData), write(otlp.traces([otlp.span(3)]), TracesData))
    (tmp_path / "whole").write_bytes(whole)
    assert telemetry.ingest(case, [tmp_path / "whole"]).spans == 3
    assert telemetry.ingest(case, [otlp.lines(tmp_path / "lines", TRACES)]).spans == 0

    (tmp_path / "cut").write_bytes(_framed(write(otlp.traces([otlp.span(4)]), TracesData)) + whole[:-1])
    done = telemetry.ingest(case, [tmp_path / "cut"])
    assert (done.spans, [one.reason for one in done.rejected]) == (
        1, ["the rest cannot be unpacked: the file ends within message 3"])  # fmt: skip


def test_what_protobuf_does_not_send_of_a_metric_is_zero_as_in_json(case, tmp_path):
    empty = {"timeUnixNano": str(otlp.START), "attributes": otlp.attributes({"pod": "a"})}
    kept = {**empty, "sum": 0.0, "count": "2", "bucketCounts": ["0", "2"], "explicitBounds": [0.5]}
    metrics = otlp.metrics([
        {"name": "h", "histogram": {"dataPoints": [empty, kept]}},
        {"name": "s", "sum": {"isMonotonic": True, "dataPoints": [{**empty, "asDouble": 0.0}]}},
        {"name": "e", "exponentialHistogram": {"dataPoints": [{**empty, "negative": {}}]}},
        {"name": "q", "summary": {"dataPoints": [empty]}},
    ])  # fmt: skip
    (tmp_path / "a").write_bytes(otlp.protobuf(metrics, MetricsData))
    assert telemetry.ingest(case, [tmp_path / "a"]).metric_points == 5
    assert telemetry.ingest(case, [otlp.lines(tmp_path / "b", metrics)]).metric_points == 0
    assert _rows(case, "SELECT count, sum FROM metric_points WHERE name = 'h' ORDER BY count") == [
        {"count": 0, "sum": None}, {"count": 2, "sum": 0.0}]  # fmt: skip


def test_metrics_without_a_name_in_protobuf_are_rejected_and_the_others_kept(case, tmp_path):
    metrics = otlp.metrics([GAUGE, {"gauge": GAUGE["gauge"]}])
    (tmp_path / "a").write_bytes(otlp.protobuf(metrics, MetricsData))
    done = telemetry.ingest(case, [tmp_path / "a"])
    assert (done.metric_points, [one.reason for one in done.rejected]) == (
        1, ["it has no name"])  # fmt: skip


JAEGER = {
    "data": [{
        "traceID": "abc", "processes": {"p1": {"serviceName": "shop", "tags": [
            {"key": "service.version", "type": "string", "value": "3"}]}},
        "spans": [
            {"traceID": "abc", "spanID": "1", "operationName": "GET /", "references": [],
             "startTime": 1_790_000_000_000_000,
             "duration": 1500, "processID": "p1", "warnings": ["clock skew"], "logs": [
                 {"timestamp": 1_790_000_000_000_700, "fields": [
                     {"key": "event", "type": "string", "value": "error"},
                     {"key": "error.kind", "type": "string", "value": "KeyError"},
                     {"key": "stack", "type": "string", "value": "at x"}]}],
             "tags": [{"key": "span.kind", "type": "string", "value": "server"},
                      {"key": "error", "type": "bool", "value": True},
                      {"key": "http.status_code", "type": "int64", "value": 500},
                      {"key": "ratio", "type": "float64", "value": 0.25},
                      {"key": "blob", "type": "binary", "value": "AAE="}]},
            {"traceID": "abc", "spanID": "2", "operationName": "sql", "startTime": 1_790_000_000_000_100, "duration": 5,
             "processID": "p1", "tags": [], "logs": [], "references": [
                 {"refType": "CHILD_OF", "traceID": "abc", "spanID": "1"},
                 {"refType": "FOLLOWS_FROM", "traceID": "def", "spanID": "9"}]},
            {"traceID": "abc", "spanID": "not hex", "operationName": "bad"},
        ],
    }],
}  # fmt: skip


def test_jaeger_is_read_with_references_tags_logs_and_warnings(case, tmp_path):
    done = telemetry.ingest(case, [otlp.lines(tmp_path / "jaeger.json", JAEGER)])
    assert (done.spans, done.files[0].format) == (2, "jaeger")
    assert [(r.position, r.reason) for r in done.rejected] == [
        ("document 1, span 3", "cannot be read: 'not hex' is no id")
    ]
    first, second = _rows(case, "SELECT * FROM spans ORDER BY start_ns")
    assert (first["trace_id"], first["span_id"]) == ("abc".rjust(32, "0"), "1".rjust(16, "0"))
    assert (first["kind"], first["status"], first["duration_ns"], first["service_version"]) == (
        "server",
        "error",
        1_500_000,
        "3",
    )
    assert first["http_response_status_code"] == 500
    assert first["attributes"]["jaeger.warnings"] == '["clock skew"]'
    assert first["attribute_types"] == "bidya"
    assert second["parent_span_id"] == first["span_id"]
    assert _rows(case, "SELECT linked_trace_id[-3:] AS t, attributes['opentracing.ref_type'] AS r FROM links") == [
        {"t": "def", "r": "follows_from"}
    ]
    assert _rows(case, "SELECT exception_type, stack FROM errors") == [{"exception_type": "KeyError", "stack": "at x"}]


ZIPKIN = [
    {"traceId": "a1", "id": "1", "kind": "CLIENT", "name": "get", "timestamp": 1_790_000_000_000_000, "duration": 20,
     "localEndpoint": {"serviceName": "web", "ipv4": "10.0.0.1"}, "remoteEndpoint": {"serviceName": "shop", "port": 80},
     "annotations": [{"timestamp": 1_790_000_000_000_005, "value": "wire"}], "tags": {"http.method": "GET"}},
    {"traceId": "a1", "id": "1", "kind": "SERVER", "shared": True, "localEndpoint": {"serviceName": "shop"},
     "tags": {"error": "no price"}},
]  # fmt: skip


@pytest.mark.parametrize("content", [ZIPKIN, [ZIPKIN]])
def test_zipkin_is_read_with_shared_spans_and_missing_times(case, tmp_path, content):
    done = telemetry.ingest(case, [otlp.lines(tmp_path / "zipkin.json", content)])
    assert (done.spans, done.files[0].format, done.rejected) == (2, "zipkin", ())
    client, server = _rows(case, "SELECT * FROM spans ORDER BY service DESC")
    assert client["span_id"] == server["span_id"]
    assert (client["kind"], client["duration_ns"], client["attributes"]["peer.service"]) == ("client", 20_000, "shop")
    assert (server["start_ns"], server["duration_ns"], server["status"]) == (None, None, "error")
    assert server["status_message"] == "no price"
    assert _rows(case, "SELECT name FROM events") == [{"name": "wire"}]
    assert telemetry.ingest(case, [otlp.lines(tmp_path / "one.json", *ZIPKIN)]).spans == 0


def test_what_a_jaeger_span_lacks_or_gets_wrong_costs_nothing_else(case, tmp_path):
    tags = [{"key": "port", "type": "int64", "value": "none"}]
    odd = {"traceID": otlp.TRACE, "spanID": "a1", "operationName": "op", "startTime": None, "duration": 7, "tags": tags,
           "logs": [{"fields": [{"key": "event", "value": "retry"}]}]}  # fmt: skip
    (tmp_path / "odd.json").write_text(json.dumps({"data": [{"traceID": otlp.TRACE, "spans": [odd]}]}))
    assert telemetry.ingest(case, [tmp_path / "odd.json"]).rejected == ()
    assert _rows(case, "SELECT start_ns, attributes FROM spans") == [
        {"start_ns": None, "attributes": {"port": "none", "jaeger.duration_us": "7"}}
    ]
    assert _rows(case, "SELECT at_ns, name FROM events") == [{"at_ns": None, "name": "retry"}]


def test_logs_that_have_ids_are_no_zipkin(case, tmp_path):
    (tmp_path / "app.log").write_text('{"id": "7", "traceId": "abc", "message": "hello"}\n' * 3)
    assert len(telemetry.ingest(case, [tmp_path / "app.log"]).refused) == 1


def test_folders_globs_and_addresses_name_many_files(case, tmp_path):
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    otlp.lines(folder / "deep" / "a.jsonl", otlp.traces([otlp.span(1)]))
    otlp.lines(folder / "b.jsonl", otlp.traces([otlp.span(2)]))
    otlp.lines(folder / ".hidden", otlp.traces([otlp.span(3)]))
    with fsspec.open("memory://bucket/c.jsonl", "wb") as file:
        file.write(_line(otlp.traces([otlp.span(4)])))
    assert telemetry.ingest(case, [folder]).spans == 2
    assert telemetry.ingest(case, [f"{tmp_path}/in/*.jsonl"]).spans == 0
    done = telemetry.ingest(case, ["memory://bucket/*.jsonl", "memory://bucket/missing", f"file://{folder}/b.jsonl"])
    assert done.spans == 1
    assert [r.file for r in done.refused] == ["memory://bucket/missing"]


def test_standard_input_is_read(case, tmp_path, monkeypatch):
    path = otlp.lines(tmp_path / "a.jsonl", otlp.traces([otlp.span(1)]))
    with path.open() as told:
        monkeypatch.setattr(sys, "stdin", told)
        done = telemetry.ingest(case, ["-"])
    assert (done.spans, done.files[0].file) == (1, "standard input")


def test_a_file_is_known_by_its_content_not_by_its_name(case, tmp_path):
    (tmp_path / "traces.json").write_bytes(otlp.protobuf(TRACES))
    (tmp_path / "traces.pb").write_bytes(_line(otlp.traces([otlp.span(9)])))
    done = telemetry.ingest(case, [tmp_path / "traces.json", tmp_path / "traces.pb"])
    assert [f.format for f in done.files] == ["otlp-protobuf", "otlp-json"]


def test_feature_flags_and_generative_calls_have_their_places(case, tmp_path):
    flag = {"timeUnixNano": str(otlp.START), "name": "feature_flag.evaluation", "attributes": otlp.attributes(
        {"feature_flag.key": "new-price", "feature_flag.result.variant": "on"})}  # fmt: skip
    told = {
        **otlp.span(1, gen_ai__operation__name="chat", gen_ai__system="x", gen_ai__usage__input_tokens=12),
        "events": [flag],
    }
    telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces([told], deployment__environment="prod"))])
    row = _rows(case, "SELECT feature_flags, deployment_environment FROM spans")[0]
    assert row == {"feature_flags": {"new-price": "on"}, "deployment_environment": "prod"}
    assert _rows(case, "SELECT operation, provider, input_tokens FROM gen_ai_calls") == [
        {"operation": "chat", "provider": "x", "input_tokens": 12}
    ]


@pytest.mark.parametrize("header", ["x-request-id", "x_request_id"])  # as the conventions name it, and Python's SDK
@pytest.mark.parametrize("value", ["r-1", ["r-1"], ["r-1", "r-2"]])
def test_logs_without_a_trace_join_by_their_request_id(case, tmp_path, header, value):
    told = otlp.span(1, **{f"http.request.header.{header}": value})
    logs = otlp.logs([otlp.log("by id", trace=None, **{"request.id": "r-1"}), otlp.log("another", trace=None)])
    telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces([told]), logs)])
    with telemetry.store(case) as store:
        assert [log.body for log in telemetry.trace(store, otlp.TRACE).logs] == ["by id"]


def test_a_request_id_that_only_begins_as_a_list_is_kept_as_it_is(case, tmp_path):
    telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces([otlp.span(1, request__id='["r-1')]))])
    assert asked(case, "SELECT correlation_id FROM spans") == [{"correlation_id": '["r-1'}]


def test_the_keys_that_join_logs_can_be_named_by_the_case(case, tmp_path):
    case.remember(correlation=["order.id"])
    told, logs = otlp.span(1, order__id="o-1"), otlp.logs([otlp.log("by order", trace=None, order__id="o-1")])
    telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces([told]), logs)])
    with telemetry.store(case) as store:
        assert [log.body for log in telemetry.trace(store, otlp.TRACE).logs] == ["by order"]


def test_progress_counts_bytes(case, tmp_path):
    path = otlp.lines(tmp_path / "a.jsonl", otlp.traces([otlp.span(1)]))
    seen: list[tuple[str, int, int]] = []
    telemetry.ingest(case, [path, path], progress=lambda *told: seen.append(told))
    size = path.stat().st_size
    assert seen[-1] == ("ingest", 2 * size, 2 * size)
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
