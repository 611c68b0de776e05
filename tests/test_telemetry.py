"""Take telemetry in: what is kept, what is left out, and that a second time adds nothing."""

import gzip
import json
import re
from pathlib import Path

import otlp
import pytest
from asking import asked

from shadowlab import errors, telemetry


def test_spans_have_the_columns_and_words_of_the_design(case, tmp_path):
    told = otlp.span(
        1, error=True, http__request__method="POST", http__route="/orders", http__response__status_code=500
    )
    done = telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces([told], service__version="1.2"))])
    assert (done.spans, done.logs, done.rejected, done.refused) == (1, 0, (), ())
    row = asked(case, "SELECT * FROM spans")[0]
    assert row["trace_id"] == otlp.TRACE
    assert row["parent_span_id"] is None
    assert (row["service"], row["kind"], row["status"], row["service_version"]) == ("shop", "server", "error", "1.2")
    assert (row["http_route"], row["http_response_status_code"], row["duration_ns"]) == ("/orders", 500, 10_000_000)
    assert row["resource_attributes"] == {"service.name": "shop", "service.version": "1.2"}
    assert asked(case, "SELECT attributes['http.route'] AS a, attributes['none'] AS b FROM spans") == [
        {"a": "/orders", "b": None}
    ]


def test_old_http_names_are_read_like_the_new_ones(case, tmp_path):
    told = otlp.span(1, http__method="GET", http__status_code=404, http__target="/a?b=c")
    telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces([told]))])
    row = asked(case, "SELECT * FROM spans")[0]
    assert (row["http_request_method"], row["http_response_status_code"], row["url_path"]) == ("GET", 404, "/a")


def test_errors_are_exception_events_and_failed_spans_without_one(case, tmp_path):
    raised = otlp.raising(otlp.span(1, error=True))
    plain = otlp.span(2, parent=1, error=True, error__type="timeout")
    telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces([raised, plain, otlp.span(3)]))])
    found = asked(
        case, "SELECT span_id, exception_type, exception_message, stack, fingerprint FROM errors ORDER BY span_id"
    )
    assert [row["exception_type"] for row in found] == ["ValueError", "timeout"]
    assert [row["exception_message"] for row in found] == ["no price", "failed"]
    assert found[0]["stack"] == otlp.STACK
    assert {row["fingerprint"] for row in found} == {None}


def test_fingerprints_show_in_errors_and_the_newest_ones_win(case, tmp_path):
    told = otlp.raising(otlp.span(1, error=True))
    telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces([told]))])
    with telemetry.store(case) as store:
        table = store.sql("SELECT error_id, 'old' AS fingerprint FROM errors").df()
    telemetry.set_fingerprints(case, table)
    assert telemetry.set_fingerprints(case, table.assign(fingerprint="new")) == 1
    assert asked(case, "SELECT fingerprint FROM errors") == [{"fingerprint": "new"}]


def test_of_an_error_that_is_told_twice_one_fingerprint_is_kept(case, tmp_path):
    told = otlp.raising(otlp.span(1, error=True))
    telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces([told, otlp.span(2, error=True)]))])
    with telemetry.store(case) as store:
        table = store.sql("SELECT unnest([error_id, error_id]) AS error_id FROM errors").df()
    assert telemetry.set_fingerprints(case, table.assign(fingerprint=["b", "a", "d", "c"])) == 2
    assert len(asked(case, "SELECT fingerprint FROM errors WHERE fingerprint IS NOT NULL")) == 2


def test_loading_a_file_again_adds_nothing(case, tmp_path):
    path = otlp.lines(tmp_path / "a.jsonl", otlp.traces([otlp.span(1), otlp.span(2)]))
    assert telemetry.ingest(case, [path]).spans == 2
    again = telemetry.ingest(case, [path])
    assert (again.spans, [f.rows for f in again.files]) == (0, [0])
    other = tmp_path / "b.jsonl.gz"
    other.write_bytes(gzip.compress(path.read_bytes() + json.dumps(otlp.traces([otlp.span(3)])).encode()))
    assert telemetry.ingest(case, [other]).spans == 1
    assert asked(case, "SELECT count(*) AS n FROM spans") == [{"n": 3}]


def test_spans_that_share_ids_but_differ_are_all_kept(case, tmp_path):
    twins = [otlp.span(1), otlp.span(1), otlp.span(1, name="GET /orders")]
    telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces(twins))])
    assert asked(case, "SELECT name FROM spans ORDER BY name") == [{"name": "GET /orders"}, {"name": "POST /orders"}]


