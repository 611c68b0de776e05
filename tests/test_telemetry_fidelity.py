"""What is sent is what is kept: links, bytes, numbers of either spelling, every kind of metric, in any split."""

import base64
import json
import random
import re
from pathlib import Path
from typing import Any

import otlp
import pytest
from asking import asked
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from shadowlab import telemetry
from shadowlab.case import Case, open_case


def test_links_keep_their_attributes_and_state(case, tmp_path):
    link = {"traceId": "c" * 32, "spanId": "d" * 16, "traceState": "a=1", "droppedAttributesCount": 2,
            "attributes": otlp.attributes({"why": "retry", "n": 3})}  # fmt: skip
    told = {**otlp.span(1), "links": [link, {"traceId": "e" * 32, "spanId": "f" * 16}]}
    telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces([told]))])
    columns = "linked_trace_id, trace_state, attributes, attribute_types, dropped_attributes"
    first, second = asked(case, f"SELECT {columns} FROM links ORDER BY linked_trace_id")
    assert first["attributes"] == {"why": "retry", "n": "3"}
    assert (first["trace_state"], first["attribute_types"], first["dropped_attributes"]) == ("a=1", "si", 2)
    assert (second["linked_trace_id"], second["dropped_attributes"]) == ("e" * 32, None)


def _scoped(document: dict[str, Any], *told: dict[str, Any] | None) -> dict[str, Any]:
    """The same request with a scope for each of these attributes, all with the same records."""
    (signal, [block]) = next(iter(document.items()))
    (name,) = (key for key in block if key.startswith("scope"))
    (one,) = block[name]
    scopes = [{**one, "scope": {**one["scope"], **({"attributes": otlp.attributes(t)} if t else {})}} for t in told]
    return {signal: [{**block, name: scopes}]}


def _in_every_way(case: Case, folder: Path, documents: list[dict[str, Any]], way: str) -> None:
    if way == "protobuf":
        kinds = {"resourceSpans": TracesData, "resourceLogs": LogsData, "resourceMetrics": MetricsData}
        for n, each in enumerate(documents):
            hexed = json.loads(json.dumps(each), object_hook=lambda told: told | {
                key: base64.b64encode(bytes.fromhex(told[key])).decode()
                for key in ("traceId", "spanId", "parentSpanId") if key in told})  # fmt: skip
            (folder / f"{n}.pb").write_bytes(ParseDict(hexed, kinds[next(iter(each))]()).SerializeToString())
        telemetry.ingest(case, [folder])
        return
    if way == "older spelling":
        documents = json.loads(
            json.dumps(documents).replace('"spanId"', '"span_id"').replace('"timeUnixNano"', '"time_unix_nano"')
        )
    if way == "each alone":
        for n, each in enumerate(documents):
            otlp.lines(folder / f"{n}.jsonl", each)
    else:
        otlp.lines(folder / "all.jsonl", *documents)
    telemetry.ingest(case, [folder])


