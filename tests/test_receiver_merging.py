"""Merge small segments: the same rows, fewer files, and nobody who reads or verifies is disturbed."""

import json
import threading
import time
from pathlib import Path

import otlp
import pytest
from sending import receiving

import shadowlab as sl
from shadowlab import telemetry
from shadowlab.audit import verify
from shadowlab.case import Case, open_case
from shadowlab.telemetry import segments
from shadowlab.telemetry.receiver import compaction, drain, log

_LOOKS = (
    "SELECT * EXCLUDE (attributes) FROM spans ORDER BY row_id", "SELECT * FROM logs ORDER BY row_id",
    "SELECT * FROM metric_points ORDER BY row_id", "SELECT * FROM events ORDER BY row_id",
    "SELECT * FROM traces ORDER BY trace_id", "SELECT * FROM deploys ORDER BY first_seen_ns",
)  # fmt: skip


def _received(path: Path, turns: int) -> Case:
    """A case with a segment a turn, as a receiver makes them: services, logs, errors and points in each."""
    case = open_case(path)
    folder = case.telemetry / "incoming"
    folder.mkdir()
    for turn in range(turns):
        told = otlp.span(turn + 1, at=otlp.START + turn, name=f"GET /{turn}")
        point = {"timeUnixNano": str(otlp.START + turn), "asInt": str(turn)}
        bodies = {
            log.Kind.TRACES_JSON: otlp.traces([otlp.raising(told)], service=f"shop-{turn % 3}", service__version=f"{turn % 2}"),
            log.Kind.LOGS_JSON: otlp.logs([otlp.log(f"line {turn}")], service=f"shop-{turn % 2}"),
            log.Kind.METRICS_JSON: otlp.metrics([{"name": "pool", "gauge": {"dataPoints": [point]}}]),
        }
        written = log.Log(folder, log.Header(redaction="default"))
        written.append([log.packed(kind, json.dumps(body).encode()) for kind, body in bodies.items()])
        written.seal()
        drain.drain(case, log.files(folder))
    return case


def _seen(case: Case) -> list[object]:
    with telemetry.store(case) as store:
        return [store.sql(query).rows() for query in _LOOKS]


def test_merging_keeps_every_row_and_what_is_derived(tmp_path):
    case = _received(tmp_path / "case", 8)
    before = _seen(case)
    chosen = compaction.due(segments.manifest(case).segments)
    assert len(chosen) == 8
    assert compaction.compact(case, chosen, case.telemetry / "incoming")
    assert _seen(case) == before
    assert [s.kind for s in segments.manifest(case).segments] == ["retired"] * 8 + ["telemetry"]
    compaction.forget(case, compaction.retired(case))
    assert _seen(case) == before
    assert [p.name for p in case.telemetry.glob("*.duckdb")] == ["000009-received.duckdb"]


def test_what_was_merged_is_still_known_when_it_comes_again(tmp_path):
    case = _received(tmp_path / "case", 8)
    compaction.compact(case, compaction.due(segments.manifest(case).segments), case.telemetry / "incoming")
    again = otlp.traces([otlp.raising(otlp.span(1, at=otlp.START, name="GET /0"))], service="shop-0", service__version="0")
    assert telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", again)]).spans == 0


def test_few_segments_and_those_of_files_are_left_alone(tmp_path):
    case = _received(tmp_path / "case", 7)
    telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces([otlp.span(99)]))])
    assert compaction.due(segments.manifest(case).segments) == ()


def test_large_segments_wait_for_their_like_and_the_largest_stay():
    def listed(*rows: int) -> list[segments.Segment]:
        return [segments.Segment(file=f"{n:06d}-received.duckdb", spans=count) for n, count in enumerate(rows)]

    assert len(compaction.due(listed(*[10] * 9))) == 9
    assert compaction.due(listed(*[10] * 7, *[100_000] * 7)) == ()
    assert {s.spans for s in compaction.due(listed(10, *[100_000] * 8))} == {100_000}
    assert compaction.due(listed(*[3_000_000] * 20)) == ()


def test_a_segment_that_went_meanwhile_stops_the_merge(tmp_path):
    case = _received(tmp_path / "case", 8)
    chosen = compaction.due(segments.manifest(case).segments)
    segments.publish(case, segments.manifest(case).segments[1:])
    assert not compaction.compact(case, chosen, case.telemetry / "incoming")
    assert [s.kind for s in segments.manifest(case).segments] == ["telemetry"] * 7


def test_a_merge_that_is_cut_short_leaves_the_case_as_it_was(tmp_path, monkeypatch):
    case = _received(tmp_path / "case", 8)
    before = segments.manifest(case)
    monkeypatch.setattr(segments, "put_in_place", _fails)
    with pytest.raises(OSError, match="no more"):
        compaction.compact(case, compaction.due(before.segments), case.telemetry / "incoming")
    assert segments.manifest(case) == before
    assert not list((case.telemetry / "incoming").iterdir())


def _fails(beside: Path, place: Path) -> None:
    raise OSError(28, "no more")


def test_the_case_verifies_while_it_receives_merges_and_is_looked_at(tmp_path):
    inv = sl.open(tmp_path / "case")
    stop, ready, doors = threading.Event(), threading.Event(), []

    def tell(told: object) -> None:
        doors[:] = told.doors
        ready.set()

    thread = threading.Thread(target=lambda: sl.open(inv.case.path).receive(http="127.0.0.1:0", stop=stop, tell=tell))
    thread.start()
    assert ready.wait(20)
    from sending import fetch

    for turn in range(10):
        body = json.dumps(otlp.traces([otlp.raising(otlp.span(turn + 1, error=True))])).encode()
        assert fetch(f"{doors[0]}/v1/traces", body, {"Content-Type": "application/json"})[0] == 200
        time.sleep(1.1)
        if turn == 3:
            inv.triage()
    deadline = time.monotonic() + 20
    while not list(inv.case.telemetry.glob("*-received.duckdb")) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert str(verify.verify(inv.case).verdict) == "pass"
    stop.set()
    thread.join(30)
    assert str(verify.verify(inv.case).verdict) == "pass"
    assert inv.sql("SELECT count(*) AS n FROM spans").rows() == [{"n": 10}]
    assert [entry["verb"] for entry in inv.ledger][-1] == "receive"


def test_a_receiver_removes_what_was_merged_before_it_was_killed(tmp_path):
    case = _received(tmp_path / "case", 8)
    compaction.compact(case, compaction.due(segments.manifest(case).segments), case.telemetry / "incoming")
    with receiving(case):
        time.sleep(0.1)
    assert compaction.retired(case) == []
