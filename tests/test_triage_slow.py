"""Requests that are too slow: which traces a burning latency objective shows."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from story import Story, number_of, triaged

from shadowlab import texts, triage, views
from shadowlab.records import Triage, from_json
from shadowlab.triage import selector, slo

FAST = slo.ObjectiveSpec(
    name="orders-latency", service="shop", indicator="latency", target=0.999, total=selector.Selector(service="shop"),
    good=selector.Selector(max_duration_ns=250_000_000),
)  # fmt: skip


def slowed(seed: int = 1) -> Story:
    """Half an hour of orders; every tenth of the large ones takes long, the longer the later; nothing fails."""
    story, r = Story(), random.Random(seed)
    for n in range(900):
        late = n % 10 == 0
        attrs = {"shop__size": "large" if late else "small", "shop__currency": r.choice(["EUR", "USD", "CHF"])}
        asked = story.span(n * 2.0, trace=f"{n + 1:032x}", ms=400 + n if late else 20, **attrs)
        if n == 890:  # the slowest, of which the caller is not there
            asked["parentSpanId"] = "00000000000000ff"
        story.span(n * 2.0, trace=f"{n + 1:032x}", kind=3, name="GET", parent=number_of(asked), ms=10)
    return story


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Triage:
    return triaged(slowed(), tmp_path_factory.mktemp("slow"), objectives=[FAST])


def test_a_latency_incident_shows_its_slowest_whole_traces(found: Triage):
    (told,) = found.objectives
    assert (found.incident, found.suspects, told.alert) == (True, (), "page")
    assert told.exemplars[0] == f"{881:032x}"
    assert 3 <= len(told.exemplars) <= 5
    assert all(int(trace, 16) % 10 == 1 for trace in told.exemplars)
    assert f"{891:032x}" not in told.exemplars


def test_quick_requests_stand_beside_the_slow_ones(found: Triage):
    (told,) = found.objectives
    assert len(told.controls) == len(told.exemplars)
    assert all(int(trace, 16) % 10 != 1 for trace in told.controls)


def test_slow_traces_with_a_recording_come_first(tmp_path: Path):
    taped = {f"{101:032x}": ("a-tape",)}
    (told,) = triaged(slowed(), tmp_path, objectives=[FAST], passed=lambda: taped).objectives
    assert (told.exemplars[:2], told.recordings) == ((f"{101:032x}", f"{881:032x}"), ("a-tape",))


def test_slow_traces_are_in_the_record_the_page_the_report_and_the_terminal(found: Triage):
    trace = found.objectives[0].exemplars[0]
    assert from_json(found.to_json()) == found
    for shown in (triage.html(found), views.objectives(found).html, texts.text(found)):
        assert trace[:16] in shown


def test_no_recording_is_asked_for_while_latency_does_not_burn(tmp_path: Path):
    def passed() -> dict[str, tuple[str, ...]]:
        raise AssertionError("asked")

    story = Story()
    for n in range(100):
        story.span(n * 1.0, ms=20)
    (told,) = triaged(story, tmp_path, objectives=[FAST], passed=passed).objectives
    assert (told.alert, told.exemplars) == (None, ())
