"""A case that grows is told about as one that was whole from the start: however it is cut, asked and written."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from otlp import START, lines, raising, span, traces
from story import python_stack
from test_triage_incremental import SECOND, at_once, shop, taken

from shadowlab import live, telemetry, triage
from shadowlab.case import Case, open_case
from shadowlab.records import Triage
from shadowlab.triage import ancestry, burn, fact_cache, facts, raised, readings, sampled, tables
from shadowlab.triage.requests import requests_of
from shadowlab.triage.spans import BELOW, ERROR, Operation, Part, Spans, Traces


def looked(case: Case, **more: Any) -> Triage:
    """By this process, which reads from the case what it does not remember."""
    with telemetry.store(case) as store:
        found, table = triage.triage(store, known=partial(telemetry.known_fingerprints, store), **more)
    telemetry.set_fingerprints(case, table)
    return found


def question(r: random.Random, found: Triage, place: Path) -> dict[str, Any]:
    """Something to ask a case of which so much was found."""
    names = [suspect.fingerprint for suspect in found.suspects]
    place.write_text(json.dumps({"kind": "config", "service": "shop", "at": "2026-11-18T08:01:00Z", "after": "x=1"}))
    asked: list[dict[str, Any]] = [
        {"told_changes": triage.changes.load(place)},
        {"at": burn.moment(START + r.randrange(60, 300) * SECOND)},
        {"top": r.randrange(1, 9)},
    ]
    if len(names) > 1:
        asked.append({"corrections": triage.Corrections(merge=(tuple(r.sample(names, 2)),))})
        asked.append({"corrections": triage.Corrections(split=(r.choice(names),))})
    return r.choice(asked)


@pytest.mark.parametrize("seed", [pytest.param(seed, marks=[pytest.mark.slow] if seed else []) for seed in range(4)])
def test_however_it_is_cut_and_asked_a_case_says_what_it_says_whole(tmp_path: Path, seed: int):
    r, case = random.Random(f"growing {seed}"), open_case(tmp_path / "case")
    spans = [span for request in shop(seed + 20) for span in request]
    r.shuffle(spans)  # any span may be late by any time
    bounds = sorted(r.sample(range(1, len(spans)), 3))
    for low, high in zip([0, *bounds], [*bounds, len(spans)], strict=True):
        taken(case, spans[low:high])
        if r.random() < 0.4:
            live.merge_files(case)
        window = timedelta(minutes=r.randrange(1, 6))
        asked = question(r, looked(case, window=window), tmp_path / "changes.jsonl")
        assert looked(case, window=window, **asked) == at_once(case, window=window, **asked)
    whole = open_case(tmp_path / "whole")
    taken(whole, spans)
    assert looked(case).digest == at_once(whole).digest


@pytest.mark.slow
def test_what_another_process_writes_in_between_is_seen(tmp_path: Path):
    case, requests = open_case(tmp_path / "case"), shop(31)
    taken(case, [span for request in requests[:80] for span in request])
    looked(case)
    more = [traces([span], service, service__version=version) for request in requests[80:]
            for service, version, span in request]  # fmt: skip
    for verb in (["ingest", str(case.path), str(lines(tmp_path / "more.jsonl", *more))], ["triage", str(case.path)]):
        subprocess.run([sys.executable, "-m", "shadowlab", *verb], check=True, capture_output=True)
    assert looked(case) == at_once(case)


def test_a_fresh_process_reads_what_the_case_keeps_and_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    case = open_case(tmp_path / "case")
    taken(case, [span for request in shop(33) for span in request])
    found = looked(case)
    monkeypatch.setattr(fact_cache, "KEPT", fact_cache.Kept())
    monkeypatch.setattr(readings, "read", None)
    assert looked(case) == found


def spans_of(rows: list[tuple[int, int, int, int]], **more: Any) -> Spans:
    """Spans by id, parent (0 for none), start and end, of one trace."""
    sid, above, start, end = (np.array(each, dtype=kind) for each, kind in
                              zip(zip(*rows, strict=True), ("u8", "u8", "i8", "i8"), strict=True))  # fmt: skip
    marks = np.where(above > 0, BELOW, 0).astype(np.uint8)
    one = np.ones(len(sid))
    return Spans(tid=one.astype("u8"), sid=sid, above=above, start_ns=start, end_ns=end, op=one.astype("i4") * 0,
                 marks=marks, weight=one)  # fmt: skip


def ancestry_of(spans: Spans) -> ancestry.Ancestry:
    ends = (np.array([each]) for each in (spans.start_ns.min(), spans.end_ns.max(), len(spans.sid), 0))
    part = Part(spans, Traces(np.array([1], dtype="u8"), *ends), False, {})
    seen = fact_cache.Facts(None, [part], [None], [Operation("s", "n", "server", None, None, "n")])  # type: ignore[arg-type]  # nobody is asked
    return ancestry.ancestry(seen, np.array([1], dtype="u8"))


def ways(found: ancestry.Ancestry, sid: int) -> list[int]:
    """The ids above one, a step at a time."""
    up = found.up(found.find(np.array([sid], dtype="u8")))
    return [int(found.sid[place]) for _, at in up for place in at.tolist()]


def test_a_way_up_ends_at_the_root_at_a_missing_span_and_in_a_ring():
    rows = [(10, 0, 0, 9), (11, 10, 1, 8), (12, 11, 2, 7), (21, 20, 3, 4), (31, 32, 5, 6), (32, 31, 5, 6)]
    found = ancestry_of(spans_of(rows))
    assert ways(found, 12) == [12, 11, 10]
    assert ways(found, 21) == [21, 20]
    assert found.row_of(found.find(np.array([20], dtype="u8"))).tolist() == [ancestry.NOWHERE]
    assert set(ways(found, 31)) == {31, 32}
    assert len(ways(found, 31)) <= 66


def test_spans_of_one_id_lead_up_each_way_and_the_first_that_ended_speaks():
    found = ancestry_of(spans_of([(10, 0, 0, 9), (11, 0, 0, 9), (12, 10, 1, 8), (12, 11, 2, 5), (12, 10, 3, 6)]))
    assert sorted(ways(found, 12)) == [10, 11, 12]
    (row,) = found.row_of(found.find(np.array([12], dtype="u8"))).tolist()
    assert int(found.spans.end_ns[row]) == 5


@pytest.mark.parametrize("seed", range(20))
def test_time_below_a_span_is_counted_once_whatever_overlaps(seed: int):
    r = random.Random(f"covered {seed}")
    rows = [(1, 0, 0, 60), *((n, r.randrange(1, n), *sorted(r.sample(range(-5, 70), 2))) for n in range(2, 12))]
    spans = spans_of(rows)
    parent = np.where(spans.above > 0, spans.above.astype(int) - 1, -1)
    some = sampled.Sampled(spans.sid, spans.tid, spans.start_ns, spans.end_ns, spans.tid == 1, spans.op, parent,
                           spans.above, spans.above > 0, [])  # fmt: skip
    begin, end = np.maximum(spans.start_ns, 0), np.minimum(spans.end_ns, 60)
    told = sampled._covered(some, begin, end).tolist()
    for n in range(len(rows)):
        below = [set(range(max(begin[c], begin[n]), min(end[c], end[n]))) for c in np.flatnonzero(parent == n)]
        assert told[n] == len(set().union(*below))


def test_a_span_id_that_two_services_use_is_the_same_span_in_any_order_of_segments(tmp_path: Path):
    call = span(1, ms=30)
    told = [traces([call], "front"), traces([{**call, "startTimeUnixNano": str(START + SECOND)}], "shop")]
    found = []
    for name, requests in (("one", told), ("other", told[::-1])):
        case = open_case(tmp_path / name)
        for request in requests:
            telemetry.ingest(case, [lines(tmp_path / "part.jsonl", request)])
        with telemetry.store(case) as store:
            some = sampled.sample(seen := fact_cache.of(store), low_ns=START - SECOND, high_ns=START + 9 * SECOND)
            found.append([seen.operations[op].service for op in some.op.tolist()])
    assert found == [["front"], ["front"]]


def test_readings_are_by_the_rules_that_were_asked_for_whatever_another_thread_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    case, learn = open_case(tmp_path / "case"), readings._learn
    stack = python_stack(("/srv/shop/app.py", "create"), ("/srv/shop/money.py", "_start"), error="KeyError: 'x'")
    failed = raising(span(1, error=True), "KeyError", "'x'", stack)
    telemetry.ingest(case, [lines(tmp_path / "one.jsonl", traces([failed]))])

    def own(prefixes: list[str], first: bool = False) -> str:
        def learned(seen: Any, *rest: Any) -> Any:
            found = learn(seen, *rest)
            if first:  # as another thread that comes in between
                assert own(["/srv/shop"]).endswith("_start")
            return found

        monkeypatch.setattr(readings, "_learn", learned)
        with telemetry.store(case) as store:
            seen = fact_cache.of(store)
            (word,) = readings.readings(seen, raised.raised(seen), prefixes).words
            return word.own

    assert own([], first=True).endswith("create")


def test_a_span_without_an_end_is_kin_though_it_began_after_all_others_ended(tmp_path: Path):
    case = open_case(tmp_path / "case")
    over = {key: value for key, value in span(2, parent=1, at=START + SECOND).items() if key != "endTimeUnixNano"}
    telemetry.ingest(case, [lines(tmp_path / "one.jsonl", traces([span(1, ms=5), over]))])
    with telemetry.store(case) as store:
        seen = fact_cache.of(store)
        assert len(ancestry.ancestry(seen, seen.traces.tid).spans.sid) == 2
        (told,) = seen.told("spans", "SELECT hash(trace_id) AS tid, count(*) AS n FROM spans WHERE start_ns BETWEEN "
                            "$first AND $last AND hash(trace_id) IN (SELECT unnest($traces)) GROUP BY ALL",
                            seen.traces.tid).to_pylist()  # fmt: skip
        assert told["n"] == 2


def test_a_request_that_came_twice_fails_twice(tmp_path: Path):
    case = open_case(tmp_path / "case")
    told = [span(1), *(span(2, error=True, ms=ms) for ms in (4, 5)), span(3)]
    telemetry.ingest(case, [lines(tmp_path / "one.jsonl", traces(told))])
    with telemetry.store(case) as store:
        seen = fact_cache.of(store)
        spans = seen.begun(0, START + 9 * SECOND)
        op = seen.operations[int(spans.op[0])]
        failed = spans.sid[spans.marked(ERROR)]
        for _ in range(2):  # the second time from what is kept
            found = requests_of(seen, (op.service, op.name), failed, last_ns=START + 9 * SECOND)
            assert found.failing.sum() == len(failed) == 2
            assert len(found.failing) == 4


def test_what_is_kept_of_some_operations_serves_fewer_and_more_are_asked_for_with_them():
    front, back = ("front", "GET /"), ("back", "GET /")
    answer = ("query", frozenset({front})), np.array([7], dtype=np.uint64), "table"
    assert facts._covering(("query", frozenset({front})), answer) == answer
    question, known, table = facts._covering(("query", frozenset({back})), answer)
    assert (question, len(known), table) == (("query", frozenset({front, back})), 0, None)
    assert facts._covering(("other", frozenset({back})), answer)[0] == ("other", frozenset({back}))


def test_operations_of_segments_that_were_let_go_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    kept = fact_cache.Kept()
    monkeypatch.setattr(fact_cache, "_MOST_KEPT", 4)
    monkeypatch.setattr(fact_cache, "_MOST_UNUSED", 6)
    most = 0
    for n in range(9):
        case = open_case(tmp_path / f"case {n}")
        spans = [span(m, name=f"GET /{n}/{m}") for m in (1, 2, 3)]
        telemetry.ingest(case, [lines(tmp_path / "one.jsonl", traces(spans))])
        with telemetry.store(case) as store:
            seen = kept.facts(store)
        assert {seen.operations[op].name for op in seen.parts[0].spans.op.tolist()} == {one["name"] for one in spans}
        most = max(most, len(seen.operations))
    assert most == 12


def test_a_workshop_that_another_thread_takes_in_between_is_not_missed(monkeypatch: pytest.MonkeyPatch):
    class Taken(list[Any]):
        def __bool__(self) -> bool:
            return True

    monkeypatch.setitem(tables._IDLE, os.getpid(), Taken())
    with tables.workshop() as con:
        assert con.execute("SELECT 1").fetchone() == (1,)