def test_logs_and_metrics_are_read(case, tmp_path):
    points = [{"timeUnixNano": str(otlp.START), "asInt": "7", "attributes": otlp.attributes({"pool": "db"})}]
    gauge = {"name": "pool.size", "unit": "1", "gauge": {"dataPoints": points}}
    bars = [
        {"timeUnixNano": str(otlp.START), "count": "3", "sum": 1.5, "bucketCounts": ["1", "2"], "explicitBounds": [1]}
    ]
    histogram = {"name": "latency", "histogram": {"dataPoints": bars, "aggregationTemporality": 2}}
    logs = otlp.logs([otlp.log("it broke", number=17)])
    done = telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", logs, otlp.metrics([gauge, histogram]))])
    assert (done.logs, done.metric_points) == (1, 2)
    assert asked(case, "SELECT severity, body, trace_id FROM logs") == [
        {"severity": "error", "body": "it broke", "trace_id": otlp.TRACE}
    ]
    found = asked(case, "SELECT name, kind, value, count, bucket_counts, temporality FROM metric_points ORDER BY name")
    assert found[0] == {"name": "latency", "kind": "histogram", "value": None, "count": 3, "bucket_counts": [1, 2],
                        "temporality": "cumulative"}  # fmt: skip
    assert (found[1]["name"], found[1]["value"]) == ("pool.size", 7.0)


def test_a_line_that_is_no_telemetry_is_rejected_and_the_rest_loaded(case, tmp_path):
    path = otlp.lines(tmp_path / "a.jsonl", otlp.traces([otlp.span(1)]), {"some": "thing"})
    path.write_text(path.read_text() + '{"resourceSpans": [{"resou')
    done = telemetry.ingest(case, [path])
    assert done.spans == 1
    assert [(r.position, r.reason[:8]) for r in done.rejected] == [("line 2", "no OTLP:"), ("line 3", "not JSON")]


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n\0\0", b"<html></html>", b'{"a": 1}\n{"a": 2}\n', b"\x1f\x8b\x08"]
)
def test_a_file_that_is_no_telemetry_is_refused_and_the_others_are_loaded(case, tmp_path, content):
    (tmp_path / "foreign").write_bytes(content)
    good = otlp.lines(tmp_path / "good.jsonl", otlp.traces([otlp.span(1)]))
    done = telemetry.ingest(case, [tmp_path / "foreign", good, tmp_path / "missing"])
    assert done.spans == 1
    assert [Path(r.file).name for r in done.refused] == ["foreign", "missing"]


@pytest.mark.parametrize("sign", ["{", "[", ","])
def test_lines_longer_than_a_look_are_lines_whatever_the_look_ends_with(case, tmp_path, sign):
    plain = json.dumps(otlp.traces([otlp.span(1)], service=""))
    after = plain.index('"scopeSpans"')
    pad = 4095 - plain.index(sign, after)
    request = otlp.traces([otlp.span(1)], service="s" * pad)
    assert json.dumps(request)[4095] == sign
    more = otlp.traces([otlp.span(2)])
    told = telemetry.ingest(case, [otlp.lines(tmp_path / "long.jsonl", request, more)])
    assert (told.spans, told.refused) == (2, ())


def test_secrets_and_people_are_replaced_and_equal_values_stay_equal(case, tmp_path):
    first = otlp.span(1, user__email="ann@example.org", http__request__header__authorization="Bearer abcdef123456")
    told = otlp.raising(otlp.span(2, user__email="ann@example.org"), message="no card 4111 1111 1111 1111")
    path = otlp.lines(tmp_path / "a.jsonl", otlp.traces([first, told]))
    assert telemetry.ingest(case, [path]).redacted == 4
    emails = asked(case, "SELECT DISTINCT attributes['user.email'] AS e FROM spans")
    assert len(emails) == 1
    assert str(emails[0]["e"]).startswith("<email:")
    everything = b"".join(p.read_bytes() for p in case.telemetry.iterdir())
    assert not any(secret in everything for secret in (b"ann@example.org", b"abcdef123456", b"4111 1111"))


def test_people_beside_the_attributes_are_replaced_too(case, tmp_path):
    told = {**otlp.span(1), "traceState": "shop=ann@example.org"}
    told["links"] = [{"traceId": told["traceId"], "spanId": told["spanId"], "traceState": "shop=ann@example.org"}]
    spans, logs = otlp.traces([told]), otlp.logs([{**otlp.log("quiet"), "eventName": "hello ann@example.org"}])
    for scope in (spans["resourceSpans"][0]["scopeSpans"][0], logs["resourceLogs"][0]["scopeLogs"][0]):
        scope["scope"] = {"name": "of ann@example.org"}
    assert telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", spans, logs)]).redacted == 4
    assert str(asked(case, "SELECT trace_state FROM spans")[0]["trace_state"]).startswith("shop=<email:")
    assert not any(b"ann@example.org" in p.read_bytes() for p in case.telemetry.iterdir())


def test_the_secret_after_an_option_of_a_command_is_replaced(case, tmp_path):
    words = {"arrayValue": {"values": [{"stringValue": word} for word in ("mysql", "--password", "hunter2")]}}
    told = otlp.span(1, process__command_line="mysql --password hunter2")
    told["attributes"].append({"key": "process.command_args", "value": words})
    assert telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces([told]))]).redacted == 2
    assert not any(b"hunter2" in p.read_bytes() for p in case.telemetry.iterdir())