@pytest.mark.parametrize("way", ["each alone", "all in one", "older spelling", "protobuf"])
def test_what_a_scope_says_of_itself_tells_its_records_apart(case: Case, tmp_path: Path, way: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    gauge = {"name": "g", "gauge": {"dataPoints": [{"timeUnixNano": str(otlp.START), "asDouble": 0.5}]}}
    plain = [otlp.traces([otlp.span(1)]), otlp.logs([otlp.log("said")]), otlp.metrics([gauge])]
    about = [None, {"plugin": "a", "level": 3}, {"plugin": "b", "api_key": "hunter2"}, {"plugin": "a", "level": 3}]
    _in_every_way(case, folder, [_scoped(each, *about) for each in plain], way)
    for table in ("spans", "logs", "metric_points"):
        found = asked(case, f"""SELECT service, resource_attributes['otel.scope.plugin'] AS plugin,
            resource_attributes['otel.scope.level'] AS level, resource_attributes['otel.scope.api_key'] AS hidden
            FROM {table} ORDER BY plugin NULLS FIRST""")  # fmt: skip
        assert [(row["service"], row["plugin"], row["level"]) for row in found] == [
            ("shop", None, None), ("shop", "a", "3"), ("shop", "b", None)], table  # fmt: skip
        assert found[2]["hidden"].startswith("<secret:")


def _published(document: dict[str, Any], ours: str, scopes: str) -> dict[str, Any]:
    """The same request with schema URLs, and a count of what its scopes' makers dropped."""
    (signal, [block]) = next(iter(document.items()))
    (name,) = (key for key in block if key.startswith("scope"))
    (one,) = block[name]
    scope = {**one, "schemaUrl": scopes, "scope": {**one["scope"], "droppedAttributesCount": 3}}
    return {signal: [{**block, "schemaUrl": ours, name: [scope]}]}


@pytest.mark.parametrize("way", ["each alone", "all in one", "older spelling", "protobuf"])
def test_what_is_said_beside_the_records_is_kept(case: Case, tmp_path: Path, way: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    gauge = {"name": "g", "gauge": {"dataPoints": [{"timeUnixNano": str(otlp.START), "asDouble": 0.5}]}}
    plain = [otlp.traces([otlp.span(1)]), otlp.logs([otlp.log("said")]), otlp.metrics([gauge])]
    urls = [("", ""), ("", "https://a/1"), ("https://a/1", ""), ("https://a/1", "https://a/2"), ("", "")]
    _in_every_way(case, folder, [_published(each, *url) for each in plain for url in urls], way)
    for table in ("spans", "logs", "metric_points"):
        found = asked(case, f"""SELECT coalesce(resource_attributes['otel.resource.schema_url'], '') AS ours,
            coalesce(resource_attributes['otel.scope.schema_url'], '') AS scopes, resource_attribute_types AS types,
            resource_attributes['otel.scope.dropped_attributes_count'] AS dropped
            FROM {table} ORDER BY 1, 2""")  # fmt: skip
        assert [(row["ours"], row["scopes"]) for row in found] == urls[:4], table
        assert [(row["types"], row["dropped"]) for row in found] == [(t, "3") for t in ("is", "iss", "sis", "siss")]


@pytest.mark.parametrize("way", ["each alone", "all in one", "older spelling", "protobuf"])
def test_metrics_keep_their_metadata_and_exemplars_their_types(case: Case, tmp_path: Path, way: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    at = {"timeUnixNano": str(otlp.START)}
    seen = {**at, "asInt": str(2**53 + 1), "filteredAttributes": otlp.attributes({"n": 1, "on": True, "who": "a"})}
    gauge = {"name": "g", "gauge": {"dataPoints": [{**at, "asDouble": 0.5, "exemplars": [seen]}]}}
    metrics = [{**gauge, "metadata": otlp.attributes(told)} for told in ({}, {"n": 2, "token": "hunter2"}, {"n": "2"})]
    _in_every_way(case, folder, [otlp.metrics([one]) for one in [*metrics, metrics[1]]], way)
    found = asked(case, "SELECT * FROM metric_points ORDER BY metadata_types NULLS FIRST")
    assert [row["metadata_types"] for row in found] == [None, "is", "s"]
    assert (found[0]["metadata"], found[2]["metadata"]) == (None, {"n": "2"})
    assert found[1]["metadata"]["token"].startswith("<secret:")
    (exemplar,) = found[0]["exemplars"]
    assert (exemplar["value_int"], exemplar["attribute_types"]) == (2**53 + 1, "ibs")
    assert exemplar["attributes"] == {"n": "1", "on": "true", "who": "a"}


def test_every_secret_of_a_metric_is_replaced_and_counted(case: Case, tmp_path: Path) -> None:
    seen = {"asDouble": 1, "filteredAttributes": otlp.attributes({"api_key": "hunter2", "who": "a"})}
    point = {"asDouble": 0.5, "attributes": otlp.attributes({"password": "hunter2"}), "exemplars": [seen]}
    about = {"description": "asks jane@example.com", "metadata": otlp.attributes({"token": "hunter2", "n": 1})}
    gauge = {"name": "g", **about, "gauge": {"dataPoints": [point]}}
    assert telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.metrics([gauge]))]).redacted == 4
    text = str(asked(case, "SELECT * FROM metric_points"))
    assert "hunter2" not in text
    assert "jane" not in text


