"""Triage of telemetry that is odd, empty in places, or hostile."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from otlp import START, lines, log, logs, raising, span, traces
from story import MINUTE, SECOND, Story, busy, opened

from shadowlab import errors, telemetry, triage
from shadowlab.case import open_case
from shadowlab.records import Triage
from shadowlab.triage import burn


def triaged_spans(folder: Path, *spans, service: str = "shop") -> Triage:
    case = open_case(folder / "case")
    telemetry.ingest(case, [lines(folder / "odd.jsonl", traces(spans, service))])
    with telemetry.store(case) as store:
        return triage.triage(store)[0]


@pytest.mark.parametrize("minutes", [-60, 600])
def test_a_time_without_data_has_no_suspect(tmp_path: Path, minutes: int):
    story = Story()
    busy(story, seconds=60, fail=[30.0])
    with opened(story, tmp_path) as store:
        found, table = triage.triage(store, at=burn.moment(START + minutes * MINUTE))
    assert (found.suspects, len(table)) == ((), 1)
    assert [o.windows["5m"].total for o in found.objectives] == [0]


def test_parents_in_a_circle_end(tmp_path: Path):
    one = raising(span(1, parent=2, error=True))
    other = raising(span(2, parent=1, error=True, name="GET /b"), "KeyError", "'x'")
    assert sum(s.events for s in triaged_spans(tmp_path, one, other).suspects) >= 1


def test_the_same_span_told_twice_counts_once_as_a_trace(tmp_path: Path):
    told = [raising(span(1, ms=ms, error=True)) for ms in (10, 11)]
    assert triaged_spans(tmp_path, *told).top.traces == 1


def test_spans_that_end_before_they_begin_and_empty_texts_are_survived(tmp_path: Path):
    odd = raising(span(1, ms=-5, error=True, name=""), "", "", "")
    found = triaged_spans(tmp_path, odd)
    assert found.top.events == 1
    assert found.top.title


def test_long_and_binary_texts_are_survived(tmp_path: Path):
    message = "\x00\x01'\"`{[(" * 2_000 + "<i>" + "9" * 5_000
    found = triaged_spans(tmp_path, raising(span(1, error=True), "E" * 300, message, message * 3))
    assert len(found.top.title) <= 160
    assert "<i>" not in triage.html(found)


def test_an_error_in_a_request_that_is_not_over_is_a_suspect(tmp_path: Path):
    case, whole = open_case(tmp_path / "case"), span(1, ms=60_000, error=True)
    early = raising({**whole, "endTimeUnixNano": str(START + SECOND)})["events"]
    telemetry.ingest(case, [lines(tmp_path / "odd.jsonl", traces([{**whole, "events": early}]))])
    with telemetry.store(case) as store:
        found, _ = triage.triage(store, at=burn.moment(START + 2 * SECOND))
    assert (found.top.events, found.top.exemplars, found.top.controls) == (1, (whole["traceId"],), ())


def test_a_window_of_a_second_and_of_a_year_are_windows(tmp_path: Path):
    story = Story()
    busy(story, seconds=120, fail=[119.0])
    with opened(story, tmp_path) as store:
        short, _ = triage.triage(store, window=timedelta(seconds=1))
        long, _ = triage.triage(store, window=timedelta(days=365))
    assert (short.top.events, long.top.events) == (1, 1)
    assert short.timeline[-1].at <= short.at
    assert SECOND * len(long.timeline) < 61 * SECOND


def test_a_case_of_records_alone_is_triaged(tmp_path: Path):
    case = open_case(tmp_path / "case")
    told = [log("disk full", at=START + n * SECOND, severityNumber=17) for n in range(20)]
    telemetry.ingest(case, [lines(tmp_path / "logs.jsonl", logs(told))])
    with telemetry.store(case) as store:
        found = triage.triage(store)[0]
    assert not found.suspects
    assert [group.template for group in found.logs] == ["disk full"]


def test_a_segment_without_its_tables_is_named_before_anything_is_said(tmp_path: Path):
    case = open_case(tmp_path / "case")
    telemetry.ingest(case, [lines(tmp_path / "spans.jsonl", traces([span()]))])
    (segment,) = case.telemetry.glob("*.duckdb")
    segment.chmod(0o644)
    with duckdb.connect(str(segment)) as con:
        con.execute("DROP TABLE trace_parts")
    with telemetry.store(case) as store, pytest.raises(errors.CaseError, match="has not the tables"):
        triage.triage(store)
