"""Merge small segments: the same rows, fewer files, and nobody who reads or verifies is disturbed."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import otlp
import pytest
from sending import receiving, receiving_apart

import shadowlab as sl
from shadowlab import keeping, telemetry
from shadowlab.audit import verify
from shadowlab.case import Case, open_case
from shadowlab.evidence import Evidence
from shadowlab.telemetry import compaction, segments
from shadowlab.telemetry.receiver import drain, log

_LOOKS = (
    "SELECT * EXCLUDE (attributes) FROM spans ORDER BY row_id", "SELECT * FROM logs ORDER BY row_id",
    "SELECT * FROM metric_points ORDER BY row_id", "SELECT * FROM events ORDER BY row_id",
    "SELECT * FROM traces ORDER BY trace_id", "SELECT * FROM deploys ORDER BY first_seen_ns",
    "SELECT * FROM edges ORDER BY ALL",
)  # fmt: skip


@pytest.fixture(scope="module")
def eight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case with eight segments as a receiver makes them: services, logs, errors and points in each."""
    case = open_case(tmp_path_factory.mktemp("made") / "case")
    folder = case.telemetry / "incoming"
    folder.mkdir()
    for turn in range(8):
        told = otlp.span(turn + 1, parent=turn or 8, at=otlp.START + turn, name=f"GET /{turn}")
        point = {"timeUnixNano": str(otlp.START + turn), "asInt": str(turn)}
        bodies = {
            log.Kind.TRACES_JSON: otlp.traces(
                [otlp.raising(told)], service=f"shop-{turn % 3}", service__version=f"{turn % 2}"
            ),
            log.Kind.LOGS_JSON: otlp.logs([otlp.log(f"line {turn}")], service=f"shop-{turn % 2}"),
            log.Kind.METRICS_JSON: otlp.metrics([{"name": "pool", "gauge": {"dataPoints": [point]}}]),
        }
        written = log.Log(folder, log.Header(redaction="default"))
        written.append([log.packed(kind, json.dumps(body).encode()) for kind, body in bodies.items()])
        written.seal()
        drain.drain(case, log.files(folder))
    return case.path


@pytest.fixture
def case(eight: Path, tmp_path: Path) -> Case:
    shutil.copytree(eight, tmp_path / "case")
    return open_case(tmp_path / "case")


def _seen(case: Case) -> list[object]:
    with telemetry.store(case) as store:
        return [store.sql(query).rows() for query in _LOOKS]


def test_merging_keeps_every_row_and_what_is_derived(case):
    before = _seen(case)
    chosen = compaction.due(segments.manifest(case).segments)
    assert len(chosen) == 8
    assert compaction.compact(case, chosen, case.telemetry / "incoming")
    assert _seen(case) == before
    assert [s.kind for s in segments.manifest(case).segments] == ["retired"] * 8 + ["telemetry"]
    compaction.forget(case, compaction.retired(case))
    assert _seen(case) == before
    assert [p.name for p in case.telemetry.glob("*.duckdb")] == ["000009-received.duckdb"]


def test_what_was_merged_is_still_known_when_it_comes_again(case, tmp_path):
    compaction.compact(case, compaction.due(segments.manifest(case).segments), case.telemetry / "incoming")
    again = otlp.traces(
        [otlp.raising(otlp.span(1, parent=8, at=otlp.START, name="GET /0"))], service="shop-0", service__version="0"
    )
    assert telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", again)]).spans == 0


def test_few_segments_and_those_of_files_are_left_alone(case, tmp_path):
    segments.publish(case, segments.manifest(case).segments[1:])
    telemetry.ingest(case, [otlp.lines(tmp_path / "a.jsonl", otlp.traces([otlp.span(99)]))])
    assert compaction.due(segments.manifest(case).segments) == ()


def test_large_segments_wait_for_their_like_and_the_largest_stay():
    def listed(*rows: int) -> list[segments.Segment]:
        return [segments.Segment(file=f"{n:06d}-received.duckdb", spans=count) for n, count in enumerate(rows)]

    assert len(compaction.due(listed(*[10] * 9))) == 9
    assert compaction.due(listed(*[10] * 7, *[100_000] * 7)) == ()
    assert {s.spans for s in compaction.due(listed(10, *[100_000] * 8))} == {100_000}
    assert compaction.due(listed(*[3_000_000] * 20)) == ()


def test_a_segment_that_went_meanwhile_stops_the_merge(case):
    chosen = compaction.due(segments.manifest(case).segments)
    segments.publish(case, segments.manifest(case).segments[1:])
    assert not compaction.compact(case, chosen, case.telemetry / "incoming")
    assert [s.kind for s in segments.manifest(case).segments] == ["telemetry"] * 7


def test_a_merge_that_is_cut_short_leaves_the_case_as_it_was(case, monkeypatch):
    before = segments.manifest(case)
    monkeypatch.setattr(segments, "put_in_place", _fails)
    with pytest.raises(OSError, match="no more"):
        compaction.compact(case, compaction.due(before.segments), case.telemetry / "incoming")
    assert segments.manifest(case) == before
    assert not list((case.telemetry / "incoming").iterdir())


def _fails(beside: Path, place: Path) -> None:
    raise OSError(28, "no more")


def test_segments_that_the_ledger_names_go_with_an_entry_and_the_case_verifies(case):
    inv = sl.open(case.path)
    keeping.keep(inv.case, "ingest", sl.Ingest(), Evidence(inv.case, known=()))
    assert len(inv.ledger[-1]["files"]) == 9
    with receiving_apart(inv.case.path) as running:
        _until(lambda: list(inv.case.telemetry.glob("*-received.duckdb")))
        body = json.dumps(otlp.traces([otlp.span(100, name="GET /after")])).encode()
        assert running.post("/v1/traces", body)[0] == 200
        _until(lambda: inv.sql("SELECT count(*) AS n FROM spans").rows() == [{"n": 9}])
        running.stop()
        assert running.process.wait(60) == 0
    assert [entry["verb"] for entry in inv.ledger] == ["ingest", "merge", "receive"]
    assert len(inv.ledger[1]["files"]) == 8
    assert str(verify.verify(inv.case).verdict) == "pass"
    assert compaction.retired(inv.case) == []


def _until(true: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_receiver_removes_what_was_merged_before_it_was_killed(case):
    compaction.compact(case, compaction.due(segments.manifest(case).segments), case.telemetry / "incoming")
    with receiving(case):
        time.sleep(0.1)
    assert compaction.retired(case) == []
