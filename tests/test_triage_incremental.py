"""A minute more: a triage that knows what earlier ones found says what one that knows nothing says."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from otlp import START, lines, raising, traces
from story import SECOND, SHOP, Story, number_of, python_stack

from shadowlab import live, telemetry, triage
from shadowlab.case import Case, open_case
from shadowlab.records import Triage
from shadowlab.telemetry import questions
from shadowlab.telemetry.questions import requests
from shadowlab.telemetry.store import Store
from shadowlab.triage import ancestry, burn, fact_cache, graph, places, slo, tallies

MINUTES = 6
Request = list[tuple[str, str, dict[str, Any]]]
"""A request's spans, each with its service and version."""


def shop(seed: int) -> list[Request]:
    """Requests through three services; calls fail below, callers pass some of it on, a deploy makes it worse."""
    r, story, told = random.Random(f"more {seed}"), Story(), []
    for n in range(MINUTES * 20):
        at, trace = n * 3.0, story.trace()
        version = "2.0" if n > MINUTES * 12 else "1.0"
        fails = r.random() < (0.4 if version == "2.0" else 0.1)
        front = story.span(at, trace=trace, service="front", name="GET /", error=fails, user__id=f"u{r.randrange(9)}")
        shop = story.span(
            at + 0.01, trace=trace, parent=number_of(front), version=version, error=fails, region=r.choice("ab")
        )
        call = story.span(at + 0.02, trace=trace, parent=number_of(shop), version=version, kind=3, name="call")
        stock = story.span(at + 0.03, trace=trace, service="stock", parent=number_of(call), name="take", error=fails)
        if fails:
            story.fails(stock, "KeyError", f"sku {r.choice(['red', 'blue', 'green', 'white', 'black', 'grey'])}")
            story.fails(shop, "shop.Failed", "no answer", python_stack(*SHOP[:2], error="shop.Failed: no answer"))
        if r.random() < 0.05:
            call.update(raising(call, "TimeoutError", "no answer in 3 s", ""), status={"code": 2})
        told.append(
            [("front", "1.0", front), ("shop", version, shop), ("shop", version, call), ("stock", "1.0", stock)]
        )
    return told


def taken(case: Case, spans: Iterable[tuple[str, str, dict[str, Any]]]) -> None:
    requests = [traces([span], service, service__version=version) for service, version, span in spans]
    place = case.path.parent / f"{case.path.name}.jsonl"
    telemetry.ingest(case, [lines(place, *requests)])