def test_redaction_can_be_switched_off(case, tmp_path):
    path = otlp.lines(tmp_path / "a.jsonl", otlp.traces([otlp.span(1, user__email="ann@example.org")]))
    done = telemetry.ingest(case, [path], redact=None)
    assert (done.redacted, done.redaction) == (0, "off")
    assert asked(case, "SELECT attributes['user.email'] AS e FROM spans") == [{"e": "ann@example.org"}]
    with pytest.raises(errors.UsageError, match="no redaction policy 'odd'"):
        telemetry.ingest(case, [path], redact="odd")


def test_a_trace_has_its_spans_parents_first_and_its_logs(case, tmp_path):
    spans = [otlp.span(2, parent=1, at=otlp.START + 5), otlp.span(1), otlp.span(3, parent=2, at=otlp.START + 6)]
    path = otlp.lines(tmp_path / "a.jsonl", otlp.traces(spans), otlp.logs([otlp.log("hello")]))
    telemetry.ingest(case, [path])
    with telemetry.store(case) as store:
        found = telemetry.trace(store, otlp.TRACE[:8])
        with pytest.raises(errors.QueryError, match="no trace starts with 'ffff'"):
            telemetry.trace(store, "ffff")
    assert [(s.span_id[-1], s.depth) for s in found.spans] == [("1", 0), ("2", 1), ("3", 2)]
    assert [log.body for log in found.logs] == ["hello"]
    assert found.duration_ns == 10_000_006


def test_a_waterfall_says_whom_a_call_asked_but_not_as_whom_nor_what_for(case, tmp_path):
    url = "https://user:hunter2@cards.example:8443/v1/pay?token=abc"
    call = otlp.span(1, name="POST", **{"url.full": url, "http.response.status_code": 503}) | {"kind": 3}
    telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces([call]))], redact=None)
    with telemetry.store(case) as store:
        trace = telemetry.trace(store, otlp.TRACE)
        drawn = trace.plot_waterfall()
        assert trace._repr_mimebundle_()["image/svg+xml"] == drawn.svg
        assert re.fullmatch(rf"<Trace {otlp.TRACE} \d+ spans?, \d+ errors?, [\d.]+ ms>", repr(trace))
    assert "POST → 503 cards.example:8443/v1/pay" in drawn.svg
    assert "hunter2" not in drawn.svg + drawn.figure.to_json()
    assert "token" not in drawn.svg + drawn.figure.to_json()


def test_self_time_and_critical_path_follow_the_clock(case, tmp_path):
    ms = 1_000_000
    spans = [
        otlp.span(1, ms=100), otlp.span(2, parent=1, at=otlp.START + 10 * ms, ms=30),
        otlp.span(3, parent=1, at=otlp.START + 20 * ms, ms=30), otlp.span(4, parent=1, at=otlp.START + 60 * ms, ms=90),
    ]  # fmt: skip
    telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces(spans))])
    found = asked(case, "SELECT span_id, self_ns FROM self_time ORDER BY span_id")
    assert [row["self_ns"] // ms for row in found] == [20, 30, 30, 90]
    path = asked(case, "SELECT span_id, depth FROM critical_path ORDER BY start_ns")
    assert [(str(row["span_id"])[-1], row["depth"]) for row in path] == [("1", 0), ("3", 1), ("4", 1)]


def test_deploys_and_edges_are_views(case, tmp_path):
    first = otlp.traces([otlp.span(1)], service__version="1", vcs__ref__head__revision="a" * 40)
    later = otlp.traces([otlp.span(2, at=otlp.START + 10)], service__version="2", vcs__ref__head__revision="b" * 40)
    called = otlp.traces([otlp.span(3, parent=1, error=True)], service="stock")
    telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", first, later, called)])
    found = asked(case, "SELECT service_version, previous_version FROM deploys ORDER BY first_seen_ns")
    assert [tuple(row.values()) for row in found] == [("1", None), ("2", "1")]
    assert asked(case, "SELECT caller, callee, calls, errors FROM edges") == [
        {"caller": "shop", "callee": "stock", "calls": 1, "errors": 1}
    ]


def test_an_empty_case_answers_every_view(case):
    with telemetry.store(case) as store:
        assert {name: len(store.sql(f"SELECT * FROM {name}")) for name in telemetry.VIEWS} == dict.fromkeys(
            telemetry.VIEWS, 0
        )


def test_a_newer_or_damaged_store_is_refused_with_words(case, tmp_path):
    telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces([otlp.span(1)]))])
    manifest = case.telemetry / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 9'))
    with pytest.raises(errors.CaseError, match="format 9"):
        telemetry.store(case)
    manifest.write_text("{")
    with pytest.raises(errors.CaseError, match=r"manifest\.json is damaged"):
        telemetry.store(case)


def test_a_segment_of_another_make_is_refused_in_words(case, tmp_path):
    import duckdb

    telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces([otlp.span(1)]))])
    with duckdb.connect(next(case.telemetry.glob("*.duckdb"))) as con:
        con.execute("ALTER TABLE resources RENAME COLUMN resource_ix TO resource_id_of_old")
    with pytest.raises(errors.CaseError, match="has not the tables that this shadowlab writes"):
        asked(case, "SELECT count(*) FROM spans")