def test_bytes_and_nested_values_are_told_apart_from_text(case, tmp_path):
    raw = base64.b64encode(b"\0\xff").decode()
    nested = {"kvlistValue": {"values": [{"key": "blob", "value": {"bytesValue": raw}}]}}
    told = otlp.span(1)
    told["attributes"] = [
        {"key": "raw", "value": {"bytesValue": raw}}, {"key": "text", "value": {"stringValue": raw}},
        {"key": "deep", "value": nested}, {"key": "none", "value": {}},
    ]  # fmt: skip
    telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces([told]))])
    row = asked(case, "SELECT attributes, attribute_types FROM spans")[0]
    assert row["attribute_types"] == "yskn"
    assert (row["attributes"]["raw"], row["attributes"]["text"], row["attributes"]["none"]) == (raw, raw, None)
    assert json.loads(row["attributes"]["deep"]) == {"blob": raw}


def test_whole_numbers_are_read_as_text_and_as_numbers(case, tmp_path):
    told = otlp.span(1, n=2**53 + 1)
    plain = {**told, "startTimeUnixNano": otlp.START, "endTimeUnixNano": otlp.START + 10_000_000}
    plain["attributes"] = [{"key": "n", "value": {"intValue": 2**53 + 1}}]
    assert telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces([told]))]).spans == 1
    assert telemetry.ingest(case, [otlp.lines(tmp_path / "b.jsonl", otlp.traces([plain]))]).spans == 0


def _metrics() -> list[dict[str, object]]:
    at = {"timeUnixNano": str(otlp.START), "startTimeUnixNano": str(otlp.START - 5)}
    seven = {**at, "asInt": "7"}
    bars = {**at, "count": "3", "sum": 4.5, "min": 1, "max": 2, "bucketCounts": ["1", "2"], "explicitBounds": [1.5]}
    quantiles = [{"quantile": 0.9, "value": 2.0}]
    return [
        {"name": "gauge", "gauge": {"dataPoints": [{**at, "asDouble": 0.5}]}},
        {
            "name": "sum",
            "sum": {"isMonotonic": True, "aggregationTemporality": 2, "dataPoints": [seven]},
        },
        {"name": "bars", "histogram": {"aggregationTemporality": 1, "dataPoints": [bars]}},
        {"name": "steps", "exponentialHistogram": {"dataPoints": [{**at, "count": "1", "scale": 3}]}},
        {"name": "summary", "summary": {"dataPoints": [{**at, "count": "1", "sum": 2.0, "quantileValues": quantiles}]}},
    ]


def test_every_kind_of_metric_has_its_columns(case, tmp_path):
    telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.metrics(_metrics()))])
    rows = {row["name"]: row for row in asked(case, "SELECT * FROM metric_points")}
    assert {name: row["kind"] for name, row in rows.items()} == {
        "gauge": "gauge", "sum": "sum", "bars": "histogram", "steps": "exponential_histogram", "summary": "summary",
    }  # fmt: skip
    assert (rows["sum"]["monotonic"], rows["sum"]["temporality"], rows["sum"]["value_int"]) == (True, "cumulative", 7)
    assert (rows["bars"]["bucket_counts"], rows["bars"]["explicit_bounds"], rows["bars"]["max"]) == ([1, 2], [1.5], 2)
    assert rows["gauge"]["start_ns"] == otlp.START - 5


@pytest.mark.parametrize("seed", range(2))
def test_any_split_of_logs_and_metrics_gives_the_same_rows(tmp_path, seed):
    chance = random.Random(seed)
    parts = [otlp.logs([otlp.log(f"line {n % 5}", at=otlp.START + n % 3)]) for n in range(12)]
    parts += [otlp.metrics([one]) for one in _metrics() * 2]
    whole, split = open_case(tmp_path / "whole"), open_case(tmp_path / "split")
    telemetry.ingest(whole, [otlp.lines(tmp_path / "whole.jsonl", *parts)])
    chance.shuffle(parts)
    for number in range(3):
        telemetry.ingest(split, [otlp.lines(tmp_path / f"{number}.jsonl", *parts[number::3])])
    for query in ("SELECT * FROM logs ORDER BY row_id", "SELECT * FROM metric_points ORDER BY row_id"):
        assert asked(whole, query) == asked(split, query)


def test_every_test_that_the_page_on_telemetry_names_is_there():
    page = (Path(__file__).parent.parent / "docs" / "telemetry.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", page))
    tests = "".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    written = set(re.findall(r"^def (test_\w+)", tests, re.MULTILINE))
    assert len(named) > 30
    assert named <= written