def parts(requests: list[Request], seed: int) -> list[Request]:
    """The spans by the minute in which they arrive; one in ten is late by up to three minutes."""
    r = random.Random(f"late {seed}")
    arrive: list[Request] = [[] for _ in range(MINUTES + 3)]
    for n, request in enumerate(requests):
        for span in request:
            arrive[n * MINUTES // len(requests) + (r.randrange(4) if r.random() < 0.1 else 0)].append(span)
    return [part for part in arrive if part]


def looked(case: Case, **more: Any) -> Triage:
    with telemetry.store(case) as store:
        found, table = triage.triage(store, known=telemetry.known_fingerprints(store), **more)
    telemetry.set_fingerprints(case, table)
    return found


def at_once(case: Case, **more: Any) -> Triage:
    """By a process that has seen nothing of the case."""
    with telemetry.store(case) as store, pytest.MonkeyPatch.context() as patch:
        patch.setattr(fact_cache, "KEPT", fact_cache.Kept())
        return triage.triage(store, **more)[0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_minute_by_minute_says_what_all_at_once_says(tmp_path: Path, seed: int):
    case, whole, requests = open_case(tmp_path / "parts"), open_case(tmp_path / "whole"), shop(seed)
    window = timedelta(minutes=2)  # so that minutes fall out of it
    for part in parts(requests, seed):
        taken(case, part)
        assert looked(case, window=window) == at_once(case, window=window)
    live.merge_files(case)
    taken(whole, [span for request in requests for span in request])
    found = looked(case, window=window)
    assert found.suspects
    assert found.digest == at_once(whole, window=window).digest


@pytest.mark.slow
def test_other_questions_to_what_is_known_are_answered_as_if_nothing_were(tmp_path: Path):
    case = open_case(tmp_path / "case")
    first, *later = parts(shop(7), 7)
    taken(case, first)
    looked(case)
    taken(case, [span for part in later for span in part])
    one, other, *_ = [s.fingerprint for s in looked(case, window=timedelta(minutes=2)).suspects]
    quick = slo.ObjectiveSpec(name="quick", service="shop", total=slo.Selector(service="shop", name="call"))
    asked: list[dict[str, Any]] = [
        {"window": timedelta(minutes=5), "top": 9},
        {"at": burn.moment(START + 200 * SECOND), "window": timedelta(minutes=1)},
        {"objectives": [quick]},
        {"corrections": triage.Corrections(merge=((one, other),))},
        {"corrections": triage.Corrections(split=(one,))},
        {"source_frames": ("/srv/shop/lib/",)},
    ]
    for more in asked:
        assert looked(case, **more) == at_once(case, **more)


def test_only_traces_that_lie_in_several_segments_are_placed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    case = open_case(tmp_path / "case")
    arrived = parts(shop(9), 9)
    taken(case, [span for part in arrived[:4] for span in part])
    looked(case)
    taken(case, [span for part in arrived[4:] for span in part])
    read: list[tuple[int, int]] = []

    def counting(seen: Any, traces: Any) -> Any:
        read.append((len(traces), len(seen.shared)))
        return ancestry.ancestry(seen, traces)

    monkeypatch.setattr(places, "ancestry", counting)
    found = looked(case, window=timedelta(minutes=2))
    ((again, shared),) = read
    assert 0 < again <= shared < len(shop(9)) / 2
    assert found == at_once(case, window=timedelta(minutes=2))


def test_a_segment_is_read_once_however_many_triages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fact_cache, "KEPT", fact_cache.Kept())
    asked: list[tuple[str, str]] = []
    alone = Store.sql_alone

    def counting(store: Store, segment: str, query: str, params: Any = ()) -> Any:
        asked.append((segment, query))
        return alone(store, segment, query, params)

    monkeypatch.setattr(Store, "sql_alone", counting)
    case, (first, *later) = open_case(tmp_path / "case"), parts(shop(5), 5)
    taken(case, first)
    looked(case)
    (segment,) = {segment for segment, _ in asked}
    asked.clear()
    looked(case)
    assert not [query for _, query in asked if "$traces" not in query and "LIMIT 0" not in query]
    taken(case, later[0])
    looked(case)
    assert fact_cache._SPANS in {query for _, query in asked}
    assert (segment, fact_cache._SPANS) not in asked


def test_facts_of_what_was_used_longest_ago_are_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    kept = fact_cache.Kept()
    monkeypatch.setattr(fact_cache, "KEPT", kept)
    monkeypatch.setattr(fact_cache, "_MOST_KEPT", 1)
    one, other = open_case(tmp_path / "one"), open_case(tmp_path / "other")
    for case, seed in ((one, 1), (other, 2)):
        taken(case, [span for request in shop(seed)[:20] for span in request])
    assert at_once(one) == looked(one)
    looked(other)
    assert len(kept._parts) == 1
    assert looked(one) == at_once(one)


def test_the_service_map_and_rates_from_facts_are_those_that_the_questions_tell(tmp_path: Path):
    case = open_case(tmp_path / "case")
    for part in parts(shop(4), 4):
        taken(case, part)
    low_ns, high_ns = START + 60 * SECOND, START + 240 * SECOND
    with telemetry.store(case) as store:
        seen = fact_cache.of(store)
        asked = questions.statement("edges", {"hops": requests.hops("true")}, since_ns=low_ns, until_ns=high_ns)
        told = {(row["caller"], row["callee"]): (row["calls"], row["errors"]) for row in store.sql(asked).rows()}
        query, values = burn.requests(slo.ObjectiveSpec(name="all", service="", total=slo.Selector()), "1::DOUBLE")

        def ask(**ends: int) -> Any:
            return store.sql(questions.statement("slots_of_services", {"requests": query}, **ends), values)

        ages = (SECOND * 30, SECOND * 180)
        both = (
            tallies.of_services(ask, ("front", "shop"), high_ns, ages),
            tallies.of_facts(seen, ("front", "shop"), high_ns, ages),
        )
    assert {
        (e.caller, e.callee): (e.calls, e.errors) for e in graph.edges(seen, low_ns=low_ns, high_ns=high_ns)
    } == told
    for service in ("front", "shop"):
        one, other = (each[service] for each in both)
        assert [each.tolist() for each in (one.slots, one.bad, one.total)] == [
            each.tolist() for each in (other.slots, other.bad, other.total)
        ]


def test_spans_that_stand_for_others_count_for_them_minute_by_minute(tmp_path: Path):
    case = open_case(tmp_path / "case")
    for n, part in enumerate(parts(shop(6), 6)[:3]):
        sampled = [
            (service, version, {**span, "traceState": "ot=th:8"} if n else span) for service, version, span in part
        ]
        taken(case, sampled)
        found = looked(case)
        assert found == at_once(case)
        assert any("sampled" in note for note in found.notes) == bool(n)
